"""Condition: which requests are meant, in a few words such as `route=api status=5xx slower=500ms`.

Lives here: reading the words, and the one function that says whether a request is meant. Must not live here:
where the facts come from (lb.proxy.keeping).
"""

from __future__ import annotations

import difflib
import re

from msgspec import Struct

MOST = 1000  # characters
_STATUS = re.compile(r"[1-5](?:[0-9][0-9]|xx)")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
NAMES = ("failed", "route", "service", "server", "method", "path", "client", "status", "slower")


class Condition(Struct, frozen=True):
    """All that is set must hold. `path` is a prefix of the request target; `status` three digits or such as
    5xx; `slower` seconds; `failed`: the outcome is not DONE, or the status is 500 or more, because of a
    "server" (or lb), the "client" or "any"."""

    route: str = ""
    service: str = ""
    server: str = ""
    method: str = ""
    path: str = ""
    client: str = ""
    status: str = ""
    slower: float = 0.0
    failed: str = ""

    def holds(
        self,
        names: tuple[str, str, str],
        method: str,
        target: str,
        client: str,
        status: int,
        duration: float,
        failed: str,
    ) -> bool:
        """Whether such a request is meant. `names`: of route, service, server; `failed`: because of whom
        (lb.outcomes.blamed), "" where it did not."""
        route, service, server = names
        return (
            (not self.failed or failed == self.failed or (self.failed == "any" and failed != ""))
            and duration >= self.slower
            and (not self.status or _covers(self.status, status))
            and (not self.route or self.route == route)
            and (not self.service or self.service == service)
            and (not self.server or self.server == server)
            and (not self.method or self.method == method)
            and (not self.client or self.client == client)
            and target.startswith(self.path)
        )


def _covers(wanted: str, status: int) -> bool:
    return status // 100 == int(wanted[0]) if wanted[1:] == "xx" else status == int(wanted)


def read_condition(text: str) -> Condition:
    """Reads words separated by white space; "" means every request. Raises ValueError with a sentence."""
    if len(text) > MOST:
        raise ValueError(f"a condition has at most {MOST} characters, this one {len(text)}")
    found: dict[str, str | float] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if word == "failed":
            name, equals, value = word, "=", "any"
        if name not in NAMES or not equals or not value:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
            raise ValueError(
                f"found {word[:60]!r}{hint}; expected failed, or {'=, '.join(NAMES)}= with a value"
            )
        if name in found:
            raise ValueError(f"{name}= stands there twice; name one")
        found[name] = _value(name, value)
    return Condition(**found)  # type: ignore[arg-type]  # by name


def _value(name: str, value: str) -> str | float:
    if name == "status" and not _STATUS.fullmatch(value):
        raise ValueError(f"found status={value[:40]}; expected a status such as 503, or 5xx")
    if name == "failed" and value not in ("any", "server", "client"):
        raise ValueError(f"found failed={value[:40]}; expected any, server or client")
    if name == "slower":
        duration = _DURATION.fullmatch(value)
        if duration is None:
            raise ValueError(f"found slower={value[:40]}; expected a duration such as 250ms, 5s or 2m")
        return float(duration[1]) * _SECONDS[duration[2]]
    if name == "path" and not value.startswith("/"):
        raise ValueError(f"found path={value[:40]}; expected the beginning of a path, such as /v1/")
    return value
