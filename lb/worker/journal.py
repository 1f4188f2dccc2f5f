"""lb's own log: one line an event, on stderr, written for an operator at three in the morning.

Lives here: the format, shared by control and workers. Must not live here: the access log
(lb.telemetry.logwriter), or any line per request.

    2026-01-31T03:12:45.123Z warning worker ended, starting another worker=1 pid=4711 status=-9
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import IO

COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m", "debug": "\x1b[2m"}
RESET = "\x1b[0m"


class LineFormat(logging.Formatter):
    """`time level message key=value …`; colours the level where asked to."""

    def __init__(self, coloured: bool, source: str) -> None:
        super().__init__()
        self.coloured = coloured
        self.source = source

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        if self.coloured and level in COLOURS:
            level = f"{COLOURS[level]}{level}{RESET}"
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = f"{seconds}.{int(record.msecs):03d}Z {level} {self.source}{record.getMessage()}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class Journal:
    """Writes events: a sentence and fields. A value with spaces, quotes or `=` is quoted."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)

    def note(self, message: str, **fields: object) -> None:
        self._log.info("%s", line(message, fields))

    def warning(self, message: str, **fields: object) -> None:
        self._log.warning("%s", line(message, fields))

    def error(self, message: str, **fields: object) -> None:
        self._log.error("%s", line(message, fields))

    def bug(self, message: str, error: BaseException, **fields: object) -> None:
        """An exception that nobody expected, with its traceback."""
        self._log.error("%s", line(message, fields), exc_info=error)


def line(message: str, fields: dict[str, object]) -> str:
    return " ".join([message, *(f"{name}={quoted(str(value))}" for name, value in fields.items())])


def quoted(value: str) -> str:
    if value and value.isprintable() and not any(c in value for c in " \"'="):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def start(source: str = "", stream: IO[str] | None = None) -> None:
    """Send everything that is logged in this process to stderr. `source` opens every line."""
    out = stream or sys.stderr
    coloured = out.isatty() and "NO_COLOR" not in os.environ
    writer = logging.StreamHandler(out)
    writer.setFormatter(LineFormat(coloured, source))
    logging.basicConfig(level=logging.INFO, handlers=[writer], force=True)
