"""One access-log line from one ExchangeRecord, as fast as it can be made.

Lives here: LineFormat, a compiled format that knows which exchanges get a line, walks its fields and
returns the finished line. Must not live here: which fields there are (lb.telemetry.fields), bytes and
escaping (lb.telemetry.linebuffer), where lines go (lb.telemetry.logwriter).
"""

from __future__ import annotations

import os
from collections.abc import Collection

import cython

from lb.decisions import Select
from lb.telemetry.fields import NAMED, Kind, Part, json_parts, template_parts
from lb.telemetry.linebuffer import LineBuffer, json_text, plain_text
from lb.telemetry.record import ExchangeRecord
from lb.telemetry.redaction import EVERY, hide_values, subnet

TEXT: cython.int = int(Kind.TEXT)
NUMBER: cython.int = int(Kind.NUMBER)
SECONDS: cython.int = int(Kind.SECONDS)
TIME: cython.int = int(Kind.TIME)
FLAG: cython.int = int(Kind.FLAG)
SHARE: cython.int = int(Kind.SHARE)

# The codes of fields, counted from 0 within the fields of one kind.
_CODES: dict[str, int] = {
    **{name: code for code, name in enumerate((
        "client", "listener", "route", "service", "server", "method", "host", "target", "protocol",
        "flag", "reason", "request_id", "header", "client_subnet", "target_hidden", "referer_hidden",
        "omitted", "trace_id",
    ))},
    **{name: code for code, name in enumerate(("status", "bytes_in", "bytes_out", "generation"))},
    **{name: code for code, name in enumerate(("duration", "ttfb", "connect", "queue"))},
    **{name: code for code, name in enumerate(("time", "time_common"))},
    "attempts": 0,
    "upgraded": 0,
    "sample": 0,
}  # fmt: skip
# By the value of a Select; the values are dense from 0.
REASONS: list[bytes] = [
    b"" if reason == Select.NONE else reason.name.lower().encode() for reason in sorted(Select)
]
PROTOCOLS: list[bytes] = [b"HTTP/1.0", b"HTTP/1.1"]


def compile_format(
    format: str,
    *,
    sample: float = 1.0,
    slow: float = 1.0,
    subnet: bool = False,
    query: Collection[str] = (),
    omit: Collection[str] = (),
) -> LineFormat:
    """The compiled form of an access-log format: `json`, `common`, `combined`, or a template with
    ${fields}. `sample`: the share of ordinary exchanges that get a line, from 0 to 1; those of `slow`
    seconds or more always do. `subnet`, `query`, `omit`: clients by their networks only, parameters without
    their values (`*`: all), fields that are left out. Raises ValueError with a sentence for the operator. A
    LineFormat belongs to one thread."""
    if format == "json":
        parts, tail = json_parts({*omit, "sample"} if sample >= 1.0 else omit)
    else:
        parts, tail = template_parts(NAMED.get(format, format))
    parts = [_redacted(part, subnet, bool(query), omit) for part in parts]
    line = LineFormat([_piece(part) for part in parts], tail, format == "json")
    line.choose(sample, slow)
    if EVERY not in query:
        line.hidden = frozenset(name.lower().encode() for name in query)
    return line


def _redacted(part: Part, subnet: bool, query: bool, omit: Collection[str]) -> Part:
    header = part.argument.decode()
    if part.field in omit or (header and any(name.lower() == f"header:{header}" for name in omit)):
        return part._replace(field="omitted", kind=Kind.TEXT)
    if part.field == "client" and subnet:
        return part._replace(field="client_subnet")
    if part.field == "target" and query:
        return part._replace(field="target_hidden")
    if header == "referer" and query:  # the page before, with its parameters
        return part._replace(field="referer_hidden")
    return part


def _piece(part: Part) -> Piece:
    return Piece(part.before, part.after, int(part.kind), _CODES[part.field], part.argument)


@cython.cclass
class Piece:
    """One field of a line with the constant text around it."""

    before: bytes
    after: bytes
    kind: cython.int
    code: cython.int
    name: bytes

    def __init__(self, before: bytes, after: bytes, kind: int, code: int, name: bytes) -> None:
        self.before = before
        self.after = after
        self.kind = kind
        self.code = code
        self.name = name


