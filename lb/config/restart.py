"""What a process keeps as it was started, whatever a reload says, until it is restarted.

Lives here: the one list of it, from which a reload tells what waits and `lb plan` what would wait. Must not
live here: all other differences (lb.config.diff).
"""

from __future__ import annotations

import os

from lb.config.spec import Spec

Path = tuple[str, ...]


def worker_count(spec: Spec, auto: int = 0) -> int:
    """How many workers the configuration asks for: a number, or `auto`, which is one per core that this
    process may run on unless the caller knows better."""
    if spec.workers != "auto":
        return spec.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return auto or cores or 1


def waits_for_restart(started: Spec, wanted: Spec, auto: int = 0) -> dict[Path, str]:
    """What of `wanted` is not in force in a process that was started with `started`: the keys, each with a
    sentence. `auto`: as in worker_count."""
    counts = worker_count(started, auto), worker_count(wanted, auto)
    admins = _admin(started), _admin(wanted)
    found: dict[Path, tuple[tuple[object, object], str]] = {
        ("workers",): (counts, f"{counts[1]} are configured, {counts[0]} are running"),
        ("state_dir",): ((started.state_dir, wanted.state_dir), "another one is configured than is in use"),
        ("cluster",): ((started.cluster, wanted.cluster), "another one is configured than is in use"),
        ("admin", "bind"): (admins, f"{admins[1]} is configured, {admins[0]} is in use"),
    }
    return {
        path: f"{'.'.join(path)}: {text}; restart lb to change that"
        for path, ((now, then), text) in found.items()
        if now != then
    }


def _admin(spec: Spec) -> str:
    return spec.admin.bind if spec.admin is not None else "off"
