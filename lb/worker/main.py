"""The start and the end of a worker process.

Lives here: arguments, the loop, signals, the settings of the cycle collector. Must not live here: what
the worker does on a message (lb.worker.work). Nothing here may import what only control needs: a worker
starts in a fraction of a second and stays small.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

import uvloop

from lb.telemetry.cells import CELL, Cells
from lb.worker import journal
from lb.worker.work import Log, Plane, Worker

PlaneFactory = Callable[[asyncio.AbstractEventLoop, Cells, int, Log], Plane]

# Per-connection objects are freed by their counts; the collector is for rare cycles. With the default of
# 700 a burst of connections would pay for hundreds of passes.
GC_THRESHOLDS = (20_000, 20, 50)


def data_plane(loop: asyncio.AbstractEventLoop, cells: Cells, worker: int, log: Log) -> Plane:
    from lb.proxy.plane import DataPlane

    plane: Plane = DataPlane(loop, cells, worker, log)
    return plane


def main(argv: Sequence[str] | None = None, plane_factory: PlaneFactory = data_plane) -> None:
    """Run a worker until control, or SIGTERM after control's death, ends it. Exits with status 0."""
    parser = argparse.ArgumentParser(prog="lb.worker")
    parser.add_argument(
        "--channel", type=int, required=True, help="descriptor of the worker's end of the channel"
    )
    parser.add_argument("--cells", type=int, required=True, help="descriptor of the shared memory")
    parser.add_argument("--worker", type=int, required=True, help="number of this worker, from 0")
    parser.add_argument("--workers", type=int, required=True, help="how many workers there are")
    parser.add_argument("--doors", default="", help="the folder for its door; absent: it has none")
    args = parser.parse_args(argv)

    journal.start(source=f"worker {args.worker}: ")
    size = os.fstat(args.cells).st_size // CELL // args.workers
    cells = Cells(args.cells, args.worker, args.workers, size)
    os.close(args.cells)
    channel = socket.socket(fileno=args.channel)
    os.set_inheritable(args.channel, False)

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(report)
    worker = Worker(loop, channel, cells, args.worker, plane_factory, args.doors)
    loop.add_signal_handler(signal.SIGTERM, worker.terminate)
    loop.add_signal_handler(signal.SIGUSR1, worker.reopen_log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()
    try:
        loop.run_until_complete(worker.run())
    finally:
        worker.close()
    sys.exit(0)


def report(loop: asyncio.AbstractEventLoop, event: dict[str, Any]) -> None:
    """An exception that reached the loop is a bug: say so, and go on serving."""
    log = journal.Journal("lb.worker")
    error = event.get("exception")
    message = str(event.get("message") or "an error reached the loop")
    if isinstance(error, BaseException):
        log.bug(message, error)
    else:
        log.error(message)
