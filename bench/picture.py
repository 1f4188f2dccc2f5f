"""The picture: one panel of bars per load. Run by the benchmark's own interpreter, which has matplotlib.

python -m bench.picture RESULTS.json PICTURE.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.figures import reference_of, standings
from bench.loads import LOADS, Load

_COLUMNS = 4
_COLOURS = {"lb": "#1f6feb", "lb-other": "#79b8ff"}
_OTHER_COLOUR = "#9aa4b2"


def _measure_of(load: Load) -> tuple[str, float, str]:
    """Metric, unit divisor and axis title of a load's panel."""
    if load.kind == "idle":
        return "memory", 1024 * 1024, "MiB"
    if load.paced_by:
        return "p99", 1000, "p99, ms"
    return "cpu", 1, "CPU µs per request"


def _panel(axes: Any, load: Load, session: dict[str, Any], reference: str) -> None:
    metric, unit, title = _measure_of(load)
    rows = [row for row in standings(session["runs"], load.name, reference) if row.held]
    figures = [row.figures[metric] for row in rows]
    values = [figure.median / unit for figure in figures]
    spread = [
        [(figure.median - figure.low) / unit for figure in figures],
        [(figure.high - figure.median) / unit for figure in figures],
    ]
    names = [row.proxy for row in rows]
    colours = [_COLOURS.get(name, _OTHER_COLOUR) for name in names]
    axes.barh(names, values, xerr=spread, color=colours, ecolor="#57606a", capsize=2)
    axes.invert_yaxis()
    axes.set_title(load.title, fontsize=9)
    axes.set_xlabel(title, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw(session: dict[str, Any], path: Path) -> None:
    """Draw every load of a saved session into `path`; the suffix chooses the format."""
    reference = reference_of(list(session["versions"]))
    ran = {run["load"] for run in session["runs"]}
    loads = [LOADS[name] for name in session["loads"] if name in ran]
    columns = min(_COLUMNS, len(loads))
    lines = -(-len(loads) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(4 * columns, 2.6 * lines), squeeze=False)
    for axes in grid.flat[len(loads) :]:
        axes.set_visible(False)
    for axes, load in zip(grid.flat, loads, strict=False):
        _panel(axes, load, session, reference)
    figure.suptitle(
        f"Less is better · median and range of {session['rounds']} interleaved rounds", fontsize=10
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
