"""`lb top`: the live view of a running lb in a terminal.

Lives here: asking once a second, the terminal and its keys. Must not live here: what is shown
(lb.cli.topview).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.live import Live

from lb.cli.admin import CANNOT_RUN, UnansweredError, ask
from lb.cli.terminal import complain, say
from lb.cli.topview import LEAST, Answer, Wish, picture, pressed

OK = 0
PATH = "/api/v1/live"
PERIOD = 1.0  # seconds between two questions: lb looks once a second
PATIENCE = 5.0  # seconds for an answer, after the first
LOOK = 0.2  # seconds after which a new answer, or size of the terminal, is seen
WIDE = 1000  # columns, over a pipe
ARROW = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.)")  # and the other keys that send several characters


def top(admin: str, once: bool, as_json: bool) -> int:
    """Show what lb does until q or Ctrl-C; once where `once`, `as_json`, or where this is no terminal.
    Returns the exit code."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    try:
        raw = ask(admin, "GET", PATH)
        if as_json:
            say(json.dumps(raw, indent=2))
            return OK
        answer = _read(admin, raw)
    except UnansweredError as error:
        complain(str(error))
        return error.code
    if once or console.is_dumb_terminal or not (sys.stdout.isatty() and sys.stdin.isatty()):
        _print(console, answer)
        return OK
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _watch(console, _Asking(admin, answer))
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    return OK


class _Said(NamedTuple):
    """`at`: monotonic; `trouble`: why there is nothing newer."""

    answer: Answer
    at: float
    trouble: str = ""


class _Asking:
    """A thread that asks: a slow lb delays no key. `now` is what is known."""

    def __init__(self, admin: str, first: Answer) -> None:
        self.now = _Said(first, time.monotonic())
        self._admin = admin
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(PERIOD)
            try:
                raw = ask(self._admin, "GET", PATH, timeout=PATIENCE)
                self.now = _Said(_read(self._admin, raw), time.monotonic())
            except UnansweredError as error:
                self.now = self.now._replace(trouble=str(error))


def _read(admin: str, raw: Any) -> Answer:
    """Raises UnansweredError."""
    try:
        return msgspec.convert(raw, Answer)
    except msgspec.ValidationError as error:
        raise UnansweredError(
            CANNOT_RUN, f"{admin} answers otherwise than this version of lb: {error}; is it another one?"
        ) from None


def _print(console: Console, answer: Answer) -> None:
    if console.width < LEAST:
        console.width = WIDE  # the terminal breaks the lines, and nothing is lost
    with console.capture() as printed:
        console.print(picture(answer, Wish()))
    for line in printed.get().splitlines():
        say(line.rstrip())


def _watch(console: Console, asking: _Asking) -> None:
    wish: Wish | None = Wish()
    seen = None
    with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while wish is not None:
            trouble = _old(asking.now)
            new = (asking.now, trouble, wish, console.size)
            if new != seen:
                seen = new
                live.update(picture(asking.now.answer, wish, trouble, console.size), refresh=True)
            if not select.select([keys], [], [], LOOK)[0]:
                continue
            typed = os.read(keys, 64).decode(errors="ignore")
            for key in ARROW.sub("", typed) if typed else "q":  # nothing: the terminal is gone
                wish = pressed(wish, key) if wish is not None else None


def _old(said: _Said) -> str:
    if not said.trouble:
        return ""
    return f"for {time.monotonic() - said.at:.0f}s, trying again: {said.trouble}"


@contextlib.contextmanager
def _keys() -> Iterator[int]:
    """The terminal, giving each key at once and showing none."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
