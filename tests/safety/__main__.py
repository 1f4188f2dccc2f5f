"""`python -m tests.safety --runs 200 --report safety.jsonl`: histories with faults, judged, on all engines
one after the other, or with `--engine` on one; `--gaps 10`: how long nobody leads after a leader is killed,
is cut off, or hears no answer any more."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter

from tests.safety.engines import ENGINES, NAIVE
from tests.safety.gaps import gaps
from tests.safety.ground import Ground
from tests.safety.harness import Run, batch
from tests.safety.whole import WholeRun

# As many clusters at a time as two cores and one set of servers carry; Consul's mostly wait for its lease.
AT_ONCE = {"local": 12, "etcd": 10, "zookeeper": 8, "redis": 12, "consul": 16}
WHOLE_AT_ONCE = 3


async def histories(engine, first, runs, at_once, note, kind=Run):
    """Whether it went as expected: no violation, and with a naive recipe at least one."""
    ground = Ground("redis" if engine in NAIVE else engine, kind.spawner)
    began, done, faults, broken = time.monotonic(), 0, Counter(), 0
    outlasted, overtaken = Counter(), Counter()

    def told(run):
        nonlocal done, broken
        done += 1
        broken += bool(run.found)
        faults.update(run.faults)
        outlasted.update(run.outlasted)
        overtaken.update(run.overtaken)
        note({
            "engine": engine, "seed": run.seed, "publications": len(run.published),
            "elections": run.elections, "faults": dict(run.faults), "outlasted": dict(run.outlasted),
            "overtaken": dict(run.overtaken), "violations": run.found[:20],
            "folder": str(run.folder) if run.found else "",
        })  # fmt: skip
        passed = time.monotonic() - began
        left = passed / done * (runs - done)
        sys.stderr.write(f"\r{engine}: {done} of {runs} runs, {passed:.0f}s, about {left:.0f}s left ")
        if run.found:
            kept = f"seed {run.seed} ({'; '.join(map(str, run.plan))}), {run.folder}"
            print("\n".join(["", kept, *(f"  {one}" for one in run.found[:5])]), flush=True)

    healed = {"healed": 15.0} if engine in NAIVE else {}  # it never is: no need to wait
    try:
        done_runs = await batch(ground, range(first, first + runs), at_once, told, engine, kind, **healed)
    finally:
        await ground.close()
    faults.update(ground.faults)
    total = {
        "engine": engine, "runs": done, "seconds": round(time.monotonic() - began),
        "publications": sum(len(run.published) for run in done_runs),
        "elections": sum(run.elections for run in done_runs), "faults": dict(sorted(faults.items())),
        "outlasted": dict(sorted(outlasted.items())), "overtaken": dict(sorted(overtaken.items())),
        "runs with violations": broken,
    }  # fmt: skip
    note(total)
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(faults.items()))
    led = ", ".join(f"{overtaken[kind]} of {count} {kind}" for kind, count in sorted(outlasted.items()))
    verdict = f"{broken} runs with violations"
    if engine in NAIVE:
        verdict = f"caught in {broken} runs" if broken else "NOT CAUGHT: the harness is blind"
    print(
        f"\n{engine}: {done} runs in {total['seconds']}s, {total['publications']} publications, "
        f"{total['elections']} elections, {verdict}; faults: {said}; "
        f"of a leader's that outlasted its lease, another was elected meanwhile in {led}",
        flush=True,
    )
    return bool(broken) == (engine in NAIVE)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.safety", description=__doc__)
    parser.add_argument("--engine", choices=[*ENGINES, *NAIVE], action="append", default=[])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--at-once", type=int, help="clusters at a time; by default what the engine carries")
    parser.add_argument("--whole", action="store_true", help="the nodes are lb itself")
    parser.add_argument("--report", metavar="FILE", help="a line of JSON for each run and engine is added")
    parser.add_argument("--gaps", type=int, default=0, metavar="N")
    given = parser.parse_args()

    def note(line):
        if given.report:
            with open(given.report, "a") as file:
                file.write(json.dumps(line) + "\n")

    good = True
    for engine in given.engine or ENGINES:
        if given.gaps:
            asyncio.run(gaps(engine, given.gaps))
        else:
            at_once = given.at_once or (WHOLE_AT_ONCE if given.whole else AT_ONCE.get(engine, 8))
            kind = WholeRun if given.whole else Run
            good &= asyncio.run(histories(engine, given.first, given.runs, at_once, note, kind))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
