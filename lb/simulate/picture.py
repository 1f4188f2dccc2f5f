"""A run as a picture: SVG, one panel an algorithm, each with the load and the p99 of its servers over time.

Lives here: the drawing, by hand, with nothing fetched. Scales are logarithmic and the same in all panels, so
that panels can be compared. Must not live here: numbers (lb.simulate.figures).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import NamedTuple

from lb.simulate.figures import Over

BUCKETS = 60
WIDTH, LEFT, CHART, HEIGHT, GAP, TOP = 1000, 60, 410, 150, 70, 36
PANEL = HEIGHT + 62
# Okabe and Ito's colours, which people of all kinds of sight tell apart; servers beyond them are grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
GREY = "#999999"
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}"
    ".t{font-weight:600;font-size:14px}.a{fill:#666;font-size:11px}"
)


class Panel(NamedTuple):
    """`said`: what it comes to, of all servers together."""

    algorithm: str
    servers: Sequence[Over]
    said: str = ""


class _Scale(NamedTuple):
    """Powers of ten from `low` to `high` (exponents). `below`: there are values lower than that."""

    low: int
    high: int
    below: bool

    def at(self, value: float) -> float:
        """0..1 from the bottom; what is lower than the scale is at the bottom."""
        return (math.log10(max(value, 10.0**self.low)) - self.low) / (self.high - self.low)


def picture(
    service: str, panels: Sequence[Panel], seconds: float, notes: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The SVG document. `seconds`: how long the load lasts; `notes`: by address, what is simulated of it."""
    loads = _scale((v for panel in panels for over in panel.servers for v in over.in_flight), 0.1)
    times = _scale(v for panel in panels for over in panel.servers for v in over.p99 if v is not None)
    names = [f"{over.address} {notes.get(over.address, '')}".strip() for over in panels[0].servers]
    key, bottom = _key(names)
    parts = [
        f'<text x="{LEFT}" y="28" class="t">{escape(service)}: the same requests, by algorithm</text>',
        *key,
    ]
    right = LEFT + CHART + GAP
    for number, panel in enumerate(panels):
        top = bottom + TOP + number * PANEL
        parts.append(f'<text x="{LEFT}" y="{top - 8}" class="t">{escape(panel.algorithm)}</text>')
        parts.append(f'<text x="{right}" y="{top - 8}">{escape(panel.said)}</text>')
        for left, title, scale, label, values in (
            (LEFT, "requests in flight", loads, _count, [over.in_flight for over in panel.servers]),
            (right, "p99", times, _time, [over.p99 for over in panel.servers]),
        ):
            parts += _axes(left, top, title, scale, label, seconds)
            for at in reversed(range(len(values))):  # the first servers on top
                parts += _line(left, top, scale, values[at], _colour(at))
    height = bottom + TOP + len(panels) * PANEL
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img"><title>{escape(service)}: load and p99 of each server</title>'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _scale(values: Iterable[float], least: float = 0.0) -> _Scale:
    """That of the values that are `least` or more."""
    found = list(values)
    known = [value for value in found if value > 0 and value >= least] or [1.0]
    low = math.floor(math.log10(min(known)))
    high = max(low + 1, math.ceil(math.log10(max(known))))
    return _Scale(low, high, any(value < 10.0**low for value in found))


def _colour(at: int) -> str:
    return COLOURS[at] if at < len(COLOURS) else GREY


def _key(names: Sequence[str]) -> tuple[list[str], int]:
    """In as many rows as it takes, and where the last one ends."""
    named = list(names[: len(COLOURS)])
    if len(names) > len(named):
        named.append(f"{len(names) - len(named)} others")
    parts = []
    x, y = float(LEFT), 54
    for at, name in enumerate(named):
        wide = 40 + 7.0 * len(name)
        if x > LEFT and x + wide > WIDTH:
            x, y = float(LEFT), y + 20
        parts.append(f'<rect x="{x:.0f}" y="{y - 10}" width="12" height="12" fill="{_colour(at)}"/>')
        parts.append(f'<text x="{x + 17:.0f}" y="{y}">{escape(name)}</text>')
        x += wide
    return parts, y


def _axes(
    left: int, top: int, title: str, scale: _Scale, label: Callable[[int], str], seconds: float
) -> list[str]:
    parts = [f'<text x="{left + CHART}" y="{top - 8}" class="a" text-anchor="end">{title}</text>']
    for power in range(scale.low, scale.high + 1):
        y = top + HEIGHT * (1 - scale.at(10.0**power))
        parts.append(f'<path d="M{left} {y:.1f}h{CHART}" stroke="#ddd"/>')
        least = "≤ " if scale.below and power == scale.low else ""
        parts.append(
            f'<text x="{left - 6}" y="{y + 4:.1f}" class="a" text-anchor="end">{least}{label(power)}</text>'
        )
    step = _step(seconds / 6)
    for number in range(int(seconds / step * (1 + 1e-9)) + 1):
        x = left + CHART * number * step / seconds
        parts.append(
            f'<text x="{x:.0f}" y="{top + HEIGHT + 16}" class="a" text-anchor="middle">'
            f"{number * step:,.6g} s</text>"
        )
    return parts


def _line(left: int, top: int, scale: _Scale, values: Sequence[float | None], colour: str) -> list[str]:
    """A line that has a gap where there is no value."""
    path = ""
    pen = "M"
    for at, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x = left + CHART * (at + 0.5) / len(values)
        path += f"{pen}{x:.1f} {top + HEIGHT * (1 - scale.at(value)):.1f}"
        pen = "L"
    if not path:
        return []
    return [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>']


def _step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20 …."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= least * (1 - 1e-9))


def _count(power: int) -> str:
    return f"{10.0**power:,.{max(0, -power)}f}"


def _time(power: int) -> str:
    if power >= 0:
        return f"{10**power:,} s"
    return f"{10 ** (power + 3)} ms" if power >= -3 else f"{10.0 ** (power + 6):g} µs"
