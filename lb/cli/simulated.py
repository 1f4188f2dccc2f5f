"""What `lb simulate` found, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lb.cli.terminal import paint, say
from lb.simulate.figures import Figures

_MOST_SERVERS = 20  # a table; all are in the JSON


def show(found: Mapping[str, Any]) -> None:
    say(
        f"{found['service']}: {found['requests']:,} requests in {found['seconds']:,.1f} s"
        f" ({found['rate']:,.1f} a second), {time(found['service_seconds'])} each;"
        f" {found['slots']} slots a server"
    )
    for address, note in notes(found).items():
        say(f"{address} {note}")
    log = found["log"] or {}
    for name, text in (
        ("bad_lines", "lines could not be read"),
        ("sampled_lines", "lines are samples: the load was higher"),
    ):
        if log.get(name):
            say(paint(f"{log[name]:,} {text}", "yellow"))
    say()
    rows = [
        [
            one["algorithm"],
            *(time(one[key]) for key in ("p50", "p99", "mean", "queued")),
            f"{one['failed']:.2%}",
            "–" if one["kept"] is None else f"{one['kept']:.0%}",
        ]
        for one in found["algorithms"]
    ]
    _table(["algorithm", "p50", "p99", "mean", "queued", "failed", "kept"], rows)
    for one in found["algorithms"]:
        say()
        servers = one["servers"]
        rows = [
            [
                server["address"],
                f"{server['requests']:,}",
                f"{server['share']:.1%}",
                f"{server['in_flight']:,.1f}",
                time(server["p99"]),
                f"{server['failed']:,}",
            ]
            for server in servers[:_MOST_SERVERS]
        ]
        _table([one["algorithm"], "requests", "share", "in flight", "p99", "failed"], rows)
        if len(servers) > _MOST_SERVERS:
            say(f"… and {len(servers) - _MOST_SERVERS:,} more: --json has all")


def notes(found: Mapping[str, Any]) -> dict[str, str]:
    """By address, what is simulated of a server."""
    said = {}
    for address, one in found["conditions"].items():
        words = [f"takes {one['slow']:g} times as long"] if one["slow"] != 1 else []
        words += [f"fails from {one['fails']:g} s on"] if one["fails"] is not None else []
        said[address] = " and ".join(words)
    return said


def together(one: Figures) -> str:
    """What an algorithm comes to, for the picture."""
    return f"all: p50 {time(one.p50)}, p99 {time(one.p99)}, {one.failed:.2%} failed"


def time(seconds: float | None) -> str:
    """With three digits and the unit that fits."""
    if seconds is None:
        return "–"
    if seconds >= 0.9995:
        return f"{seconds:,.3g} s" if seconds < 999.5 else f"{seconds:,.0f} s"
    if seconds >= 0.9995e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[at]) for row in (titles, *rows)) for at in range(len(titles))]
    for number, row in enumerate((titles, *rows)):
        line = "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        say(paint(line, "bold") if not number else line)
