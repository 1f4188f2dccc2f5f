"""The section `decisions`.

Lives here: of which requests what happened is kept, and how much of it. Must not live here: keeping
(lb.proxy.keeping, lb.control.kept).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lb.config.fields import SECRET_SCHEMA, Secret
from lb.config.problems import shown, wrong
from lb.config.section import Section
from lb.config.shares import percent
from lb.config.sticky import signing_secret
from lb.config.values import Checked, duration, size
from lb.plan import DecisionsPlan

LEAST, MOST = 64 * 1024, 256 * 1024 * 1024  # bytes


def _keep() -> Checked:
    any_size = size()

    def check(value: object) -> int:
        count: int = any_size.check(value)
        if not LEAST <= count <= MOST:
            raise wrong(f"found {shown(value)}; expected a size from 64KiB to 256MiB")
        return count

    return Checked(check, any_size.schema, any_size.write)


class DecisionsSpec(Section):
    """Of which requests is kept what happened, beside those that failed."""

    slow: Annotated[float, duration(zero="none")] = Field(
        default=1.0, description="From which duration on a request is kept as slow; 0: none for that."
    )
    sample: Annotated[float, percent()] = Field(
        default=0.01, description="The share of all requests that is kept, up to ten a second of each worker."
    )
    keep: Annotated[int, _keep()] = Field(
        default=16 * 1024 * 1024,
        description="Memory: equal parts for failures of servers and lb, those of clients, slow ones, "
        "the sample.",
    )
    debug_key: Annotated[Secret | None, Checked(signing_secret, SECRET_SCHEMA)] = Field(
        default=None,
        description="What signs X-LB-Debug, by which a request gets its decision in the response; absent: "
        "none does.",
    )


def decisions_plan(decisions: DecisionsSpec) -> DecisionsPlan:
    """What a worker needs of it."""
    key = decisions.debug_key
    text = key.value.get_secret_value() if key is not None else ""
    return DecisionsPlan(decisions.slow, decisions.sample, text)
