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
    """What there is to say of an attempt beside its outcome."""

    NONE = 0
    HEDGE = 1
    CANCELLED = 2
    BUDGET = 3
    RETRY_AFTER = 4


ATTEMPT_TEXT: dict[Attempt, str] = {
    Attempt.NONE: "nothing",
    Attempt.HEDGE: "begun beside another attempt that had not answered yet",
    Attempt.CANCELLED: "given up because another attempt answered first",
    Attempt.BUDGET: "it failed and would have been tried again, but the retry budget is used up",
    Attempt.RETRY_AFTER: "it failed and would have been tried again, but its Retry-After is too far away",
}


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
