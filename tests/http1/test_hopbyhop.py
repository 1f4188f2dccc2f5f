"""Which field lines go on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lb.http1.hopbyhop import HOP_BY_HOP, append_lines
from lb.http1.request import read_request
from lb.message import RequestHead


def kept(*fields: bytes, drop: int = HOP_BY_HOP, names: frozenset[bytes] | None = None) -> bytes:
    raw = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n"
    head = RequestHead()
    assert read_request(raw, 0, 0, head, 32768, 100) == len(raw)
    parts: list[bytes] = []
    append_lines(parts, head, head.start, drop, names)
    return b"".join(parts)


START = b"GET / HTTP/1.1\r\nHost: a\r\n"


def test_hop_by_hop_lines_are_cut_out_of_the_runs() -> None:
    assert kept(b"A: 1", b"Connection: close", b"B: 2", b"Keep-Alive: 5", b"TE: trailers", b"C: 3") == (
        START + b"A: 1\r\nB: 2\r\nC: 3\r\n"
    )
    assert kept(b"Connection: upgrade", b"Upgrade: websocket", b"Proxy-Connection: x") == START
    assert kept() == START


def test_lines_by_name() -> None:
    names = frozenset({b"x-secret", b"host"})
    got = kept(b"A: 1", b"X-Secret: 2", b"Connection: x-secret", b"x-secret: 3", b"B: 4", names=names)
    assert got == b"GET / HTTP/1.1\r\nA: 1\r\nB: 4\r\n"


@given(st.lists(st.sampled_from([b"A: 1", b"Connection: keep-alive", b"TE: x", b"X-Z: 1", b"Keep-Alive: 1"])))
def test_both_ways_of_cutting_agree(fields: list[bytes]) -> None:
    assert kept(*fields) == kept(*fields, names=frozenset({b"not-there"}))
