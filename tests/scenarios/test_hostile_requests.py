"""Every hostile request is refused alike however it arrives, and odd but legal ones are served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Scenario
from .tables import bodies, heads, legal

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n"


def feeds(raw: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Whole, split at some points, and (what is not long) byte by byte."""
    yield "whole", [raw]
    n = len(raw)
    for at in sorted({1, n // 3, n // 2, n - 2, n - 1} & set(range(1, n))):
        yield f"split at {at}", [raw[:at], raw[at:]]
    if n <= 1000:
        yield "byte by byte", [raw[i : i + 1] for i in range(n)]


def refused(front: Scenario, how: str, pieces: list[bytes], statuses: frozenset[int]) -> None:
    with front.client() as c:
        c.send_pieces(pieces)
        response = c.recv_response()
        assert response.status in statuses, f"{how}: {response.head.raw!r}"
        assert response.head.tokens("connection") == ["close"], f"{how}: {response.head.raw!r}"
        assert c.closed(), f"{how}: still open, or more came: {c.pending!r}"


@pytest.mark.parametrize(("raw", "statuses"), [c[1:] for c in heads.CASES], ids=[c[0] for c in heads.CASES])
def test_a_bad_head_is_refused(front: Scenario, raw: bytes, statuses: frozenset[int]) -> None:
    for how, pieces in feeds(raw):
        refused(front, how, pieces, statuses)
    # behind a head without an end, the next request is part of it: too large and malformed as well
    refused(
        front,
        "with a request behind it",
        [raw + NEXT],
        statuses if raw.endswith(b"\r\n\r\n") else statuses | {400},
    )
    assert front.a.exchanges == [], f"it reached the server: {[x.head.raw for x in front.a.exchanges]}"


@pytest.mark.parametrize(("raw", "statuses"), [c[1:] for c in bodies.CASES], ids=[c[0] for c in bodies.CASES])
def test_a_bad_chunked_body_is_refused(front: Scenario, raw: bytes, statuses: frozenset[int]) -> None:
    for how, pieces in feeds(raw):
        refused(front, how, pieces, statuses)
    refused(front, "with a request behind it", [raw + NEXT], statuses)
    for x in front.a.exchanges:
        assert not x.complete, f"a server took it for whole: {x.head.raw!r}"
        assert x.target == "/", "what came after it reached a server"
        assert x.dropped(), "the server connection is still open"


@pytest.mark.parametrize(
    ("raw", "target", "body"), [c[1:] for c in legal.CASES], ids=[c[0] for c in legal.CASES]
)
def test_what_is_odd_but_legal_is_served(front: Scenario, raw: bytes, target: str, body: bytes) -> None:
    for how, pieces in feeds(raw):
        with front.client() as c:
            c.send_pieces(pieces)
            response = c.recv_response()
            assert response.status == 200, f"{how}: {response.head.raw!r} {response.body!r}"
            x = front.a.last()
            assert (x.target, x.body()) == (target, body), how
            # the connection is still in step: the next request on it is served
            if b"HTTP/1.0" not in raw:
                assert c.get("/next").status == 200, how


def test_what_stands_around_values_is_not_passed_on(front: Scenario) -> None:
    with front.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost:\texample.test \r\nX-A: \t b c\t \r\n\r\n")
        seen = c.recv_response().seen_by_server()
    assert (seen.get("host"), seen.get("x-a")) == ("example.test", "b c")


def test_lb_still_serves_after_all_that(front: Scenario) -> None:
    assert front.get("/after").status == 200
    assert "Traceback" not in front.lb.said()
