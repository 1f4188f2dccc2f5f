"""A few histories on every engine, and the naive recipe caught: the short form of `python -m tests.safety`.

All engines at once, most of whose time is waiting for leases to end.
"""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from tests.safety.engines import ENGINES, NAIVE
from tests.safety.ground import Ground
from tests.safety.harness import KINDS, Run, batch, plan
from tests.safety.whole import WholeRun

RUNS = {"local": 2, "redis": 2, "etcd": 2, "zookeeper": 1, "consul": 1, "naive": 1}
FAULTS = {"consul": 1, "naive": 0}  # in one run: Consul's leases are long; the others: 3
WITHIN = 200.0  # seconds, for all of them, on a machine that does other things too

pytestmark = pytest.mark.timeout(WITHIN + 40)


async def histories(engine, runs, kind=Run):
    ground = await asyncio.to_thread(Ground, "redis" if engine in NAIVE else engine, kind.spawner)
    more = {"faults": FAULTS.get(engine, 3), "healed": 10.0 if engine in NAIVE else 60.0}
    try:
        return await batch(ground, range(1, runs + 1), 2, lambda run: None, engine, kind, **more)
    finally:
        await ground.close()


async def everything():
    async with asyncio.timeout(WITHIN):
        found = await asyncio.gather(*(histories(*one) for one in RUNS.items()), return_exceptions=True)
    return dict(zip(RUNS, found, strict=True))


async def with_the_whole_lb():
    async with asyncio.timeout(WITHIN):
        return await asyncio.gather(histories("etcd", 1, WholeRun), return_exceptions=True)


@pytest.fixture(scope="module")
def done():
    return asyncio.run(everything())


def runs_of(done, engine):
    found = done[engine]
    if isinstance(found, FileNotFoundError) and os.environ.get("CI") != "true":
        pytest.skip(f"{engine}: {found}")
    if isinstance(found, BaseException):
        raise found
    return found


def unbroken(runs):
    for run in runs:
        assert run.found == [], f"seed {run.seed}, {run.folder}: {'; '.join(map(str, run.plan))}"
        assert run.published, "nothing was published"
        assert run.elections > 1, "the leader was killed, and nobody followed"
        assert run.faults.total() > 1, "nothing happened"


@pytest.mark.parametrize("engine", ENGINES)
def test_no_history_with_faults_breaks_a_rule(engine, done):
    unbroken(runs_of(done, engine))


def test_nor_does_one_of_the_whole_lb():
    runs = runs_of({"etcd": asyncio.run(with_the_whole_lb())[0]}, "etcd")
    unbroken(runs)
    assert all(run.faults["requests"] > 100 for run in runs), "hardly a request was judged"


def test_the_naive_recipe_is_caught(done):
    """Its leader is killed, and a lock without expiry is locked for ever."""
    for run in runs_of(done, "naive"):
        assert any("nobody could publish" in one for one in run.found), run.found
        assert run.published, "it works until something happens"
        shutil.rmtree(run.folder)  # kept, as of every run that broke a rule


def test_what_is_tried_follows_from_the_seed():
    assert plan(7) == plan(7) != plan(8)
    assert {fault.kind for seed in range(40) for fault in plan(seed)} == set(KINDS)
