"""A Decision without what the access log does not tell.

Lives here: the one way of every decision into control. Must not live here: the redaction of a value
(lb.telemetry.redaction).
"""

from __future__ import annotations

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
        decision = replace(decision, target=hide_values(decision.target.encode(), names).decode())
    left_out = dict.fromkeys(OF_CLIENT.intersection(log.omit), "")
    return replace(decision, **left_out) if left_out else decision
