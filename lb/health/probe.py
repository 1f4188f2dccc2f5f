"""Running one probe, whatever its kind, within its time.

Lives here: which kind is which file, the time-out, exceptions made into outcomes. Must not live here: when a
probe runs (lb.health.checks).
"""

from __future__ import annotations

import asyncio
import errno

from lb.health import agent, command, grpc, http, tcp
from lb.health.attempt import Attempt, Outcome
from lb.health.connect import PlaceError
from lb.health.faults import fault
from lb.health.grpc import MissingPackageError
from lb.health.plan import (
    AgentProbe,
    AgentState,
    CheckPlan,
    CommandProbe,
    GrpcProbe,
    HttpProbe,
    Probe,
    TcpProbe,
)

# lb itself is short of something: that says nothing of the server.
OUR_FAULTS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class CannotProbeError(RuntimeError):
    """This machine cannot probe now; the text says why."""


def lacking(probe: Probe) -> str | None:
    """What this lb lacks to run such a probe, as a text for the operator; None where nothing."""
    return grpc.lacking(probe) if isinstance(probe, GrpcProbe) else None


async def run(plan: CheckPlan, before: AgentState) -> Outcome:
    """One probe of `plan`. `before`: what the agent has said so far. Whatever the server does, there is an
    outcome within the plan's time-out. Raises CannotProbeError."""
    attempt = Attempt(plan, before)
    try:
        async with asyncio.timeout(plan.timeout) as limit:
            return await _run(attempt, plan.probe)
    except (OSError, PlaceError, MissingPackageError, UnicodeError) as error:
        # TimeoutError is an OSError, and the kernel's own as well as ours
        if limit.expired():
            return Outcome(False, f"no {attempt.awaits} within {plan.timeout:g}s")
        if isinstance(error, OSError) and error.errno in OUR_FAULTS:
            raise CannotProbeError(fault(error)) from error
        return Outcome(False, fault(error))


async def _run(attempt: Attempt, probe: Probe) -> Outcome:
    match probe:
        case HttpProbe():
            return await http.probe(attempt, probe)
        case TcpProbe():
            return await tcp.probe(attempt, probe)
        case GrpcProbe():
            return await grpc.probe(attempt, probe)
        case CommandProbe():
            return await command.probe(attempt, probe)
        case AgentProbe():
            return await agent.probe(attempt, probe)
