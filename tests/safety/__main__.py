"""`python -m tests.safety --engine etcd --runs 200`: histories with faults, judged; `--gaps 10`: how long
nobody leads after a leader is killed, and after it hears no answer any more."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from functools import partial

from tests.safety.harness import ENGINES, Ground, Run, batch


async def histories(engine, first, runs, at_once):
    ground = Ground("redis" if engine == "naive" else engine)
    done, published, began = [0], [0], time.monotonic()

    def told(run, found):
        done[0] += 1
        published[0] += getattr(run, "published", 0)
        sys.stderr.write(f"\r{engine}: {done[0]} of {runs} runs, {time.monotonic() - began:.0f}s ")
        for one in found[:5]:
            print(f"\nseed {run.seed} ({'; '.join(run.faults)}): {one}\n  {run.folder}", flush=True)

    try:
        found = await batch(ground, range(first, first + runs), engine, at_once, told)
    finally:
        ground.close()
    broken = sum(1 for one in found.values() if one)
    print(f"\n{engine}: {runs} runs, {published[0]} publications, {broken} runs with violations")
    return broken


def elected(nodes, after):
    """When one of them was, since `after`."""
    return [
        line["at"]
        for node in nodes
        for line in node.heard()
        if line["what"] == "elected" and line["at"] > after
    ]


async def gaps(engine, times):
    ground = Ground(engine)
    await ground.ready()
    run = Run(ground, 0)
    waits = {"kill": [], "cut": []}
    try:
        await run.begin()
        for _ in range(times):
            for fault, found in waits.items():
                if fault == "cut" and engine == "local":
                    continue  # there is nothing to cut
                leader = await run.until(run.leader, 60)
                await asyncio.sleep(run.ttl * run.random.random())
                at = time.monotonic()
                if fault == "kill":
                    await leader.kill()
                else:
                    leader.cut(deaf=True)
                rest = [node for node in run.nodes if node is not leader]
                heirs = await run.until(partial(elected, rest, at), 60)
                found.append(heirs[0] - at)
                if fault == "kill":
                    await leader.start()
                else:
                    leader.cut()
                sys.stderr.write(f"\r{engine}: {fault} {found[-1]:.1f}s ")
    finally:
        await run.end()
        ground.close()
    for fault, found in waits.items():
        if found:
            print(
                f"\n{engine}, ttl {run.ttl:g}s, {fault}: median {statistics.median(found):.1f}s, "
                f"from {min(found):.1f}s to {max(found):.1f}s ({len(found)} times)"
            )


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.safety", description=__doc__)
    parser.add_argument("--engine", choices=[*ENGINES, "naive"], action="append", default=[])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--gaps", type=int, default=0, metavar="N")
    given = parser.parse_args()
    broken = 0
    for engine in given.engine or ENGINES:
        if given.gaps:
            asyncio.run(gaps(engine, given.gaps))
        else:
            broken += asyncio.run(histories(engine, given.first, given.runs, given.at_once))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
