"""The health machine: from single results of an active check to a server that is up or down.

Lives here: counting consecutive results. Must not live here: probes (lb.health), and how this ranks beside
other signals (lb.upstream.status). Pure; control feeds it, one machine per check of a server.
"""

from __future__ import annotations

from lb.upstream.status import Active


class Health:
    """`state`: UNKNOWN until the first result, which decides at once; then UP or DOWN. `run`: consecutive
    results against the state so far. `rise`, `fall`: how many of them (1 or more) change it to UP, to DOWN;
    both may be set while it runs."""

    def __init__(self, rise: int = 2, fall: int = 3) -> None:
        self.rise = rise
        self.fall = fall
        self.state = Active.UNKNOWN
        self.run = 0

    def __repr__(self) -> str:
        if not self.run:
            return f"<Health {self.state.value}>"
        towards, needed = ("down", self.fall) if self.state is Active.UP else ("up", self.rise)
        return f"<Health {self.state.value}, {self.run} of {needed} to {towards}>"

    @property
    def changing(self) -> bool:
        """Whether a run towards the other state is under way."""
        return self.run > 0

    def adopt(self, state: Active) -> None:
        """Take over what others found, while there are no results."""
        self.state = state
        self.run = 0

    def observe(self, ok: bool) -> Active | None:
        """Take a result in; the new state where it changed, None where it stays."""
        found = Active.UP if ok else Active.DOWN
        if found is self.state:
            self.run = 0
            return None
        self.run += 1
        if self.state is not Active.UNKNOWN and self.run < (self.rise if ok else self.fall):
            return None
        self.run = 0
        self.state = found
        return found
