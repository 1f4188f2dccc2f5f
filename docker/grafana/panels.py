"""Rows and panels as data, and the JSON that Grafana wants of them.

Lives here: what a dashboard consists of, the kinds of panel that lb needs, where they stand on the grid. Must
not live here: which panels there are (the files of `boards`), how one asks Prometheus (queries.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

from queries import expanded

Json = dict[str, Any]

SCHEMA = 41  # of Grafana 12; later ones bring it up to theirs
COLUMNS = 24  # of the grid
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """`says`: what it shows, and what a bad value means. `asks`: expressions by legend, of a table by column.
    `marks`: from which value on it has which colour;
    `base`: the one below. `more`: what its kind has beside the others' JSON."""

    kind: str
    title: str
    says: str
    asks: Mapping[str, str]
    unit: str = "short"
    wide: int = 8
    high: int = 7
    marks: Sequence[tuple[float, str]] = ()
    base: str = "green"
    custom: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    more: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """`folded`: closed until somebody opens it."""

    title: str
    panels: Sequence[Panel]
    folded: bool = False


@dataclass(frozen=True)
class Board:
    """`pick`: variables besides datasource and job, each a name and the metric that has it as a label."""

    uid: str
    title: str
    says: str
    pick: Sequence[tuple[str, str]]
    rows: Sequence[Row]


def graph(
    title: str,
    unit: str,
    says: str,
    asks: Mapping[str, str],
    *,
    wide: int = 8,
    stacked: bool = False,
    bars: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    colours: Mapping[str, str] | None = None,
    most: float | None = None,
) -> Panel:
    """Over time. `colours`: of series by legend. `most`: where the axis ends at least."""
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 60 if bars else 40 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if marks else "off"},
    }
    if most is not None:
        custom["axisSoftMax"] = most
    options: Json = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    overrides = [
        _override(name, "color", {"mode": "fixed", "fixedColor": colour})
        for name, colour in (colours or {}).items()
    ]
    return Panel("timeseries", title, says, asks, unit, wide, 7, marks, "green", custom, options, overrides)


def stat(
    title: str,
    unit: str,
    says: str,
    ask: str,
    *,
    wide: int = 4,
    marks: Sequence[tuple[float, str]] = (),
    base: str = "green",
) -> Panel:
    """One number, with its colour and its course."""
    options: Json = {
        "colorMode": "background" if marks else "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel("stat", title, says, {"": ask}, unit, wide, 4, marks, base, options=options)


def timeline(title: str, says: str, asks: Mapping[str, str], words: Mapping[int, tuple[str, str]]) -> Panel:
    """Which of few states holds when. `words`: text and colour of each value."""
    mapped = {str(value): {"text": text, "color": colour} for value, (text, colour) in words.items()}
    options: Json = {
        "showValue": "never",
        "mergeValues": True,
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    more: Json = {"mappings": [{"type": "value", "options": mapped}]}
    return Panel("state-timeline", title, says, asks, options=options, custom={"fillOpacity": 70}, more=more)


def heat(title: str, says: str, ask: str, *, wide: int = 8) -> Panel:
    """A histogram over time. `ask`: its buckets, by le."""
    options: Json = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "legend": {"show": False},
        "tooltip": {"mode": "single", "yHistogram": False},
        "filterValues": {"le": 1e-9},
    }
    return Panel("heatmap", title, says, {"{{le}}": ask}, "s", wide, options=options)


def table(
    title: str,
    says: str,
    columns: Mapping[str, tuple[str, str]],
    *,
    wide: int = 24,
    link: tuple[str, str] | None = None,
    values: bool = True,
) -> Panel:
    """What holds now, a line for each set of labels. `columns`: unit and expression by heading. `link`: the
    label that leads elsewhere, and where to. `values` False: the labels alone are what it tells."""
    names = [f"Value #{letter}" for letter in ascii_uppercase[: len(columns)]]
    overrides = [_override(heading, "unit", unit) for heading, (unit, _) in columns.items()]
    if link is not None:
        label, url = link
        overrides.append(_override(label, "links", [{"title": f"This {label}", "url": url}]))
    hidden = {"Time": True, **({} if values else {"Value": True, "Value #A": True})}
    named = dict(zip(names, columns, strict=True))
    if len(columns) == 1:
        named["Value"] = next(iter(columns))
    arranged = {"excludeByName": hidden, "renameByName": named}
    more: Json = {
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": arranged},
        ]
    }
    options: Json = {"showHeader": True, "cellHeight": "sm"}
    asks = {heading: expr for heading, (_, expr) in columns.items()}
    return Panel("table", title, says, asks, wide=wide, options=options, overrides=overrides, more=more)


def _override(name: str, what: str, value: Any) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": what, "value": value}]}


def _asked(panel: Panel) -> Iterator[Json]:
    for letter, (legend, expr) in zip(ascii_uppercase, panel.asks.items(), strict=False):
        ask: Json = {
            "refId": letter,
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": expanded(expr),
            "instant": panel.kind == "table",
            "range": panel.kind != "table",
        }
        if panel.kind in ("table", "heatmap"):
            ask["format"] = panel.kind
        if panel.kind != "table":
            ask["legendFormat"] = legend or panel.title
        yield ask


def _shown(panel: Panel, number: int, x: int, y: int) -> Json:
    steps: list[Json] = [{"color": panel.base, "value": None}]
    steps += [{"color": colour, "value": value} for value, colour in panel.marks]
    by_value = panel.kind in ("stat", "state-timeline")
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "thresholds" if by_value else "palette-classic"},
        "custom": panel.custom,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    more = dict(panel.more)
    if "mappings" in more:
        defaults["mappings"] = more.pop("mappings")
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.wide, "h": panel.high},
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
        "targets": list(_asked(panel)),
        **more,
    }


def placed(rows: Sequence[Row]) -> list[Json]:
    """From left to right, and a new line where one is full."""
    found: list[Json] = []
    number = y = 0
    for row in rows:
        number += 1
        head: Json = {
            "id": number, "type": "row", "title": row.title, "collapsed": row.folded,
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}, "panels": [],
        }  # fmt: skip
        found.append(head)
        y += 1
        x = high = 0
        for panel in row.panels:
            if x + panel.wide > COLUMNS:
                x, y, high = 0, y + high, 0
            number += 1
            (head["panels"] if row.folded else found).append(_shown(panel, number, x, y))
            x, high = x + panel.wide, max(high, panel.high)
        y += high
    return found
