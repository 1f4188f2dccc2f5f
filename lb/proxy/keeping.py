"""Keeping: the Decision of an exchange that failed, was slow, is in the sample, or that somebody waits for.

Lives here: which are kept, the record made of one at its end, and the bounds between two ticks. Must not
live here: the look that most exchanges get (lb.proxy.account), where decisions go (lb.worker.work). Nothing
here runs for an exchange that is not kept, unless a tail is on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lb.decisions import Attempt as Word
from lb.http1.fields import X_FORWARDED_PROTO, joined
from lb.outcomes import TABLE, Outcome, blamed
from lb.plan import DecisionsPlan, TailPlan
from lb.proxy.core import TICK, Core
from lb.proxy.rules import ListenerRules
from lb.proxy.state import ExchangeState
from lb.telemetry import layout
from lb.telemetry.decision import Attempt, Decision, Kept

MOST = 100  # decisions between two ticks
OF_CLIENTS = MOST // 2  # beyond so many, none of a failure that a client caused: a flood hides no other
# Of them at most so many that are only in the sample, ten a second: a decision costs about 50 µs in all, and
# 1 % of 50,000 requests a second was 5 % more CPU and 15 % more p99; more would only push out older ones.
SAMPLED = 1
TRACED = 50  # and so many that were traced, which drive out none of the others
# Ticks that what is in the sample alone waits for others: each telling wakes control, which may share a core
# with a worker, and ten a second are what one request in a hundred waits for.
PATIENCE = 10
_MOST_TEXT = 1024  # bytes of a target or host that are kept
_PROTOCOLS = ("HTTP/1.0", "HTTP/1.1")
_WORDS = {word.value: "" if word == Word.NONE else word.name.lower() for word in Word}
FAILED, SLOW, SAMPLE, TRACE, TAIL = (
    int(bit) for bit in (Kept.FAILED, Kept.SLOW, Kept.SAMPLE, Kept.TRACE, Kept.TAIL)
)
_ELSEWHERE = TRACE | TAIL  # of these there are bounds of their own


class Tail:
    """Somebody who looks on. `left`: how many more he is shown before the next tick."""

    def __init__(self, plan: TailPlan) -> None:
        self.plan = plan
        self.left = 0
        self.refill()

    def refill(self) -> None:
        self.left = max(1, round(self.plan.rate * TICK))


class Keeping:
    """One per worker: what is kept since the last tick."""

    def __init__(self, core: Core, worker: int) -> None:
        self.core = core
        self.worker = worker
        self.share = 0.0
        self.sampled = self.traced = self.others = 0  # since the last tick
        self.decisions: list[Decision] = []
        self.left_out: dict[int, int] = {}
        self.urgent = False  # not all of them are in the sample alone
        self.waited = 0  # ticks

    def configure(self, plan: DecisionsPlan) -> None:
        """The rules of a generation."""
        core = self.core
        core.slow = plan.slow or float("inf")
        self.share = plan.sample
        core.until_sample = self._next()
        core.debug_key = plan.debug_key or None

    def watch(self, tails: Iterable[TailPlan]) -> None:
        """These look on from now on."""
        self.core.tails = [Tail(plan) for plan in tails] or None

    def due(self) -> bool:
        """Once a tick: whether what is kept is to be taken now."""
        self.waited += 1
        if self.urgent or self.waited >= PATIENCE:
            return True
        self._renew()
        return False

    def take(self) -> tuple[list[Decision], dict[int, int]]:
        """What was kept since the last call, and how many more each tail would have shown."""
        taken = self.decisions, self.left_out
        if self.decisions or self.left_out:
            self.decisions, self.left_out = [], {}
        self.urgent, self.waited = False, 0
        self._renew()
        return taken

    def _renew(self) -> None:
        """A tick is over: its bounds begin anew."""
        self.sampled = self.traced = self.others = 0
        for tail in self.core.tails or ():
            tail.refill()

    def lose(self, decisions: Sequence[Decision]) -> None:
        """These could not be told."""
        core = self.core
        core.cells.add(layout.WORKER_DECISIONS_DROPPED, len(decisions))
        exported = core.tracing is not None and core.tracing.export
        for decision in decisions:
            if exported and decision.kept & TRACE:
                self._lose_spans(len(decision.attempts))

    def _lose_spans(self, attempts: int) -> None:
        self.core.cells.add(layout.WORKER_SPANS_DROPPED, 1 + attempts)

    def _next(self) -> int:
        """How many exchanges there are until the next of the sample: one that is not periodic."""
        if self.share <= 0:
            return -1  # counts down for ever
        return 1 if self.share >= 1 else 1 + int(self.core.rng.expovariate(self.share))

    def keep(self, exchange: ExchangeState, duration: float) -> None:
        """The exchange is over, and may be one that is kept."""
        core = self.core
        why = exchange.keep
        if exchange.outcome or exchange.status >= 500:
            why |= FAILED
        if duration >= core.slow and exchange.status != 101:  # a tunnel is long by its nature
            why |= SLOW
        if core.until_sample == 0:
            core.until_sample = self._next()
            why |= SAMPLE
        tails: tuple[int, ...] = ()
        if core.tails is not None:
            tails = self._shown_to(core.tails, exchange, duration, why)
            why |= TAIL if tails else 0
        if why & TRACE:
            self.traced += 1
            if self.traced > TRACED:
                why &= ~TRACE
                if exchange.trace is not None and exchange.trace.recorded:
                    self._lose_spans(len(attempts_of(exchange, duration)))
        if why & ~_ELSEWHERE == SAMPLE:
            self.sampled += 1
            if self.sampled > SAMPLED:
                why &= ~SAMPLE
        if why & ~_ELSEWHERE:
            if self._full(exchange.outcome):
                why &= _ELSEWHERE
        if why:
            self.urgent = self.urgent or why != SAMPLE
            self.decisions.append(self._decision(exchange, duration, why, tails))

    def _full(self, outcome: int) -> bool:
        """Whether there is no room for one more that ended so, which then is counted."""
        if self.others < (OF_CLIENTS if blamed(outcome) == "client" else MOST):
            self.others += 1
            return False
        self.core.cells.add(layout.WORKER_DECISIONS_DROPPED, 1)
        return True

    def _shown_to(
        self, tails: list[Tail], exchange: ExchangeState, duration: float, why: int
    ) -> tuple[int, ...]:
        shown = []
        method, target = exchange.head.method.decode(), text(exchange.head.target)
        for tail in tails:
            if not tail.plan.condition.holds(
                _names(exchange), method, target, exchange.source.address, exchange.status, duration,
                blamed(exchange.outcome) if why & FAILED else "",
            ):  # fmt: skip
                continue
            if tail.left > 0:
                tail.left -= 1
                shown.append(tail.plan.id)
            else:
                self.left_out[tail.plan.id] = self.left_out.get(tail.plan.id, 0) + 1
                self.urgent = True
        return tuple(shown)

    def _decision(
        self, exchange: ExchangeState, duration: float, why: int, tails: tuple[int, ...]
    ) -> Decision:
        route, service, server = _names(exchange)
        began = self.core.epoch + exchange.began
        return Decision(
            time=began + duration, began=began, request_id=exchange.request_id.decode(),
            client=exchange.source.address, listener=exchange.client.rules.name,
            route=route, service=service, server=server,
            method=text(exchange.head.method), host=text(exchange.head.authority),
            target=text(exchange.head.target), protocol=_PROTOCOLS[1 if exchange.head.minor else 0],
            status=exchange.status, bytes_in=exchange.bytes_in, bytes_out=exchange.bytes_out,
            duration=duration, ttfb=exchange.first_byte, connect=exchange.connect_took,
            queue=exchange.queue_took, flag=TABLE[Outcome(exchange.outcome)].flag, outcome=exchange.outcome,
            reason=exchange.reason, generation=exchange.generation, worker=self.worker, kept=why,
            attempts=attempts_of(exchange, duration), tails=tails, **_traced(exchange, why),
        )  # fmt: skip

    def refused(self, rules: ListenerRules, address: str, outcome: int, status: int) -> None:
        """A connection was refused, or what is no valid request was answered: there is no exchange."""
        if self._full(outcome):
            return
        now = self.core.epoch + self.core.now
        self.urgent = True
        self.decisions.append(
            Decision(
                now, now, "", address, rules.name, "", "", "", "", "", "", "", status, 0, 0, 0.0, -1.0, -1.0,
                -1.0, TABLE[Outcome(outcome)].flag, outcome, 0, self.core.generation, self.worker, FAILED,
            )
        )  # fmt: skip


def attempts_of(exchange: ExchangeState, duration: float) -> tuple[Attempt, ...]:
    """All attempts, the one that gave the response too; `duration` of the exchange until now."""
    found = [
        Attempt(
            server.decode(), began, took, status, flag.decode(), reason, word.decode(), reused, connect,
            span.decode(),
        )
        for (server, status, took, flag, word), (reason, began, reused, connect, span) in zip(
            exchange.attempts, exchange.picks, strict=True
        )
    ]  # fmt: skip
    # One that was the only one, and the one that is just answering, are not in the lists.
    if exchange.first_byte >= 0 and (exchange.attempting or not found):
        began = max(0.0, exchange.attempt_began - exchange.began)
        took = max(0.0, duration - began)
        name, word = exchange.server.name.decode(), _WORDS[exchange.word]
        connect = exchange.connect_took
        found.append(
            Attempt(
                name, began, took, exchange.status, "--", exchange.reason, word, connect < 0, connect,
                exchange.span.decode(),
            )
        )  # fmt: skip
    return tuple(found)


def _traced(exchange: ExchangeState, why: int) -> dict[str, str]:
    """The fields of a Decision about the trace."""
    trace, head = exchange.trace, exchange.head
    if trace is None:
        return {}
    found = {
        "trace_id": trace.id.decode(), "span_id": trace.span.decode(), "parent_id": trace.parent.decode(),
        "trace_flags": f"{trace.flags:02x}",
    }  # fmt: skip
    if why & TRACE:
        claim = joined(head, X_FORWARDED_PROTO) if exchange.client.trusted else None
        found["scheme"] = (claim if claim in (b"http", b"https") else exchange.client.scheme).decode()
        rules: Any = exchange.rules
        rewrite = rules.route.rewrite if rules is not None else None
        found["sent"] = text(head.target if rewrite is None else rewrite.target(head.path, head.query))
    return found


def _names(exchange: ExchangeState) -> tuple[str, str, str]:
    """Of route, service, server."""
    rules: Any = exchange.rules
    return (
        rules.label.decode() if rules is not None else "",
        exchange.service.name if exchange.service is not None else "",
        exchange.server.address if exchange.server is not None else "",
    )


def text(sent: bytes) -> str:
    """What a client sent, whatever it is; cut off where it is long."""
    return sent[:_MOST_TEXT].decode("utf-8", "backslashreplace")
