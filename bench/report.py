"""The report as Markdown, from the JSON that a session saves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.figures import Figure, Standing, reference_of, standings
from bench.loads import LOADS, Load

_MIB = 1024 * 1024
_BUSY = 0.85  # below this the proxy was not the limit of a saturating load


def markdown(session: Mapping[str, Any]) -> str:
    """The whole report. `session` is what __main__ saves as JSON."""
    reference = reference_of(list(session["versions"]))
    parts = [_heading(session, reference)]
    parts += [_section(LOADS[name], session, reference) for name in session["loads"]]
    if session["problems"]:
        parts.append(
            "## Runs that failed\n\n" + "\n".join(f"```\n{text}\n```" for text in session["problems"])
        )
    return "\n\n".join(parts) + "\n"


def _heading(session: Mapping[str, Any], reference: str) -> str:
    lines = [
        "# Side by side",
        "",
        f"{session['date']} · {session['machine']} · {session['rounds']} rounds of {session['seconds']:g} s, "
        f"interleaved · × is the ratio to {reference}: the median of the ratios round by round; "
        "in brackets the lowest and highest round",
        "",
        *[f"- {name}: {version}" for name, version in session["versions"].items()],
        *[f"- {name}: left out. {reason}" for name, reason in session["missing"].items()],
    ]
    return "\n".join(lines)


def _section(load: Load, session: Mapping[str, Any], reference: str) -> str:
    rows = standings(session["runs"], load.name, reference)
    lines = [f"## {load.title}", "", f"`{load.name}`", ""]
    if not rows:
        return "\n".join([*lines, "No run was complete."])
    rate = max(run["offered_rate"] for run in session["runs"] if run["load"] == load.name)
    if rate:
        lines[2] += f": {rate:,.0f} requests/s offered to each, latency from the moment each was due"
    names, cells = _columns(load)
    lines.append("| proxy | " + " | ".join(names) + " |")
    lines.append("|---|" + "---:|" * len(names))
    lines += ["| " + " | ".join([row.proxy, *cells(row)]) + " |" for row in rows]
    notes = [note for row in rows for note in _notes(load, row)]
    return "\n".join(lines + ([""] + [f"- {note}" for note in notes] if notes else []))


def _columns(load: Load) -> tuple[list[str], Callable[[Standing], list[str]]]:
    if load.kind == "idle":
        return ["memory MiB", "×", "KiB a connection", "×", "failed"], _idle_cells
    names = [
        "CPU µs/request",
        "×",
        "requests/s",
        "×",
        "p50 µs",
        "p99 µs",
        "×",
        "p99.9 µs",
        "memory MiB",
        "failed",
    ]
    return names, _cells


def _idle_cells(row: Standing) -> list[str]:
    memory, each = row.figures["memory"], row.figures["memory_per_connection"]
    return [
        _spread(memory, _MIB, 1),
        _ratio(memory),
        _spread(each, 1024, 1),
        _ratio(each),
        str(row.failures),
    ]


def _cells(row: Standing) -> list[str]:
    cpu, rate, p99 = row.figures["cpu"], row.figures["rate"], row.figures["p99"]
    return [
        _spread(cpu, 1, 1),
        _ratio(cpu),
        f"{rate.median:,.0f}",
        _ratio(rate),
        f"{row.figures['p50'].median:,.0f}",
        _spread(p99, 1, 0),
        _ratio(p99),
        f"{row.figures['p999'].median:,.0f}",
        f"{row.figures['memory'].median / _MIB:,.1f}",
        str(row.failures),
    ]


def _spread(figure: Figure, unit: float, digits: int) -> str:
    low, middle, high = (f"{value / unit:,.{digits}f}" for value in (figure.low, figure.median, figure.high))
    return f"**{middle}** ({low}–{high})"


def _ratio(figure: Figure) -> str:
    return "–" if figure.ratio is None else f"{figure.ratio:.2f}"


def _notes(load: Load, row: Standing) -> list[str]:
    notes = []
    if not row.held:
        notes.append(
            f"{row.proxy} did not hold the offered rate; its latencies only say that it was overloaded."
        )
    if row.reconnects:
        notes.append(f"{row.proxy} closed {row.reconnects:,} idle connections.")
    busy = row.figures["core_busy"].median
    if not load.paced_by and load.kind != "idle" and busy < _BUSY:
        notes.append(
            f"{row.proxy} kept its core only {busy:.0%} busy: the load generator, the servers or "
            "other programs were the limit, so compare CPU, not requests/s."
        )
    # A WebSocket is one exchange: one line when it ends.
    if load.kind != "websocket" and not row.logged:
        notes.append(f"{row.proxy} wrote fewer access-log lines than it answered requests.")
    return notes
