"""ACLs of HAProxy as matches of routes.

Lives here: which criterion is which predicate. Must not live here: how conditions are combined
(lb.importing.haproxyrules).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lb.importing.haproxylines import Line
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, regex

_FETCH = re.compile(
    r"([\w.]+?)(?:_(beg|end|reg|sub|dom|dir|str))?(?:\(([^)]*)\))?((?:,(?:lower|field\(1,:\)|host_only))*)\Z"
)
_CONVERTER = re.compile(r",(lower|field\(1,:\)|host_only)")
_FIXED: dict[str, list[dict[str, Any]]] = {
    "TRUE": [{}],
    "FALSE": [],
    "always_true": [{}],
    "always_false": [],
    "HTTP": [{}],
}
_METHODS = {
    "METH_GET": ["GET", "HEAD"],
    "METH_POST": ["POST"],
    "METH_PUT": ["PUT"],
    "METH_DELETE": ["DELETE"],
}
_PARTS = {"hdr": "header", "req.hdr": "header", "req.fhdr": "header", "cook": "cookie", "req.cook": "cookie"}
_PARAMETERS = ("url_param", "urlp")
# An escape, a set of characters, or an anchor.
_OF_REGEX = re.compile(r"\\.|\[\^?\]?[^\]]*\]|[\^$]")


class Acls:
    """The ACLs of one frontend. `tls` and `plain`: names of its listeners."""

    def __init__(self, lines: Sequence[Line], tls: list[str], plain: list[str], draft: Draft) -> None:
        self._lines: dict[str, list[Line]] = {}
        for line in lines:
            if len(line.words) > 2:
                self._lines.setdefault(line.words[1], []).append(line)
        self._tls, self._plain, self._draft = tls, plain, draft
        self.at: Line | None = None  # the rule that asks, for notes
        self.exact = False  # it refuses: nothing that HAProxy refuses may get through

    def named(self, name: str) -> list[dict[str, Any]]:
        """Alternatives: one of them holds. Raises UnmappableError."""
        if name in _METHODS:
            return [{"method": _METHODS[name]}]
        if name in _FIXED:
            return [dict(one) for one in _FIXED[name]]
        if name not in self._lines:
            raise UnmappableError(f"there is no acl {name}")
        found: list[dict[str, Any]] = []
        for line in self._lines[name]:
            line.used = True
            found += self._criterion(line.words[2:], line)
        return found

    def behind(self, words: Sequence[str]) -> list[str]:
        """`words`, and those of the ACLs that are among them."""
        found = list(words)
        for word in words:
            found += [
                inner for line in self._lines.get(word.removeprefix("!"), ()) for inner in line.words[2:]
            ]
        return found

    def anonymous(self, words: Sequence[str]) -> list[dict[str, Any]]:
        """Of the words between braces. Raises UnmappableError."""
        if not words:
            raise UnmappableError("there is an empty condition")
        return self._criterion(words, self.at)

    def _criterion(self, words: Sequence[str], line: Line | None) -> list[dict[str, Any]]:
        if words[0] in _FIXED:
            return [dict(one) for one in _FIXED[words[0]]]
        found = _FETCH.match(words[0])
        if found is None:
            raise UnmappableError(f"no match of a route asks for {words[0]}")
        name, kind, argument = found[1], found[2] or "str", found[3] or ""
        ignore_case, kind, patterns = _flags(words[1:], kind)
        converters = set(_CONVERTER.findall(found[4]))
        if name in ("hdr", "req.hdr", "req.fhdr") and argument.split(",")[0].lower() == "host":
            return self._host(kind, patterns, line)  # which has no case and no port in lb
        if name in ("path", *_PARTS, *_PARAMETERS) and converters == {"lower"}:
            if any(re.search("[A-Z]", re.sub(r"\\.", "", one)) for one in patterns):
                raise UnmappableError(f"{words[0]} has no capitals, so it never holds")
            ignore_case = True
        elif converters or "," in argument:  # one of several values, or how they are parted
            raise UnmappableError(f"no match of a route asks for {words[0]}")
        if name == "ssl_fc":
            return self._of_tls(patterns)
        if name == "src":
            return [{"client_ip": list(patterns)}]
        if name == "method":
            return [{"method": [one.upper() for one in patterns]}]
        if name == "path":
            return self._path(kind, patterns, ignore_case, line)
        if _PARTS.get(name) == "header":
            header = argument.lower()
            if self.exact and kind != "found":
                return [{"header": {header: {"regex": _in_list(kind, one, ignore_case)}}} for one in patterns]
            values = _values(kind, patterns, ignore_case)
            if name != "req.fhdr" and kind not in ("found", "sub"):
                self._note(line, "lb compares the whole header, HAProxy each of its values between commas")
            return [{"header": {header: value}} for value in values]
        if name in _PARTS or name in _PARAMETERS:
            if kind != "found":
                self._of_first(line)
            part = _PARTS.get(name, "query")
            return [{part: {argument: value}} for value in _values(kind, patterns, ignore_case)]
        raise UnmappableError(f"no match of a route asks for {words[0]}")

    def _note(self, line: Line | None, why: str) -> None:
        if line:
            self._draft.note(line.place, str(line), why)

    def _of_first(self, line: Line | None) -> None:
        why = "lb looks at the first of that name, HAProxy at all"
        if line and self.exact:
            self._draft.gap(line.place, str(line), why, "have servers refuse it too")
        else:
            self._note(line, why)

    def _of_tls(self, patterns: Sequence[str]) -> list[dict[str, Any]]:
        wanted = self._plain if tuple(patterns) in (("0",), ("false",)) else self._tls
        return [{"listener": wanted}] if wanted else []

    def _host(self, kind: str, patterns: Sequence[str], line: Line | None) -> list[dict[str, Any]]:
        hosts = [re.sub(r":\d+\Z", "", one).lower() for one in patterns]
        if kind == "str":
            return [{"host": list(dict.fromkeys(hosts))}]
        if kind == "end" and all(one.startswith(".") for one in hosts):
            return [{"host": [f"*{one}" for one in hosts]}]
        if kind == "dom" and all("." in one for one in hosts):
            self._note(line, "as hosts it takes the domain and all names below it")
            return [{"host": [name for one in hosts for name in (one, f"*.{one}")]}]
        raise UnmappableError("hosts are exact or *.NAME in lb")

    def _path(
        self, kind: str, patterns: Sequence[str], ignore_case: bool, line: Line | None
    ) -> list[dict[str, Any]]:
        if (
            kind == "beg"
            and not ignore_case
            and not self.exact
            and all(one.startswith("/") for one in patterns)
        ):
            if any(one != "/" for one in patterns):
                self._note(line, "as path_prefix it takes whole segments, with or without a final slash")
            return [{"path_prefix": [one.rstrip("/") or "/" for one in patterns]}]
        if kind == "str" and not ignore_case:
            return [{"path": list(patterns)}]
        return [{"path_regex": [_regex(kind, one, ignore_case) for one in patterns]}]


def _flags(words: Sequence[str], kind: str) -> tuple[bool, str, list[str]]:
    ignore_case, at = False, 0
    while at < len(words) and words[at].startswith("-"):
        flag = words[at]
        at += 1
        if flag == "-i":
            ignore_case = True
        elif flag == "-m" and at < len(words):
            kind = words[at]
            at += 1
        elif flag == "--":
            break
        else:
            raise UnmappableError(f"lb has no counterpart of the flag {flag}")
    return ignore_case, kind, list(words[at:])


def _values(kind: str, patterns: Sequence[str], ignore_case: bool) -> list[Mapping[str, Any] | list[str]]:
    if kind == "found":
        return [{"present": True}]
    if kind == "str" and not ignore_case:
        return [list(patterns)]
    return [{"regex": _regex(kind, one, ignore_case)} for one in patterns]


def _in_list(kind: str, pattern: str, ignore_case: bool) -> str:
    """What is found in a header of which HAProxy looks at each value between commas."""
    plain, start, end = re.escape(pattern), r"(^|,)\s*", r"\s*(,|$)"
    made = {
        "str": f"{start}{plain}{end}",
        "beg": f"{start}{plain}",
        "end": f"{plain}{end}",
        "dir": rf"(^|[/?,])\s*{re.escape(pattern.strip('/'))}\s*([/?,]|$)",
    }.get(kind)
    if kind == "reg":
        anchors = {"^": r"(?:^|,\s*)", "$": r"(?:\s*,|\s*$)"}
        made = _OF_REGEX.sub(lambda found: anchors.get(found[0], found[0]), pattern)
    return _regex(kind, pattern, ignore_case) if made is None else regex(made, ignore_case)


def _regex(kind: str, pattern: str, ignore_case: bool) -> str:
    plain = re.escape(pattern)
    made = {
        "str": f"^{plain}$",
        "beg": f"^{plain}",
        "end": f"{plain}$",
        "sub": plain,
        "dir": f"/{re.escape(pattern.strip('/'))}(/|$)",
        "reg": pattern,
    }.get(kind)
    if made is None:
        raise UnmappableError(f"lb has no counterpart of -m {kind} here")
    return regex(made, ignore_case)
