"""How a rollout does, for people: in words, and followed until it ends.

Lives here: the line of a trial, the wait for its end. Must not live here: what ends it (lb.cluster.rollout),
ordering one (lb.cli.publishing).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from lb.cli.terminal import coloured, complain, say

OK, TAKEN_BACK = 0, 5
STEP = 0.5  # seconds between two looks

Data = Mapping[str, Any]


def trial(rollout: Data) -> str:
    """How far it is, and what it showed."""
    watched = rollout.get("watched", 0.0)
    text = rollout.get("text") or "nothing is known yet"
    return f"{watched:.0f}s of {rollout['watch']:g}s; {text}"


def follow(status: Callable[[], Data], revision: int, limit: float) -> int:
    """Show the trial of `revision` until it ends, at most `limit` seconds; the exit code. `status`: what the
    cluster says. Where the output is no terminal, a line a change of the words."""
    end, live, last = time.monotonic() + limit, coloured(sys.stdout), ""
    while True:
        found = status()
        published, rollout = found["published"], found["rollout"]
        if published is not None and published["revision"] > revision:
            if live:
                say()
            say(f"revision {published['revision']} by {published['author']}: {published['message']}")
            return OK if published["restores"] == revision else TAKEN_BACK
        if rollout is not None and rollout["revision"] == revision:
            line = trial(rollout)
            if live:
                sys.stdout.write(f"\r\x1b[K{line}")
                sys.stdout.flush()
            elif rollout.get("text", "") != last:
                say(line)
            last = rollout.get("text", "")
        if time.monotonic() > end:
            if live:
                say()
            complain(
                f"revision {revision} is still tried, and goes on by itself; `lb cluster status` shows it, "
                "`lb cluster promote` and `lb cluster abort` end it"
            )
            return TAKEN_BACK
        time.sleep(STEP)
