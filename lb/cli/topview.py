"""What `lb top` shows: a header, then services with their servers, chosen, sorted and cut to the terminal.

Lives here: what is read of /api/v1/live, what a key changes, the picture. Must not live here: asking lb, the
terminal (lb.cli.top).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

SORTS = ("rate", "errors", "p99", "name")
COLUMNS: Final[Mapping[str, Literal["left", "right"]]] = {
    "server": "left", "status": "left", "rate": "right", "errors": "right", "p50": "right", "p99": "right",
    "in flight": "right", "why": "left",
}  # fmt: skip
LEAST = 60  # columns of a terminal, below which names and figures have no room
NARROW = 80  # below, what is in flight and why are left out
OTHERS_NARROW, OTHERS = 46, 60  # columns that all but the name take, at most, then and else
LONGEST_FILTER = 100  # characters
COLOURS = {"up": "green", "draining": "yellow", "maintenance": "yellow", "ejected": "red", "down": "red"}
ENTER, ESCAPE, RUBOUT = "\r\n", "\x1b", "\x7f\b"


class Figures(msgspec.Struct, kw_only=True):
    """`rate`, `errors`: a second; `p50`, `p99`: seconds, None where nothing ended. Absent in lb's first
    second."""

    rate: float = 0.0
    errors: float = 0.0
    p50: float | None = None
    p99: float | None = None
    in_flight: int = 0


class Server(Figures, kw_only=True):
    service: str
    name: str = msgspec.field(name="address")
    status: str = ""
    reasons: list[str] = []


class Service(Figures, kw_only=True):
    name: str


class Listener(msgspec.Struct):
    connections: int


class Answer(msgspec.Struct):
    """Of /api/v1/live, what is shown here."""

    generation: int
    total: Figures
    listeners: list[Listener]
    services: list[Service]
    servers: list[Server]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants to see. `typing`: keys are letters of `text`."""

    sort: str = SORTS[0]
    text: str = ""
    failing: bool = False
    typing: bool = False


def pressed(wish: Wish, key: str) -> Wish | None:
    """What is wanted after this key; None: no more."""
    if key == ESCAPE:
        return replace(wish, text="", typing=False)
    if wish.typing:
        if key in ENTER:
            return replace(wish, typing=False)
        if key in RUBOUT:
            return replace(wish, text=wish.text[:-1])
        return replace(wish, text=(wish.text + key)[:LONGEST_FILTER]) if key.isprintable() else wish
    if key == "s":
        return replace(wish, sort=SORTS[(SORTS.index(wish.sort) + 1) % len(SORTS)])
    if key == "f":
        return replace(wish, failing=not wish.failing)
    if key == "/":
        return replace(wish, typing=True, text="")
    return None if key == "q" else wish


def chosen(answer: Answer, wish: Wish) -> Iterator[tuple[Service, list[Server], list[Server]]]:
    """Each service that is wanted, in order, with those of its servers that are, and all of them."""
    servers: dict[str, list[Server]] = {}
    for server in answer.servers:
        servers.setdefault(server.service, []).append(server)
    text = wish.text.casefold()
    for service in sorted(answer.services, key=lambda row: _place(row, wish.sort)):
        mine = servers.get(service.name, [])
        named = text in service.name.casefold()
        wanted = [
            one
            for one in sorted(mine, key=lambda row: _place(row, wish.sort))
            if (named or text in one.name.casefold())
            and (not wish.failing or one.errors or one.status != "up")
        ]
        if wanted or (named and (service.errors or not wish.failing)):
            yield service, wanted, mine


def picture(answer: Answer, wish: Wish, trouble: str = "", size: tuple[int, int] | None = None) -> Group:
    """All of it, in at most `size` (columns, lines; None: what it takes). `trouble`: why the figures are
    old."""
    if size and size[0] < LEAST:
        return Group(Text(f"needs {LEAST} columns, has {size[0]}"))
    lines = [_header(answer)]
    if trouble:
        lines.append(Text(clean(trouble), "bold red"))
    if size:
        lines.append(_keys(wish))
    wanted: list[Callable[[], tuple[Text, ...]]] = []
    for service, servers, mine in chosen(answer, wish):
        wanted += [partial(_service, service, mine), *(partial(_server, one) for one in servers)]
    room = max(1, size[1] - len(lines) - 1) if size else len(wanted)
    more = [Text(f"… {len(wanted) - room + 1} more rows", "dim")] if len(wanted) > room else []
    rows = [row() for row in (wanted[: room - 1] if more else wanted)]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    narrow = size is not None and size[0] < NARROW
    shown = list(COLUMNS)[:-2] if narrow else list(COLUMNS)
    # Figures are never cut: where it is narrow the reasons give way, then names.
    widest = min(size[0] // 3, size[0] - (OTHERS_NARROW if narrow else OTHERS)) if size else None
    for column in shown:
        table.add_column(
            Text(column), justify=COLUMNS[column], no_wrap=column != "why", overflow="ellipsis",
            max_width=widest if column == "server" else None,
        )  # fmt: skip
    for row in rows:
        table.add_row(*row[: len(shown)])
    for line in (*lines, *more, *(text for row in rows for text in row)):
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines, table, *more)


def clean(text: str) -> str:
    """Names come from outside: nothing in them steers the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _place(row: Service | Server, sort: str) -> tuple[float, str]:
    if sort == "name":
        return 0.0, row.name
    found: float | None = getattr(row, sort)
    return -(found if found is not None else -1.0), row.name


def _service(service: Service, mine: list[Server]) -> tuple[Text, ...]:
    up = sum(one.status == "up" for one in mine)
    colour = "green" if mine and up == len(mine) else "yellow" if up else "red"
    state = Text(f"{up}/{len(mine)} up" if mine else "no server", colour)
    return Text(clean(service.name), "bold"), state, *_figures(service), Text()


def _server(one: Server) -> tuple[Text, ...]:
    status = Text(clean(one.status or "unknown"), COLOURS.get(one.status, "yellow"))
    return Text(f"  {clean(one.name)}"), status, *_figures(one), Text(clean("; ".join(one.reasons)))


def _figures(row: Figures) -> tuple[Text, ...]:
    return (
        Text(f"{row.rate:.1f}"),
        Text(_share(row), "red" if row.errors else ""),
        Text(_time(row.p50)),
        Text(_time(row.p99)),
        Text(str(row.in_flight)),
    )


def _header(answer: Answer) -> Text:
    total = answer.total
    words = (
        f"generation {answer.generation}",
        f"{total.rate:.1f} requests/s",
        f"{_share(total)} errors",
        f"p50 {_time(total.p50)}, p99 {_time(total.p99)}",
        f"{total.in_flight} in flight",  # from here on 80 columns may be too few
        f"{sum(one.connections for one in answer.listeners)} connections",
    )
    return Text(" · ".join(words), "bold")


def _keys(wish: Wish) -> Text:
    if wish.typing:
        return Text(f"/{clean(wish.text)}▏  Enter keeps it, Esc clears it", "cyan")
    found = f"q quit · s sort: {wish.sort} · f {'failing only' if wish.failing else 'all'} · / filter"
    return Text(f"{found}: {clean(wish.text)}" if wish.text else found, "cyan")


def _share(row: Figures) -> str:
    if not row.errors:
        return "0 %"
    percent = min(100.0, 100 * row.errors / row.rate) if row.rate else 100.0
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
