"""Noticing that the configuration's files changed, by looking at them.

Lives here: looking, and waiting until a writer is done. Must not live here: reading what is in them.
Looking works everywhere: in containers, on network file systems, over bind mounts and for the symbolic
links that Kubernetes swaps, where notifications do not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

EVERY = 0.5  # seconds between looks
SETTLE = 0.1  # seconds for which nothing may change before the files count as written

Look = dict[str, tuple[int, int, int, int]]


def look(files: Sequence[Path]) -> Look:
    """What tells one version of the files from another. A file that is missing is a version too."""
    found: Look = {}
    for path in files:
        try:
            stat = os.stat(path)
        except OSError:
            continue
        found[str(path)] = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return found


async def watch(
    files: Callable[[], Sequence[Path]], changed: Callable[[], Awaitable[object]], known: Look
) -> None:
    """Call `changed` after every change of `files()`, which is asked anew each time, until cancelled. `known`
    is a look taken before they were read, so that no change since then is missed. The next look starts when
    `changed` is done; what changes meanwhile is seen then."""
    while True:
        await asyncio.sleep(EVERY)
        seen = look(files())
        if seen == known:
            continue
        while True:
            await asyncio.sleep(SETTLE)
            later = look(files())
            if later == seen:
                break
            seen = later
        known = seen
        await changed()
