"""The end of a run: heal everything but a leader that is killed for good, publish once more, and judge.

What is judged is what the nodes wrote down and what is in the store, read over a wire that nobody disturbs.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from lb.cluster.contract import EngineError
from lb.cluster.records import Revision
from lb.cluster.rollout import SILENT
from tests.cluster.checker import Published, strays, violations
from tests.safety.node import engine_of

LAST = 1_000_000  # the number of the first publication after everything was healed


async def judged(run):
    for node in run.nodes:
        node.pause(False)
        node.trouble()
        node.late(0.0)
        if not node.lives:
            await node.start()
    last = await run.until(run.leader, run.healed) or run.nodes[0]
    await last.kill()  # nobody may wait for it
    run.faults["kill-for-good"] += 1
    live = [node for node in run.nodes if node is not last]
    found = await last_publication(run, live)
    # What was heard is older than what the store says: whatever was accepted until then must be there. An
    # order from before may still put a revision on the node that is dead: it is taken back after SILENT.
    end = time.monotonic() + SILENT + run.healed / 2
    while True:
        heard = {node.name: list(node.heard()) for node in run.nodes}
        applied = {name: _all(lines, "applied") for name, lines in heard.items()}
        said = run.published = await stored(run)
        arrived = all(applied[node.name][-1:] == said[-1:] for node in live)
        if arrived or found or time.monotonic() > end:
            break
        await asyncio.sleep(0.1)
    found += violations(said, applied, [node.name for node in live] if not found else [])
    return found + strays(run.first, applied) + lies(said, heard)


def lies(said, heard):
    """Where what the nodes wrote down (by name: their lines) is not what the store says."""
    found = []
    by_number = {one.revision: one for one in said}
    for name, lines in heard.items():
        for one in _all(lines, "accepted"):
            if one not in said:
                found.append(f"{one} was accepted; the store has {by_number.get(one.revision)}")
        for line in lines:
            if line["what"] == "promised":
                there = by_number.get(line["revision"])
                if there is None:
                    found.append(f"revision {line['revision']} was promised by {name}, and is not there")
                elif there.digest != line["digest"]:
                    found.append(f"{there} has not the document that {name} was promised")
            if line["what"] == "bug":
                found.append(f"{name}: {line['text']}")
    return found


async def last_publication(run, live):
    """Somebody must be able to publish; what was found where nobody is."""
    end = time.monotonic() + run.healed
    number = LAST
    while time.monotonic() < end:
        live[number % len(live)].order(f"push {number}")

        def promised(wanted=number):
            return any(line.get("number") == wanted for node in live for line in node.heard())

        if await run.until(promised, min(10.0, end - time.monotonic())):
            return []
        number += 1
    return [f"nobody could publish within {run.healed:g}s when everything was healed"]


async def stored(run):
    """What was accepted, in the order of the store."""
    ports = [server.port for server in run.ground.servers]
    engine = engine_of({**run.given(), "ports": ports, "node": "judge", "folder": str(run.folder / "judge")})
    end = time.monotonic() + 30
    try:
        while True:
            try:
                entries = await engine.list("revisions")
                break
            except EngineError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.5)
    finally:
        await engine.close()
    ordered = sorted(entries.values(), key=lambda entry: entry.version)
    found = [msgspec.json.decode(entry.value, type=Revision) for entry in ordered]
    run.first = {one.revision: one.stage.first for one in found if one.stage is not None}
    return [Published(one.revision, one.epoch, one.digest) for one in found]


def _all(lines, what):
    return [
        Published(line["revision"], line["epoch"], line["digest"]) for line in lines if line["what"] == what
    ]
