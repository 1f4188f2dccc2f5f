"""A sink of access-log lines by its path.

Lives here: which of the two writers a path means. Must not live here: what they do (lb.telemetry.logwriter,
lb.telemetry.syslog).
"""

from __future__ import annotations

from collections.abc import Callable

from lb.telemetry.logwriter import LogWriter
from lb.telemetry.syslog import PREFIX, SyslogWriter

Sink = LogWriter | SyslogWriter


def open_sink(path: str, dropped: Callable[[int], None]) -> Sink:
    """`dropped` is called with a number of lines that were lost. Raises OSError where a file cannot be
    opened, and ValueError for a syslog address that is none."""
    return SyslogWriter(path, dropped) if path.startswith(PREFIX) else LogWriter(path, dropped)
