"""Where whole lbs come from: each in a group of its own, with its workers; when standard input ends, however
the harness did, all of them are killed.

A line is a command, its environment and the file for what it says (JSON); the answer is its number. Nobody
waits for one that ended: so its number stays its own, and no signal meets another.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys


def main():
    kept = []
    for line in iter(sys.stdin.readline, ""):
        given = json.loads(line)
        with open(given["output"], "ab") as output:
            kept.append(
                subprocess.Popen(
                    given["command"], env={**os.environ, **given["environment"]}, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                )
            )  # fmt: skip
        print(kept[-1].pid, flush=True)
    for one in kept:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
