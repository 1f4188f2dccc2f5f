"""How long nobody leads after a leader is killed, is cut off, or hears no answer any more."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from functools import partial

from tests.safety.ground import Ground
from tests.safety.harness import Run


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
    waits = {"kill": [], "cut": [], "deaf": []}
    try:
        await run.begin()
        for _ in range(times):
            for fault, found in waits.items():
                if fault != "kill" and engine == "local":
                    continue  # there is nothing to cut
                leader = await run.until(run.leader, 60)
                await asyncio.sleep(run.ttl * run.random.random())
                at = time.monotonic()
                if fault == "kill":
                    await leader.kill()
                else:
                    leader.trouble(cut=fault == "cut", deaf=fault == "deaf")
                rest = [node for node in run.nodes if node is not leader]
                heirs = await run.until(partial(elected, rest, at), 60)
                found.append(heirs[0] - at)
                if fault == "kill":
                    await leader.start()
                else:
                    leader.trouble()
                sys.stderr.write(f"\r{engine}: {fault} {found[-1]:.1f}s ")
    finally:
        await run.end()
        await ground.close()
    for fault, found in waits.items():
        if found:
            print(
                f"\n{engine}, ttl {run.ttl:g}s, {fault}: median {statistics.median(found):.1f}s, "
                f"from {min(found):.1f}s to {max(found):.1f}s ({len(found)} times)"
            )
