"""How old the word of each source is that this lb follows: its files, discovery, the cluster, its checks.

Pure functions over what lb.admin.view gives. Must not live here: HTTP, what a source says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lb.admin.view import ControlView

Data = dict[str, object]


def sources(control: ControlView, now: float) -> list[Data]:
    """Each with `kind`, `name`, `ok`, `age` (seconds; None: never) and `error`. `now`: unix seconds."""
    found = [_configuration(control, now)]
    found += [_row("discovery", one["service"], one) for one in control.discovery()]
    catalog = control.catalog()
    if catalog is not None:
        found.append(_row("catalog", catalog["source"], catalog))
    if control.cluster is not None:
        engine = control.cluster.engine()
        found.append(_row("cluster", engine["name"], {**engine, "answered": engine["reachable"]}))
    for service, checks in control.checks().items():
        waiting = checks.servers - checks.checked
        found.append(
            {
                "kind": "checks",
                "name": service,
                "ok": not waiting,
                "age": _since(checks.oldest, now),
                "error": f"no result yet of {waiting} of {checks.servers} servers" if waiting else None,
            }
        )
    return found


def _configuration(control: ControlView, now: float) -> Data:
    last = control.last_reload
    ok, error = False, "not in force yet"
    if last is not None:
        ok, count = last.ok, len(last.problems)
        why = last.error or f"{count} problem{'' if count == 1 else 's'}"
        error = "" if ok else f"the last reload was refused: {why}"
    return {
        "kind": "configuration",
        "name": f"generation {control.generation}",
        "ok": ok,
        "age": _since(control.in_force_since, now),
        "error": error or None,
    }


def _row(kind: str, name: str, said: Mapping[str, Any]) -> Data:
    return {
        "kind": kind, "name": name, "ok": said["answered"], "age": said["age"], "error": said["error"] or None
    }  # fmt: skip


def _since(at: float, now: float) -> float | None:
    return round(max(0.0, now - at), 1) if at else None
