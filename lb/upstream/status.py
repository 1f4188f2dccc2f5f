"""Status: the one function that makes an effective status of a Server out of four signals.

Lives here: the signals as plain records and how they rank. Must not live here: where signals come from
(lb.health, lb.control) and what a status does to the pick (lb.upstream.service). Pure; control calls it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Mode(Enum):
    """What an operator wants of a server. DRAIN: no new exchanges, sticky sessions stay; MAINTENANCE: none at
    all; UP: used whatever the checks say; AUTO: the checks decide (an override of the weight alone)."""

    DRAIN = "drain"
    MAINTENANCE = "maintenance"
    UP = "up"
    AUTO = "auto"


class Override(NamedTuple):
    """An operator's word on one server. `weight`: a factor on the configured weight, None to leave it.
    `since` and `until`: unix seconds; `until` 0: until it is cleared."""

    mode: Mode
    weight: float | None
    author: str
    reason: str
    since: float
    until: float = 0.0


class Active(Enum):
    """What active checks say. UNKNOWN: no result yet."""

    NONE = "none"
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Registry(Enum):
    """What discovery says of a member."""

    NONE = "none"
    UP = "up"
    DRAIN = "drain"
    DOWN = "down"


class Agent(NamedTuple):
    """What the server's agent said last: `weight` as a factor, `state` one of "" (nothing), up, drain, down."""

    weight: float = 1.0
    state: str = ""
    reason: str = ""


class Signals(NamedTuple):
    """Everything that is known about one server. `unknown_is_up`: how a server counts before its first result.
    `active_why`, `passive_why`: texts for people; `ejected`: the passive checks took it out."""

    override: Override | None = None
    registry: Registry = Registry.NONE
    active: Active = Active.NONE
    active_why: str = ""
    unknown_is_up: bool = True
    agent: Agent = Agent()
    ejected: bool = False
    passive_why: str = ""


class Status(NamedTuple):
    """`reasons`: every signal that speaks, the deciding one first."""

    usable: bool
    draining: bool
    weight: float
    reasons: tuple[str, ...]


def effective(signals: Signals) -> Status:
    """Rank: operator, then registry, then active checks and agent, then passive checks. A weight is the product
    of what the agent and the operator say."""
    raise NotImplementedError
