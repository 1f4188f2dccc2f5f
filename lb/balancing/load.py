"""How loaded a member is for its weight: the number that several algorithms compare, and give as a score.

Must not live here: which members are compared.
"""

from __future__ import annotations

import cython

from lb.balancing.contract import Member


@cython.ccall
@cython.exceptval(check=False)
@cython.cdivision(True)  # weights are > 0
def load(member: Member) -> cython.double:
    """What it would have in flight with one request more, for its weight."""
    return (member.in_flight() + 1) / member.weight
