"""What lb itself adds to or says instead of a server: header edits, redirects, fixed responses, splits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.message import Client
from lb.plan import HeaderEditsPlan, RedirectPlan, RespondPlan, WeightedService
from lb.routing.edits import HeaderEdits
from lb.routing.redirect import Redirect
from lb.routing.respond import Respond
from lb.routing.split import Split
from lb.routing.template import Variables
from tests.routing.making import bare, request


def _variables() -> Variables:
    variables = Variables()
    variables.fill(request("/a/b?c=d", "Example.com:81"), Client("192.0.2.1", "web"), b"https", b"id-7")
    return variables


def test_edits_set_add_remove() -> None:
    edits = HeaderEdits(
        HeaderEditsPlan(set=(("x-env", "prod"),), add=(("x-tag", "a"), ("x-tag", "b")), remove=("X-Debug",))
    )
    assert edits.drops == {b"x-env", b"x-debug"}
    assert edits.constant == b"x-env: prod\r\nx-tag: a\r\nx-tag: b\r\n"
    assert edits.lines(_variables()) == edits.constant


def test_edits_with_variables() -> None:
    edits = HeaderEdits(
        HeaderEditsPlan(
            set=(("x-all", "${client_ip} ${host} ${path} ${scheme} ${request_id}"),),
            add=(("x-b", "<${path}>"),),
        )
    )
    assert edits.constant is None
    assert edits.lines(_variables()) == b"x-all: 192.0.2.1 example.com /a/b https id-7\r\nx-b: </a/b>\r\n"


def test_variables_serve_one_request_after_another() -> None:
    variables = _variables()
    variables.fill(request("/other", "b.example"), Client("", "web"), b"http", b"")
    edits = HeaderEdits(HeaderEditsPlan(set=(("x", "${client_ip}|${host}|${path}|${scheme}|${request_id}"),)))
    assert edits.lines(variables) == b"x: |b.example|/other|http|\r\n"


@given(st.binary(), st.text())
def test_an_edit_is_one_line_whatever_is_in_it(path: bytes, literal: str) -> None:
    variables = Variables()
    variables.fill(bare(b"h", path), Client("", "web"), b"http", b"")
    edits = HeaderEdits(HeaderEditsPlan(set=(("x", literal.replace("$", "") + "${path}"),)))
    assert re.fullmatch(rb"x: [\t\x20-\x7e\x80-\xff]*\r\n", edits.lines(variables)) is not None
    constant = HeaderEdits(HeaderEditsPlan(set=(("x", literal.replace("$", "")),))).constant
    assert isinstance(constant, bytes)
    assert constant.count(b"\n") == 1


@pytest.mark.parametrize(
    "name", ["content-length", "Transfer-Encoding", "connection", "host", "a b", "", "x:", "x\r\n"]
)
def test_names_that_cannot_be_edited(name: str) -> None:
    for plan in (
        HeaderEditsPlan(set=((name, "1"),)),
        HeaderEditsPlan(add=((name, "1"),)),
        HeaderEditsPlan(remove=(name,)),
    ):
        with pytest.raises(ValueError, match="header"):
            HeaderEdits(plan)


@pytest.mark.parametrize("value", ["${uri}", "${", "${path", "${}"])
def test_variables_that_are_none(value: str) -> None:
    with pytest.raises(ValueError, match=r"\$\{"):
        HeaderEdits(HeaderEditsPlan(set=(("x", value),)))


# fmt: off
LOCATIONS = [
    # to                                     target            location
    ("https://www.example.com${path}",       "/a",             b"https://www.example.com/a"),
    ("https://www.example.com${uri}",        "/a?b=c",         b"https://www.example.com/a?b=c"),
    ("https://www.example.com${uri}",        "/a?",            b"https://www.example.com/a?"),
    ("${scheme}://${host}/new?${query}",     "/a?b=c",         b"http://example.com/new?b=c"),
    ("/new?${query}",                        "/a",             b"/new"),
    ("/new?x=1&${query}",                    "/a",             b"/new?x=1&"),
    ("https://www.example.com/",             "/a",             b"https://www.example.com/"),
    ("https://www.example.com${path}",       "//evil.com",     b"https://www.example.com//evil.com"),
    ("https://www.example.com${path}",       "*",              b"https://www.example.com/"),
    ("${path}",                              "//evil.com/x",   b"/evil.com/x"),
    ("${uri}",                               "///evil.com?x",  b"/evil.com?x"),
    ("/${path}",                             "/evil.com",      b"/evil.com"),
    ("/new${path}",                          "//evil.com",     b"/new//evil.com"),
    ("/new#part",                            "/a",             b"/new#part"),
    ("//cdn.example.com${path}",             "/a",             b"//cdn.example.com/a"),
    ("/caf\u00e9?q=a b\r\nx: y",             "/a",             b"/caf%C3%A9?q=a%20b%0D%0Ax:%20y"),
]
# fmt: on


@pytest.mark.parametrize(("to", "target", "location"), LOCATIONS)
def test_location(to: str, target: str, location: bytes) -> None:
    head = request(target, method="OPTIONS" if target == "*" else "GET")
    assert Redirect(RedirectPlan(to)).location(head, b"http") == location


@given(
    st.sampled_from(["${path}", "${uri}", "/${path}", "/${query}", "/a"]),
    st.binary(),
    st.none() | st.binary(),
)
def test_a_local_redirect_stays_here(to: str, rest: bytes, query: bytes | None) -> None:
    location = Redirect(RedirectPlan(to)).location(bare(b"h", b"/" + rest, query), b"http")
    assert re.fullmatch(rb"/([!-.0-\[\]-~][!-~]*)?", location) is not None


@given(st.binary(), st.none() | st.binary(), st.binary())
def test_a_location_is_one_line(rest: bytes, query: bytes | None, host: bytes) -> None:
    redirect = Redirect(RedirectPlan("https://${host}${uri}#${query}", 301))
    assert re.fullmatch(rb"[!-~]+", redirect.location(bare(host, b"/" + rest, query), b"http")) is not None
    assert redirect.status == 301


def test_redirects_that_are_none() -> None:
    with pytest.raises(ValueError, match="not 200"):
        Redirect(RedirectPlan("/", 200))
    with pytest.raises(ValueError, match="client_ip"):
        Redirect(RedirectPlan("/${client_ip}"))


def test_respond() -> None:
    respond = Respond(
        RespondPlan(418, "short and st\u00f6ut", (("Content-Type", "text/tea"), ("x", "a\r\nb")))
    )
    assert (respond.status, respond.body) == (418, "short and stöut".encode())
    assert respond.headers == b"content-type: text/tea\r\nx: a  b\r\n"


def test_respond_says_what_a_body_is() -> None:
    assert Respond(RespondPlan(200, "x")).headers == b"content-type: text/plain; charset=utf-8\r\n"
    assert Respond(RespondPlan(204)).headers == b""


@pytest.mark.parametrize(
    "plan",
    [
        RespondPlan(204, "x"),
        RespondPlan(199),
        RespondPlan(600),
        RespondPlan(200, "", (("content-length", "1"),)),
    ],
)
def test_responses_that_are_none(plan: RespondPlan) -> None:
    with pytest.raises(ValueError, match=r"status|header"):
        Respond(plan)


def _split(*weights: int) -> Split:
    return Split([WeightedService(f"s{n}", weight) for n, weight in enumerate(weights)])


@pytest.mark.parametrize(
    ("weights", "number", "service"),
    [
        ((95, 5), 0.0, 0),
        ((95, 5), 0.9499, 0),
        ((95, 5), 0.95, 1),
        ((95, 5), 0.9999, 1),
        ((0, 1, 0, 1, 0), 0.0, 1),
        ((0, 1, 0, 1, 0), 0.5, 3),
        ((1, 0), 0.9999, 0),
        ((3,), 0.5, 0),
        ((1, 1, 0), 1.0, 1),
    ],
)
def test_split(weights: tuple[int, ...], number: float, service: int) -> None:
    assert _split(*weights).choose(number) == service


@given(st.lists(st.integers(0, 1000), min_size=1).filter(any), st.floats(0, 1, exclude_max=True))
def test_a_service_without_weight_is_never_chosen(weights: list[int], number: float) -> None:
    assert weights[_split(*weights).choose(number)] > 0


def test_the_shares_are_the_weights() -> None:
    split = _split(95, 0, 4, 1)
    chosen = [split.choose(n / 1000) for n in range(1000)]
    assert [chosen.count(n) for n in range(4)] == [950, 0, 40, 10]


@pytest.mark.parametrize("weights", [(0,), (0, 0), (1, -1)])
def test_splits_that_are_none(weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="weights"):
        _split(*weights)
