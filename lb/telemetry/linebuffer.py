"""The buffer in which an access-log line is written, character by character.

Lives here: constant text, escaped text, numbers, times. Must not live here: fields and formats.

What comes from the network is never trusted: in JSON everything but printable ASCII is escaped (bytes
that are not UTF-8 as \\u00XX), in text formats as \\xXX, quotes and backslashes too, so that no request
can end a line, forge a second one or send control sequences to a terminal.
"""

from __future__ import annotations

import json
import time

import cython

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# What needs no escaping in any format.
_PRINTABLE = bytes(c for c in range(32, 127) if c not in b'"\\')
_SAFE_TABLE = bytes(c in _PRINTABLE for c in range(256))
SAFE: cython.p_const_uchar = _SAFE_TABLE  # the same bytes, for C


@cython.cclass
class LineBuffer:
    """Bytes of one line, `store[:at]`. `is_json` chooses the escaping."""

    is_json: cython.bint
    store: bytearray
    to: cython.p_uchar  # its first byte
    at: cython.Py_ssize_t
    room: cython.Py_ssize_t
    second: cython.longlong  # the second that `iso` and `clf` show
    iso: bytes
    clf: bytes

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json
        self.room = 4096
        self.store = bytearray(self.room)
        self.to = self.store
        self.at = 0
        self.second = -1
        self.iso = self.clf = b""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _grow(self, n: cython.Py_ssize_t) -> cython.int:
        """Make room for `n` bytes more, and as much again."""
        self.store.extend(bytes(self.at + n))
        self.room = len(self.store)
        self.to = self.store
        return 0

    @cython.cfunc
    def _finished(self) -> bytes:
        if cython.compiled:
            return self.to[: self.at]  # type: ignore
        return bytes(self.store[: self.at])

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _raw(self, text: bytes) -> cython.int:
        """Text that needs no escaping."""
        n: cython.Py_ssize_t = len(text)
        if self.at + n > self.room:
            self._grow(n)
        if cython.compiled:
            memcpy(self.to + self.at, cython.cast(cython.p_const_uchar, text), n)  # type: ignore  # noqa: F821
        else:
            self.store[self.at : self.at + n] = text
        self.at += n
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _quoted(self, before: bytes, value: bytes, after: bytes) -> cython.int:
        """`value`, escaped, between two constant texts."""
        self._raw(before)
        if cython.compiled:
            n: cython.Py_ssize_t = len(value)
            if self.at + n > self.room:
                self._grow(n)
            to: cython.p_uchar = self.to + self.at  # type: ignore
            source: cython.p_const_uchar = value
            i: cython.Py_ssize_t = 0
            while i < n and SAFE[source[i]]:
                to[i] = source[i]
                i += 1
            if i == n:
                self.at += n
            else:
                self._raw(json_text(value) if self.is_json else plain_text(value))
        elif value.translate(None, _PRINTABLE):
            self._raw(json_text(value) if self.is_json else plain_text(value))
        else:
            self._raw(value)
        return self._raw(after)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    @cython.boundscheck(False)
    @cython.wraparound(False)
    @cython.cdivision(True)
    def _number(self, n: cython.longlong) -> cython.int:
        """A whole number; what cannot be negative is written as 0 where it is."""
        digits: cython.int = 1
        power: cython.ulonglong = 10
        i: cython.int
        n = max(n, 0)
        if not cython.compiled:
            return self._raw(b"%d" % n)
        while digits < 19 and cython.cast(cython.ulonglong, n) >= power:
            power *= 10
            digits += 1
        if self.at + digits > self.room:
            self._grow(digits)
        to: cython.p_uchar = self.to
        for i in range(digits - 1, -1, -1):
            to[self.at + i] = 48 + n % 10
            n //= 10
        self.at += digits
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    @cython.boundscheck(False)
    @cython.wraparound(False)
    @cython.cdivision(True)
    def _seconds(self, seconds: cython.double) -> cython.int:
        """Six decimals, made of whole microseconds: formatting a float costs ten times as much."""
        us: cython.longlong = cython.cast(cython.longlong, seconds * 1e6 + 0.5)
        i: cython.int
        if not cython.compiled:
            return self._raw(b"%d.%06d" % divmod(us, 1_000_000))
        self._number(us // 1_000_000)
        if self.at + 7 > self.room:
            self._grow(7)
        to: cython.p_uchar = self.to
        to[self.at] = 46
        for i in range(6, 0, -1):
            to[self.at + i] = 48 + us % 10
            us //= 10
        self.at += 7
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    @cython.cdivision(True)
    def _time(self, when: cython.double, common: cython.bint) -> cython.int:
        ms: cython.longlong = cython.cast(cython.longlong, when * 1e3)
        if ms // 1000 != self.second:
            self._new_second(ms // 1000)
        if common:
            return self._raw(self.clf)
        self._raw(self.iso)
        if self.at + 5 > self.room:
            self._grow(5)
        to: cython.p_uchar = self.to
        to[self.at] = 46
        to[self.at + 1] = 48 + ms // 100 % 10
        to[self.at + 2] = 48 + ms // 10 % 10
        to[self.at + 3] = 48 + ms % 10
        to[self.at + 4] = 90
        self.at += 5
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _new_second(self, second: cython.longlong) -> cython.int:
        t = time.gmtime(second)
        self.second = second
        clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
        self.iso = f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{clock}".encode()
        self.clf = f"{t.tm_mday:02}/{_MONTHS[t.tm_mon - 1]}/{t.tm_year:04}:{clock} +0000".encode()
        return 0


def json_text(value: bytes) -> bytes:
    """The inside of a JSON string in ASCII: `value` as UTF-8, or, where it is not, byte by byte."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return json.dumps(text)[1:-1].replace("\x7f", "\\u007f").encode("ascii")


def plain_text(value: bytes) -> bytes:
    """Printable ASCII without quotes and backslashes; every other byte as \\xXX, as nginx does."""
    return "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\x{c:02X}" for c in value).encode()
