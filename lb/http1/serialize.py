"""Putting framing on: status lines, chunks, last chunks. The counterpart of head and body readers."""

from __future__ import annotations

from http import HTTPStatus

import cython

_REASONS: dict[int, str] = {s.value: s.phrase for s in HTTPStatus}
_STATUS_LINES: dict[int, bytes] = {
    status: f"HTTP/1.1 {status} {phrase}\r\n".encode() for status, phrase in _REASONS.items()
}


def status_line(status: int) -> bytes:
    """The status line of an answer of lb's own, with CRLF."""
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()


def reason_phrase(status: int) -> str:
    return _REASONS.get(status, "")


@cython.ccall
def chunk(piece: bytes) -> bytes:
    """`piece` as one chunk; b"" gives b"", never the last chunk by mistake."""
    if not piece:
        return piece
    return b"".join((b"%x\r\n" % len(piece), piece, b"\r\n"))


@cython.ccall
def last_chunk(trailers: bytes) -> bytes:
    """The end of a chunked body; `trailers` as lines with CRLF."""
    return b"0\r\n%b\r\n" % trailers if trailers else b"0\r\n\r\n"
