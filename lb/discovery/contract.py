"""The contract of Providers: sources of the members of a service.

Lives here: what a Provider is, and the plain facts that it gives. Must not live here: any source (one file
each beside this one), and what is done with its word (lb.discovery.following: back-off, brake, hold-down).

A Provider speaks of one service and gives its **whole** membership each time, never a difference: what it
does not name is gone. It only tells what its source says. It does not repeat, keep, guess or protect: it
raises, and is started again after a pause while its last word stays in force.

To write one: a class whose constructor takes its section of the YAML as keyword arguments, and a `watch` that
yields. Name it in the file as `discover: {"package.module:Class": {…}}`. tests/discovery/suite.py is a test
suite that any Provider passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum
from typing import Protocol

from msgspec import Struct

MOST_WORDS = 200  # characters of what a source says that are kept


class Registered(Enum):
    """What the source says of a member. DRAIN: no new exchanges, sessions stay. DOWN: it is there, and not to
    be used (critical, or in maintenance)."""

    UP = "up"
    DRAIN = "drain"
    DOWN = "down"


class Member(Struct, frozen=True, omit_defaults=True):
    """One server as its source knows it. `address`: as servers are written in the configuration
    ("10.0.0.1:8080", "[::1]:8080"). `weight` 0..65,535; `priority` 0..100, lower ones come first. `why`: the
    source's own words for a state that is not UP. `name`: what the source calls it (a Consul service id).
    `zone`: where it runs, "" for unknown. `backup`: as in the
    configuration."""

    address: str
    weight: int = 1
    priority: int = 0
    state: Registered = Registered.UP
    why: str = ""
    name: str = ""
    zone: str = ""
    backup: bool = False


class Unusable(Struct, frozen=True):
    """An entry of the source that makes no sense: set aside with the reason, so that it hurts no other."""

    entry: str
    reason: str


class Membership(Struct, frozen=True):
    """The whole word of a source on one service. Members are told apart by address; the order says nothing.
    `age`: how many seconds old the source knows its own word to be (a stale read); 0: fresh. `silent`: names
    of members that a part of the source, which does not answer, speaks of: those that are in force stay."""

    members: tuple[Member, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    age: float = 0.0
    silent: tuple[str, ...] = ()


class ProviderError(Exception):
    """The source cannot be asked, or makes no sense as a whole. The text names it and says what happened, for
    an operator; it holds no secret. `wait`: seconds that the source asked to be left alone, 0: as usual."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait


class Provider(Protocol):
    """A source of the members of one service. Used in control's loop by one task; never blocks it."""

    def watch(self) -> AsyncIterator[Membership]:
        """The membership now, then again after every change; equal ones may come again. Ends only when it is
        closed (`aclose`), and frees everything then. Raises ProviderError, OSError or TimeoutError where the
        source fails; then another call of `watch` begins anew."""
        ...


def printable(text: str) -> str:
    """A source's words as they may stand in a log line: printable, bounded."""
    return "".join(letter if letter.isprintable() else "�" for letter in text[:MOST_WORDS])
