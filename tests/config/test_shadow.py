# ruff: noqa: E501 - tables of messages read better unbroken
"""Hidden routes: examples, and the promise that what is reported can never win."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.config.shadow import hidden_routes
from lb.message import Client, RequestHead
from lb.plan import MatchPlan, RespondPlan, RoutePlan, ValuePlan
from lb.routing.table import build_table

LISTENERS = ("web", "inner")


def hidden(*matches, priorities=()):
    plans = [
        RoutePlan(f"r{n}", match, priorities[n] if priorities else 0, respond=RespondPlan())
        for n, match in enumerate(matches)
    ]
    return [(found.route, found.by) for found in hidden_routes(build_table(plans).routes, plans, LISTENERS)]


M = MatchPlan


def V(name, **what):
    return ValuePlan(name, **what)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (M(), M()),
        (M(path_prefix=("/a",)), M(path_prefix=("/a/",))),
        (M(host=("a.b",)), M(host=("a.b",))),
        (M(host=("*.a.b", "x.y"), method=("GET", "PUT")), M(host=("x.y", "*.a.b"), method=("GET",))),
        (M(client_ip=("10.0.0.0/8", "::/0")), M(client_ip=("10.1.0.0/16", "2001:db8::/32"))),
        (M(header=(V("a", regex="^x"),)), M(header=(V("a", exact=("xy", "xz")),))),
        (M(header=(V("a", present=True),)), M(header=(V("a", exact=("1",)),))),
        (M(header=(V("a", present=True),)), M(header=(V("a", regex="b"),))),
        (M(query=(V("a", exact=("1", "2")),)), M(query=(V("a", exact=("2",)),))),
        (M(cookie=(V("a", present=False),)), M(cookie=(V("a", present=False),))),
        (M(path_regex=("a", "b")), M(path_regex=("b",))),
        (M(listener=("web", "inner")), M(listener=("web",))),
        (M(path_regex=("^/x",), path=()), M(path_regex=("^/x",))),
    ],
)
def test_the_later_of_two_alike_is_hidden(first, second):
    assert hidden(first, second) == [(1, (0,))]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (M(), M(path=("/a",))),
        (M(), M(host=("a.b",), path_prefix=("/a",), method=("GET",))),
        (M(path_prefix=("/",)), M(path=("/a",))),
        (M(path_prefix=("/a",)), M(path_prefix=("/a/b",))),
        (M(path_regex=("^/a",)), M(path=("/ab", "/a"))),
        (M(host=("*.b",)), M(host=("a.b",))),
        (M(host=("*.b",)), M(host=("*.a.b",))),
        (M(listener=("inner", "web")), M(path=("/a",))),
    ],
)
def test_the_narrower_is_hidden_only_by_priority(wide, narrow):
    assert hidden(wide, narrow) == []
    assert hidden(narrow, wide) == []
    assert hidden(wide, narrow, priorities=(1, 0)) == [(1, (0,))]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (M(host=("*.a.b",)), M(host=("a.b",))),
        (M(path_prefix=("/a",)), M(path_prefix=("/ab",))),
        (M(path_prefix=("/",)), M()),  # OPTIONS *
        (M(path_regex=("^/a$",)), M(path_prefix=("/a",))),
        (M(path=("/a",)), M(path=("/a", "/b"))),
        (M(method=("GET",)), M(method=("GET", "PUT"))),
        (M(client_ip=("10.0.0.0/8",)), M(client_ip=("0.0.0.0/0",))),
        (M(client_ip=("10.0.0.0/8",)), M()),
        (M(header=(V("a", exact=("1",)),)), M(header=(V("a", present=True),))),
        (M(header=(V("a", present=False),)), M(header=(V("a", exact=("1",)),))),
        (M(header=(V("a", regex="^x"),)), M(header=(V("a", exact=("xy", "y")),))),
        (M(header=(V("a", exact=("1",)),)), M(query=(V("a", exact=("1",)),))),
        (M(listener=("web",)), M()),
    ],
)
def test_what_is_not_hidden_even_by_priority(first, second):
    assert hidden(first, second, priorities=(1, 0)) == []


def test_several_routes_together_are_named():
    both = M(host=("a.b", "c.d"))
    assert hidden(M(host=("a.b",)), M(host=("c.d",)), both) == [(2, (0, 1))]


hosts = st.lists(st.sampled_from(["a.b", "*.b", "*.a.b", "x.a.b"]), max_size=2, unique=True).map(tuple)
paths = st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab"])
some = st.lists(paths, min_size=1, max_size=2, unique=True).map(tuple)
where = st.one_of(
    st.just({}),
    some.map(lambda p: {"path": p}),
    some.map(lambda p: {"path_prefix": p}),
    st.lists(st.sampled_from(["^/a", "b$", "^/$"]), min_size=1, max_size=2, unique=True).map(lambda p: {"path_regex": tuple(p)}),
)  # fmt: skip
values = st.one_of(
    st.just(()),
    st.sampled_from(
        [V("x", exact=("1",)), V("x", exact=("1", "2")), V("x", regex="1|3"), V("x", present=True), V("x", present=False)]
    ).map(lambda value: (value,)),
)  # fmt: skip
matches = st.builds(
    lambda host, path, method, header, client, listener: M(
        host=host, method=method, header=header, client_ip=client, listener=listener, **path
    ),
    hosts, where, st.sampled_from([(), ("GET",), ("GET", "PUT")]), values,
    st.sampled_from([(), ("10.0.0.0/8",), ("10.1.0.0/16",), ("10.0.0.0/8", "11.0.0.0/8")]),
    st.sampled_from([(), ("web",), LISTENERS]),
)  # fmt: skip


def requests():
    """All requests that tell the predicates above apart, and then some."""
    for host, path, value, (address, listener), method in itertools.product(
        (b"a.b", b"b", b"x.a.b", b"c.b", b"z"),
        (b"/", b"/a", b"/a/", b"/a/b", b"/ab", b"/b", b"*"),
        (None, b"1", b"2", b"3"),
        (("10.1.2.3", "web"), ("10.2.2.3", "inner"), ("11.2.2.3", "web"), ("12.2.2.3", "inner"), ("", "web")),
        (b"GET", b"PUT", b"POST"),
    ):
        head = RequestHead()
        head.method, head.host, head.path, head.target = method, host, path, path
        line = b"" if value is None else b"x: %b\r\n" % value
        head.raw = line + b"\r\n"
        head.lines, head.end = 0, len(head.raw)
        yield head, Client(address, listener)


REQUESTS = list(requests())


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(matches, st.integers(0, 1)), min_size=2, max_size=6))
def test_no_false_positives(routes):
    plans = [
        RoutePlan(f"r{n}", match, priority, respond=RespondPlan())
        for n, (match, priority) in enumerate(routes)
    ]
    table = build_table(plans)
    found = hidden_routes(table.routes, plans, LISTENERS)
    if found:
        winners = {table.match(head, client) for head, client in REQUESTS}
        assert winners.isdisjoint(entry.route for entry in found)
        assert all(entry.route not in entry.by for entry in found)


def test_many_routes_of_one_host_and_path_stay_quick():
    plans = [
        RoutePlan(f"r{n}", M(header=(V("a", exact=(str(n),)),)), respond=RespondPlan()) for n in range(2000)
    ]
    assert hidden_routes(build_table(plans).routes, plans, LISTENERS) == []
