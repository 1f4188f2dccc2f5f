"""Why lb did what it did: the reasons of match, select and retry as small ints with their texts.

One list for the access log, the metrics, `lb explain` and the admin API. Pure data.
"""

from __future__ import annotations

from enum import IntEnum


class Select(IntEnum):
    """Why this server was picked, or why none was."""

    NONE = 0
    ALGORITHM = 1
    TURN = 2
    RANDOM = 3
    FEWEST_IN_FLIGHT = 4
    FEWER_OF_TWO = 5
    LOWEST_COST = 6
    HASH = 7
    HASH_BOUNDED = 8
    FIRST = 9
    ONLY_ONE = 10
    BACKUP = 11
    NO_KEY = 12
    ALL_TRIED = 13
    NOT_ELIGIBLE = 14
    SPILL = 15
    PANIC = 16
    STICKY = 17
    STICKY_LOST = 18


class Attempt(IntEnum):
    """Why this attempt was made."""

    FIRST = 0
    STALE_CONNECTION = 1
    CONNECT = 2
    RESET = 3
    STATUS = 4


SELECT_TEXT: dict[Select, str] = {
    Select.NONE: "no server was picked",
    Select.ALGORITHM: "picked by the algorithm",
    Select.TURN: "its turn",
    Select.RANDOM: "picked at random",
    Select.FEWEST_IN_FLIGHT: "fewest requests in flight for its weight",
    Select.FEWER_OF_TWO: "fewer requests in flight of two picked at random",
    Select.LOWEST_COST: "lowest latency cost of two picked at random",
    Select.HASH: "owner of the key",
    Select.HASH_BOUNDED: "next in the key's order: the servers before it are at their load bound",
    Select.FIRST: "first in the list with room",
    Select.ONLY_ONE: "the only eligible server",
    Select.BACKUP: "a backup: no other server is eligible, or all were tried",
    Select.NO_KEY: "the request has no key: picked at random",
    Select.ALL_TRIED: "every eligible server was tried already",
    Select.NOT_ELIGIBLE: "no server is eligible",
    Select.SPILL: "of a later priority: the servers before cannot take everything, or were tried",
    Select.PANIC: "too few servers are usable, so that all are used",
    Select.STICKY: "the cookie of the session names it",
    Select.STICKY_LOST: "picked anew: the cookie of the session names no server that is in use",
}
