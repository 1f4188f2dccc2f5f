"""Debugging one request: its decision in the fields of the response, where a signed header asks for it.

Lives here: whether the signature holds, and the lines. A wrong, expired or malformed one changes nothing.
Must not live here: the signature itself (lb.telemetry.debugtoken). Runs only for requests that carry
X-LB-Debug, and only where a key is configured.
"""

from __future__ import annotations

from time import monotonic

from lb.decisions import Select
from lb.outcomes import TABLE, Outcome
from lb.proxy.keeping import attempts_of
from lb.proxy.state import ExchangeState
from lb.telemetry.debugtoken import holds
from lb.telemetry.decision import Kept

FIELD = b"x-lb-debug"


def ask(exchange: ExchangeState) -> None:
    """The request carries the header: keep its decision where the signature holds."""
    core = exchange.core
    token = exchange.head.header(FIELD)
    if token is not None and core.debug_key is not None:
        if holds(core.debug_key, token, core.epoch + core.now):
            exchange.keep |= Kept.DEBUG


def lines(exchange: ExchangeState) -> bytes:
    """The field lines of a response whose head goes out now."""
    attempts = attempts_of(exchange, monotonic() - exchange.began)
    tried = ", ".join(
        f"{one.server};status={one.status};flag={one.flag};reason={Select(one.reason).name.lower()}"
        f";began={one.began:.6f};took={one.duration:.6f}"
        for one in attempts
    )
    said = {
        "Request-Id": exchange.request_id.decode(),
        "Route": exchange.rules.label.decode() if exchange.rules is not None else "",
        "Service": exchange.service.name if exchange.service is not None else "",
        "Server": exchange.server.address if exchange.server is not None else "",
        "Reason": Select(exchange.reason).name.lower() if exchange.reason else "",
        "Outcome": TABLE[Outcome(exchange.outcome)].flag,
        "Attempts": tried,
        "Generation": str(exchange.generation),
    }
    return "".join(f"X-LB-{name}: {value}\r\n" for name, value in said.items() if value).encode()
