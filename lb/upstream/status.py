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
    """What the server's agent said last: `weight` as a factor, `state` one of "" (nothing), up, drain,
    down."""

    weight: float = 1.0
    state: str = ""
    reason: str = ""


class Signals(NamedTuple):
    """Everything that is known about one server. `everywhere`: an operator's word on all nodes of the
    cluster, `override` on this one. `unknown_is_up`: how a server counts before its first
    result. `registry_why`, `active_why`, `passive_why`: texts for people; `ejected`: the passive
    checks took it out."""

    override: Override | None = None
    everywhere: Override | None = None
    registry: Registry = Registry.NONE
    registry_why: str = ""
    active: Active = Active.NONE
    active_why: str = ""
    unknown_is_up: bool = True
    agent: Agent = Agent()
    ejected: bool = False
    passive_why: str = ""


class Status(NamedTuple):
    """`reasons`: every signal that speaks, the deciding one first. `word`: up, draining, maintenance (an
    operator's), ejected (by the passive checks) or down. `decided`: the deciding signal: operator, registry,
    check, agent, passive, or "" where nothing speaks."""

    usable: bool
    draining: bool
    weight: float
    reasons: tuple[str, ...]
    word: str = "up"
    decided: str = ""


SIGNALS = ("operator", "registry", "check", "agent", "passive")


class _Said(NamedTuple):
    """What one signal says. `word`: up, drain, down, or "" where it leaves the choice to the others."""

    signal: str
    word: str
    reason: str


def effective(signals: Signals) -> Status:
    """Rank: operator, then registry, then active checks and agent, then passive checks. A weight is the
    product of what the agent and the operator say.

    Below the operator any signal can take a server out and none can bring it back against another: the
    highest one that objects decides. A server drains only while no signal says that it is down: sessions do
    not stay where nobody answers. Of two operators' words, on this node and everywhere, the more cautious
    one holds, whichever is later: nobody undoes unseen what another took out."""
    ordered = _operators(signals)
    said = [*ordered, *_registry(signals), *_active(signals), *_agent(signals.agent), *_passive(signals)]
    weight = signals.agent.weight * _ordered_weight(signals)
    against = [one for one in said if one.word in ("drain", "down")]
    forced = ordered[:1] and ordered[0].word == "up"
    if forced or not against:
        deciding, word = (said[0] if said else None), "up"
    else:
        deciding = against[0]
        alive = all(one.word == "drain" for one in against)
        word = "draining" if alive else _out(deciding)
    ranked = sorted(said, key=lambda one: one is not deciding)  # stable: the others keep their rank
    return Status(
        word == "up", word == "draining", weight, tuple(one.reason for one in ranked), word,
        deciding.signal if deciding is not None else "",
    )  # fmt: skip


def _out(deciding: _Said) -> str:
    """The word for a server that is neither used nor drained."""
    if deciding.word == "drain":
        return "down"
    return {"operator": "maintenance", "passive": "ejected"}.get(deciding.signal, "down")


def _operators(signals: Signals) -> list[_Said]:
    """The more cautious one first."""
    said = [*_operator(signals.override), *_operator(signals.everywhere, ", everywhere")]
    return sorted(said, key=lambda one: ("down", "drain", "up", "").index(one.word))


def _ordered_weight(signals: Signals) -> float:
    given = [one.weight for one in (signals.override, signals.everywhere) if one is not None]
    return min((weight for weight in given if weight is not None), default=1.0)


def _operator(override: Override | None, where: str = "") -> list[_Said]:
    if override is None:
        return []
    word = {Mode.DRAIN: "drain", Mode.MAINTENANCE: "down", Mode.UP: "up", Mode.AUTO: ""}[override.mode]
    weight = "" if override.weight is None else f", weight ×{override.weight:g}"
    why = f": {override.reason}" if override.reason else ""
    return [_Said("operator", word, f"operator {override.author}{where}: {override.mode.value}{weight}{why}")]


def _registry(signals: Signals) -> list[_Said]:
    if signals.registry is Registry.NONE:
        return []
    why = f": {signals.registry_why}" if signals.registry_why else ""
    return [_Said("registry", signals.registry.value, f"registry: {signals.registry.value}{why}")]


def _active(signals: Signals) -> list[_Said]:
    if signals.active is Active.NONE:
        return []
    if signals.active is Active.UNKNOWN:
        word = "up" if signals.unknown_is_up else "down"
        return [_Said("check", word, f"check: no result yet, counts as {word}")]
    why = f": {signals.active_why}" if signals.active_why else ""
    return [_Said("check", signals.active.value, f"check: {signals.active.value}{why}")]


def _agent(agent: Agent) -> list[_Said]:
    words = [agent.state] if agent.state else []
    words += [f"weight ×{agent.weight:g}"] if agent.weight != 1 else []
    if not words:
        return []
    why = f": {agent.reason}" if agent.reason else ""
    return [_Said("agent", agent.state, f"agent: {', '.join(words)}{why}")]


def _passive(signals: Signals) -> list[_Said]:
    if not signals.ejected and not signals.passive_why:
        return []
    why = f": {signals.passive_why}" if signals.passive_why else ""
    return [
        _Said(
            "passive",
            "down" if signals.ejected else "",
            f"passive: {'ejected' if signals.ejected else 'watched'}{why}",
        )
    ]
