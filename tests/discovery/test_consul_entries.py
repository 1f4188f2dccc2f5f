"""Entries of Consul → Members: status, weight, address, zone; what is wrong is set aside alone."""

from __future__ import annotations

import contextlib
import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.discovery.consul_entries import membership
from lb.discovery.consul_settings import ConsulQuery
from lb.discovery.contract import Member, Membership, ProviderError, Registered
from tests.discovery.agents import entry

WEB = ConsulQuery(service="web")


def read(*entries, **query) -> Membership:
    return membership(json.dumps(entries).encode(), ConsulQuery(service="web", **query))


def only(found: Membership) -> Member:
    (member,) = found.members
    assert found.unusable == ()
    return member


W = {"Weights": {"Passing": 10, "Warning": 3}}
STATUS = {
    "no checks": ([], Registered.UP, 10, ""),
    "passing": ([("a", "passing")], Registered.UP, 10, ""),
    "warning": ([("a", "passing"), ("b", "warning")], Registered.UP, 3, ""),
    "critical": ([("a", "warning"), ("b", "critical")], Registered.DOWN, 10, "critical: b"),
    "machine": ([("serfHealth", "critical")], Registered.DOWN, 10, "critical: serfHealth"),
    "machine in maintenance": ([("_node_maintenance", "critical")], Registered.DOWN, 10, "maintenance"),
    "service in maintenance": (
        [("_service_maintenance:web-1", "critical"), ("z", "critical")],
        Registered.DOWN,
        10,
        "maintenance",
    ),
}


@pytest.mark.parametrize("name", STATUS)
def test_status(name):
    checks, state, weight, why = STATUS[name]
    member = only(read(entry(checks=checks, **W)))
    assert (member.state, member.weight, member.why) == (state, weight, why)


@pytest.mark.parametrize("policy", list(Registered))
def test_policy_of_warning(policy):
    member = only(read(entry(checks=[("a", "warning")], **W), warning=policy))
    assert (member.state, member.weight) == (policy, 3)
    assert member.why == ("" if policy is Registered.UP else "warning: a")


def test_reason_of_maintenance():
    given_ = entry(checks=[("_node_maintenance", "critical")])
    given_["Checks"][0]["Notes"] = "new disk\n"
    assert only(read(given_)).why == "maintenance: new disk�"


@pytest.mark.parametrize("weights", [{}, {"Weights": None}, {"Weights": {}}])
def test_no_weights(weights):
    assert only(read(entry(**weights))).weight == 1


def test_weight_zero_is_legal():
    assert only(read(entry(Weights={"Passing": 0, "Warning": 0}))).weight == 0


ADDRESSES = {
    ("10.0.0.1", 80): "10.0.0.1:80",
    ("", 80): "10.9.9.9:80",
    ("fd00::1", 80): "[fd00::1]:80",
    ("[fd00::1]", 80): "[fd00::1]:80",
    ("FD00:0::1", 80): "[fd00::1]:80",
    ("Web.Example.com", 65535): "web.example.com:65535",
}


@pytest.mark.parametrize("given_", ADDRESSES)
def test_address(given_):
    assert only(read(entry(*given_))).address == ADDRESSES[given_]


WRONG = {
    "no port": entry(port=0),
    "port too high": entry(port=65_536),
    "port is text": entry(port="80"),
    "address is a URL": entry("http://10.0.0.1"),
    "address is a socket": entry("unix:/run/x"),
    "address with a port": entry("10.0.0.1:80"),
    "address with a line break": entry("10.0.0.1\r\nx"),
    "any address": entry("0.0.0.0"),
    "address with a zone": entry("fe80::1%eth0"),
    "weight too high": entry(Weights={"Passing": 65_536, "Warning": 1}),
    "weight negative": entry(Weights={"Passing": -1, "Warning": 1}),
    "weight is text": entry(Weights={"Passing": "1"}),
    "unknown status": entry(checks=[("a", "fine")]),
    "no service": {"Node": {"Node": "n"}},
    "no machine": {"Service": {"ID": "web-1", "Port": 80}},
    "text": "entry",
    "null": None,
    "deep": json.loads("[" * 200 + "]" * 200),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_entry_is_set_aside_alone(name):
    found = read(WRONG[name], entry("10.0.0.2", id="web-2"))
    assert [member.address for member in found.members] == ["10.0.0.2:8080"]
    (set_aside,) = found.unusable
    assert set_aside.entry and set_aside.reason
    assert (set_aside.entry + set_aside.reason).isprintable()


def test_a_wrong_entry_is_named():
    assert read(entry(port=0)).unusable[0].entry == "n1/web-1"


def test_the_same_id_on_two_machines_is_two_servers():
    found = read(entry("10.0.0.1", node="n1"), entry("10.0.0.2", node="n2"))
    assert [member.name for member in found.members] == ["n1/web-1", "n2/web-1"]


def test_of_one_address_the_best_is_kept_whatever_the_order():
    entries = [
        entry(node="n1", checks=[("serfHealth", "critical")]),
        entry(node="n2"),
        entry(node="n3"),
    ]
    words = {read(*order) for order in permutations(entries)}
    (found,) = words
    assert [member.name for member in found.members] == ["n2/web-1"]
    assert [one.entry for one in found.unusable] == ["n1/web-1", "n3/web-1"]


def test_zone():
    assert only(read(entry())).zone == "a"
    assert only(read(entry(Meta={"zone": "b"}))).zone == "b"
    assert only(read(entry(), zone_key="rack")).zone == ""
    assert only(read(entry(Locality={"Region": "r", "Zone": "c"}), zone_key="rack")).zone == "c"
    assert only(read(entry(Meta=None, Locality=None))).zone == "a"


def test_order_says_nothing():
    entries = [entry(f"10.0.0.{number}", id=f"web-{number}") for number in range(1, 4)]
    assert len({read(*order) for order in permutations(entries)}) == 1


@given(st.binary(max_size=200))
def test_any_bytes(body):
    for query in (WEB, ConsulQuery(prepared_query="q")):
        with contextlib.suppress(ProviderError):
            assert isinstance(membership(body, query), Membership)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False)
)
KEYS = st.sampled_from(
    ["Node", "Service", "Checks", "ID", "Port", "Address", "Weights", "Passing", "Meta", "x"]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5)
)


@given(st.lists(JSON, max_size=5))
def test_any_entries_leave_the_good_one_alone(entries):
    found = read(*entries, entry("10.77.0.1", id="good"))
    assert "10.77.0.1:8080" in [member.address for member in found.members]
    assert len(found.members) + len(found.unusable) == len(entries) + 1
