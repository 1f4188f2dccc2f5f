"""`lb explain`: where a request would go, on a file, on a running lb, or on both.

Lives here: getting the answers. Must not live here: finding them (lb.control.explain), and their text
(lb.cli.explained).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lb.cli.admin import USAGE, UnansweredError, ask
from lb.cli.explained import differences, show, show_both
from lb.cli.terminal import complain, say

OK, PROBLEMS = 0, 1


class Wish(NamedTuple):
    """What the user typed. `config` None: only the running lb of `admin` is asked; `admin` "": only the
    file. Both: the file beside the running lb."""

    config: Path | None
    admin: str
    method: str
    url: str
    headers: tuple[str, ...]
    client_ip: str
    listener: str
    json: bool


def explain(wish: Wish) -> int:
    """Returns the exit code."""
    try:
        headers = [_header(text) for text in wish.headers]
        running = _from_admin(wish, headers) if wish.admin else None
        candidate = _from_file(wish.config, wish, headers) if wish.config is not None else None
    except UnansweredError as error:
        for line in str(error).splitlines():
            complain(line)
        return error.code
    answer = candidate or running
    if candidate is not None and running is not None:
        found = {"candidate": candidate, "running": running, "differs": differences(running, candidate)}
        if wish.json:
            _dump(found)
        else:
            show_both(found)
    elif wish.json:
        _dump(answer)
    elif answer is not None:
        show(answer)
    return OK


def _dump(found: object) -> None:
    json.dump(found, sys.stdout, indent=2)
    say()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UnansweredError(USAGE, f'found the header "{text}"; write it like "x-beta: 1"')
    return name.strip().lower(), value.strip()


def _from_file(config: Path, wish: Wish, headers: list[tuple[str, str]]) -> Mapping[str, Any]:
    from lb.admin.view import Question
    from lb.config import ConfigError, load
    from lb.control.explain import explain as find
    from lb.control.planning import make_plan
    from lb.snapshot import SnapshotError
    from lb.telemetry.cells import Cells
    from lb.telemetry.layout import REGION
    from lb.telemetry.ledger import Ledger

    try:
        plan = make_plan(load(config), 1, Ledger())
        question = Question(wish.method, wish.url, headers, wish.client_ip, wish.listener)
        return find(plan, question, Cells(-1, 0, 1, REGION))
    except (ConfigError, SnapshotError) as error:
        raise UnansweredError(PROBLEMS, str(error)) from None
    except ValueError as error:
        raise UnansweredError(USAGE, str(error)) from None


def _from_admin(wish: Wish, headers: list[tuple[str, str]]) -> Mapping[str, Any]:
    named: dict[str, list[str]] = {}
    for name, value in headers:
        named.setdefault(name, []).append(value)
    question = {
        "method": wish.method,
        "url": wish.url,
        "headers": named,
        "client_ip": wish.client_ip,
        "listener": wish.listener,
    }
    found: Mapping[str, Any] = ask(wish.admin, "POST", "/api/v1/explain", question)
    return found
