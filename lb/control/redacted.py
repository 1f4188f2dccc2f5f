"""A Decision without what the access log does not tell.

Lives here: the one way of every decision into control. Must not live here: the redaction of a value
(lb.telemetry.redaction).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from lb.plan import AccessLogPlan
from lb.telemetry.decision import Decision
from lb.telemetry.redaction import EVERY, hide_values, subnet

OF_CLIENT = frozenset({"client", "host", "target", "method"})  # what access_log.redact.omit takes away here


def redacted(decision: Decision, log: AccessLogPlan | None) -> Decision:
    """`log`: that of the configuration in force; None: nothing is redacted."""
    if log is None:
        return decision
    if log.subnet:
        decision = replace(decision, client=subnet(decision.client).decode())
    if log.query:
        named = () if EVERY in log.query else log.query
        names = frozenset(name.lower().encode() for name in named)
        target, sent = (hide_values(one.encode(), names).decode() for one in (decision.target, decision.sent))
        decision = replace(decision, target=target, sent=sent)
    left_out = dict.fromkeys(OF_CLIENT.intersection(log.omit), "")
    if "target" in left_out:
        left_out["sent"] = ""
    return replace(decision, **left_out) if left_out else decision


def exported(decisions: Sequence[Decision], log: AccessLogPlan | None) -> Sequence[Decision]:
    """The same for a collector. The id, which a client may have chosen, stays for `lb why` alone: that is
    asked by it."""
    if log is None or "request_id" not in log.omit:
        return decisions
    return [replace(decision, request_id="") for decision in decisions]
