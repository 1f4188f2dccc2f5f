"""Progress on stderr, where that is a terminal and it takes long. Must not live here: what is done."""

from __future__ import annotations

import sys
from time import perf_counter

_QUIET = 0.5  # seconds that pass before there is a bar
_WIDTH = 30


class Bar:
    """Of `whole` steps. `base`: those of the runs that are over."""

    def __init__(self, whole: int) -> None:
        self.whole = whole
        self.base = 0
        self.began = perf_counter()
        self.shown = False

    def tell(self, done: int) -> None:
        """`done` steps of this run are done."""
        if sys.stderr.isatty() and perf_counter() - self.began > _QUIET:
            share = min(1.0, (self.base + done) / max(1, self.whole))
            full = round(share * _WIDTH)
            sys.stderr.write(f"\r{'█' * full}{'░' * (_WIDTH - full)} {share:4.0%}")
            sys.stderr.flush()
            self.shown = True

    def end(self) -> None:
        """Nothing is left of it."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")
