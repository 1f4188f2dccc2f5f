"""Route and listener rules as compiled from their plans."""

from __future__ import annotations

import pytest

from lb.http1.fields import FORWARDED, IMPOSTOR, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO
from lb.plan import (
    HeaderEditsPlan,
    LimitsPlan,
    ListenerPlan,
    RedirectPlan,
    RetryPlan,
    RewritePlan,
    RoutePlan,
    TimeoutPlan,
    WeightedService,
)
from lb.proxy.rules import ListenerRules, RouteRules
from lb.routing.route import Route


def rules(**plan) -> RouteRules:
    made = RoutePlan("r", **plan)
    return RouteRules(Route(made, 0), made, [])


def test_times_and_retries_are_taken_over():
    made = rules(
        redirect=RedirectPlan("/"),
        timeout=TimeoutPlan(1.0, 0.5, 2.0, 3.0, 4.0),
        retry=RetryPlan(2, ("reset", "503", "429"), ("GET",)),
    )
    assert (made.connect, made.attempt, made.response, made.total, made.idle) == (1.0, 0.5, 2.0, 3.0, 4.0)
    assert (made.attempts, bool(made.retry_connect), bool(made.retry_reset)) == (2, False, True)
    assert made.retry_statuses == {503, 429} and made.retry_methods == {b"GET"}


def test_slots_are_those_of_the_services_or_of_the_route_alone():
    split = (WeightedService("a", 1, 300), WeightedService("b", 2, 400))
    assert (rules(services=split, slot=9).slots, rules(services=split).slot) == ([300, 400], 300)
    assert rules(redirect=RedirectPlan("/"), slot=9).slot == 9


@pytest.mark.parametrize(
    ("plan", "plain"),
    [
        ({}, True),
        ({"response_headers": HeaderEditsPlan(remove=("server",))}, True),
        ({"request_headers": HeaderEditsPlan(remove=("x",))}, False),
        ({"rewrite": RewritePlan(strip_prefix="/a")}, False),
    ],
)
def test_plain_is_a_request_head_that_nothing_changes(plan, plain):
    assert bool(rules(redirect=RedirectPlan("/"), **plan).plain) is plain


def test_a_listener():
    made = ListenerRules(
        ListenerPlan(
            "web", ("x:1",), forwarded_headers=("Via", "forwarded"), limits=LimitsPlan(max_body=5), slot=7
        )
    )
    assert (made.name, made.label, made.slot, made.max_body) == ("web", b"web", 7, 5)
    assert (bool(made.add_via), bool(made.add_forwarded), bool(made.add_for)) == (True, True, False)
    # claims never pass, whether or not lb adds its own
    for line in (FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, IMPOSTOR):
        assert made.drop >> line & 1


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.0.0.1", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("10.1.2", False),
        ("10.1.2.3 ", False),
    ],
)
def test_whom_it_trusts(address, trusted):
    networks = ("10.1.2.3/8", "2001:db8::/32")  # host bits are forgiven
    assert ListenerRules(ListenerPlan("web", (), trusted_proxies=networks)).trusts(address) is trusted
    assert not ListenerRules(ListenerPlan("web", ())).trusts(address)
