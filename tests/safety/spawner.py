"""Where the nodes come from: one process that has imported everything, and forks.

Importing costs a node more processor time than all the faults of its run. A line of standard input is what a
node is given (JSON); the answer is its process's number. A node ends with the spawner, the spawner with its
standard input.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import signal
import sys
import traceback

from tests.safety import node

PR_SET_PDEATHSIG = 1


def preload():
    """Of engines whose package is not installed there is nothing to import."""
    for name in ("consul", "etcd", "local", "redis", "zookeeper"):
        try:
            __import__(f"lb.cluster.engines.{name}")
        except ImportError as missing:
            print(missing, file=sys.stderr)


def live(given, parent):
    """In the child; does not return."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            return
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        errors = os.open(given["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for end, own in ((nothing, 0), (errors, 1), (errors, 2)):
            os.dup2(end, own)
        random.seed()
        asyncio.run(node.main(given))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who ended is gone, nobody waits
    preload()
    own = os.getpid()
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if not pid:
            live(json.loads(line), own)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