@cython.cclass
class LineFormat(LineBuffer):
    """A compiled format. Not reentrant: the buffer is kept from line to line."""

    pieces: list[Piece]
    tail: bytes
    hidden: frozenset[bytes]  # the parameters whose values are not shown; empty: all
    share: cython.double
    share_text: bytes
    slow: cython.double  # seconds
    draw: cython.ulonglong  # the last random number, of 31 bits
    sampled: cython.bint  # the next line stands for others that are left out

    def __init__(self, pieces: list[Piece], tail: bytes, is_json: bool) -> None:
        LineBuffer.__init__(self, is_json)
        self.pieces = pieces
        self.tail = tail
        self.hidden = frozenset()
        self.sampled = False
        self.draw = int.from_bytes(os.urandom(4), "big") >> 1
        self.choose(1.0, 0.0)

    def choose(self, share: float, slow: float) -> None:
        """Give a line to `share` of the exchanges, and to all that take `slow` seconds or more."""
        self.share = share
        self.share_text = f"{share:g}".encode()
        self.slow = slow

    @cython.ccall
    @cython.exceptval(check=False)
    def keeps(self, failed: cython.bint, duration: cython.double) -> cython.bint:
        """Whether the exchange that took `duration` seconds gets a line, which must then be made next."""
        if self.share >= 1.0 or failed or duration >= self.slow:
            return True
        self.draw = (self.draw * 1103515245 + 12345) & 0x7FFFFFFF
        self.sampled = self.draw < self.share * 2147483648.0
        return self.sampled

    @cython.ccall
    def line(self, e: ExchangeRecord) -> bytes:
        """The line of this exchange, ended by LF and holding no other LF."""
        piece: Piece
        kind: cython.int
        value: bytes
        seconds: cython.double
        self.at = 0
        for piece in self.pieces:
            kind = piece.kind
            if kind == TEXT:
                value = self._text(piece, e)
                if value:
                    self._quoted(piece.before, value, piece.after)
                else:
                    self._nothing(piece)
            elif kind == NUMBER:
                self._raw(piece.before)
                self._number(self._integer(piece, e))
            elif kind == SECONDS:
                seconds = self._interval(piece, e)
                if seconds >= 0.0:
                    self._raw(piece.before)
                    self._seconds(seconds)
                else:
                    self._nothing(piece)
            elif kind == TIME:
                self._raw(piece.before)
                self._time(e.time, piece.code == 1)
                self._raw(piece.after)
            elif kind == FLAG:
                if e.upgraded:
                    self._raw(piece.before)
                    self._raw(b"true")
                else:
                    self._nothing(piece)
            elif kind == SHARE:
                if self.sampled:
                    self._raw(piece.before)
                    self._raw(self.share_text)
                else:
                    self._nothing(piece)
            else:
                self._attempts(piece, e)
        self.sampled = False
        self._raw(self.tail)
        return self._finished()

    # ------------------------------------------------------------------------------------ the values

    @cython.cfunc
    def _text(self, piece: Piece, e: ExchangeRecord) -> bytes:
        code: cython.int = piece.code
        if code < 6:
            if code == 0:
                return e.client.encode("utf-8")  # named: then compiled to one C call
            if code == 1:
                return e.listener
            if code == 2:
                return e.route
            if code == 3:
                return e.service
            if code == 4:
                return e.server
            return e.method
        if code == 6:
            return e.host
        if code == 7:
            return e.target
        if code == 8:
            return PROTOCOLS[1 if e.minor else 0]
        if code == 9:
            return e.flag
        if code == 10:
            return REASONS[e.reason] if 0 <= e.reason < len(REASONS) else b""
        if code == 11:
            return e.request_id
        if code == 13:
            return subnet(e.client)
        if code == 14:
            return hide_values(e.target, self.hidden)
        if code == 16:
            return b""
        if code == 17:
            return e.trace_id
        found: object = None if e.head is None else e.head.header(piece.name)
        value: bytes = found if isinstance(found, bytes) else b""
        return hide_values(value, self.hidden) if code == 15 else value

    @cython.cfunc
    @cython.exceptval(check=False)
    def _integer(self, piece: Piece, e: ExchangeRecord) -> cython.longlong:
        code: cython.int = piece.code
        if code == 0:
            return e.status
        if code == 1:
            return e.bytes_in
        if code == 2:
            return e.bytes_out
        return e.generation

    @cython.cfunc
    @cython.exceptval(check=False)
    def _interval(self, piece: Piece, e: ExchangeRecord) -> cython.double:
        code: cython.int = piece.code
        if code == 0:
            return e.duration
        if code == 1:
            return e.ttfb
        if code == 2:
            return e.connect
        return e.queue

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _nothing(self, piece: Piece) -> cython.int:
        """A field without a value: left out of JSON, a dash in text."""
        if not self.is_json:
            self._raw(piece.before)
            self._raw(b"-")
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _attempts(self, piece: Piece, e: ExchangeRecord) -> cython.int:
        """JSON: only what other fields do not say. Text: server:status:seconds:flag[:word], comma between."""
        if self.is_json:
            return self._attempts_json(piece, e) if e.attempts else 0
        if not e.attempts and not e.server:
            return self._nothing(piece)
        single = (e.server, e.status, e.duration if e.ttfb < 0 else e.ttfb, e.flag, b"")
        between = piece.before
        for server, status, seconds, flag, word in e.attempts or [single]:
            self._raw(b"%b%b:%d:" % (between, plain_text(server), status))
            self._seconds(max(seconds, 0.0))
            self._raw(b":%b:%b" % (flag, word) if word else b":%b" % flag)
            between = b","
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _attempts_json(self, piece: Piece, e: ExchangeRecord) -> cython.int:
        """An object each, in which what is unknown or did not happen is left out too."""
        opening = piece.before + b'[{"server":"'
        for (server, status, seconds, flag, word), (reason, began, reused, connect, _span) in zip(
            e.attempts, e.picks, strict=True
        ):
            self._raw(b'%b%b","reason":"%b","began":' % (opening, json_text(server), REASONS[reason]))
            self._seconds(began)
            if reused:
                self._raw(b',"reused":true')
            elif connect >= 0.0:
                self._raw(b',"connect":')
                self._seconds(connect)
            self._raw(b',"status":%d,"duration":' % status)
            self._seconds(max(seconds, 0.0))
            self._raw(b',"flag":"%b","word":"%b"}' % (flag, word) if word else b',"flag":"%b"}' % flag)
            opening = b',{"server":"'
        return self._raw(b"]")
