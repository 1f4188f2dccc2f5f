"""The tables of docs/cluster.md, "What is consistent, what is available", cell by cell on real engines.

The page is the source: its cells are what is tested, and a cell that says something else than SAYS knows fails.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from lb.cli import publishing

from .availability import Days
from .harness.process import ROOT

ENGINES = ("local", "consul", "etcd", "zookeeper", "redis")
# They wait most of the time. Each lane has its engines one after the other.
LANES = (("consul",), ("local", "zookeeper"), ("etcd", "redis"))
STATES = {
    "engine reachable": "reachable", "this node cut off": "cut off", "engine away": "away",
    "no majority of its servers": "no majority", "primary gone, its replica there": "primary gone",
    "a replica took over": "replica took over", "both gone": "both gone",
}  # fmt: skip


def cells():
    """(operation, engine, state, what the page says)"""
    page = (ROOT / "docs/cluster.md").read_text()
    for part in page.split("<!-- availability -->")[1:]:
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in part.partition("<!-- /")[0].strip().splitlines()
        ]
        for what, engines, *said in rows[2:]:
            names = engines.split(", ") if engines != "all" else [e for e in ENGINES if e != "redis"]
            for name, (state, says) in itertools.product(names, zip(rows[0][2:], said, strict=True)):
                if name == "local" and state not in ("engine reachable", "engine away"):
                    continue  # what is not: one machine, a folder
                yield what, name, STATES[state], says


@pytest.fixture(scope="module")
def days():
    with ThreadPoolExecutor(len(LANES)) as lanes:
        found = {}
        for lane in LANES:
            before = None
            for engine in lane:
                before = found[engine] = lanes.submit(partial(_lived, engine, before))
        yield found


def _lived(engine, before):
    if before is not None:
        before.exception()  # waits
    return Days(engine).live()


@pytest.fixture
def seen(days, request):
    """What was seen of the engine in the state of this cell; and in all."""
    try:
        all_states = days[request.param[0]].result()
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{request.param[0]}: {missing}")
    return all_states[request.param[1]], all_states, Days.lease_of(request.param[0])


def in_force(now, days, lease):
    assert now["traffic"] in ("b", "c")


def ran_last(now, days, lease):
    assert now["traffic"] == {1: "b", 2: "d", 4: "b"}[now["before"]]


def starts_by_what_is_in_force(now, days, lease):
    assert now["start"] == [[now["traffic"]], [now["traffic"]]]


def starts_by_its_disk(now, days, lease):
    assert now["start"] == [[now["traffic"]], ["a"]]


def one(now, days, lease):
    assert now["leading"].lb + now["leading"].beside == 1


def ends(now, days, lease, within=1.0, heir=False):
    assert now["leading"].ended < within * lease
    assert (now["leading"].lb, now["leading"].beside) == (False, heir)


def done(now, days, lease):
    assert now["push"] == publishing.OK
    assert now["rollback"][0] == 200
    assert now["revision"] > now["before"]


def done_above(now, days, lease):
    done(now, days, lease)
    published = now["status"][1]["published"]
    # The revision 2 that every node ran is not in this Redis.
    assert (now["before"], published["revision"], published["previous"]) == (2, 3, 2)
    assert [one["revision"] for one in now["history"][1]["revisions"]] == [3, 1]


def refused(now, days, lease):
    assert now["push"] == publishing.CANNOT_RUN
    assert (now["rollback"][0], now["rollback"][1]["error"]) == (503, "engine_away")
    assert now["revision"] == now["before"], "it was done all the same"


def answered(now, days, lease):
    code, status = now["status"]
    assert code == 200 and status["engine"]["reachable"] and status["engine"]["age"] < 6
    assert status["leader"] and status["published"] and status["age"] < 6
    assert {node["node"] for node in status["nodes"]} >= {"one", "two"}
    assert now["metrics"]["lb_cluster_engine_reachable"] == 1


def answered_from_memory(now, days, lease):
    code, status = now["status"]
    assert code == 200 and not status["engine"]["reachable"]
    assert status["engine"]["age"] > 0 and status["engine"]["error"] and status["role"] == "follower"
    assert status["published"]["revision"] == now["before"]
    assert {node["node"] for node in status["nodes"]} >= {"one", "two"} and status["age"] > 0
    assert now["metrics"]["lb_cluster_engine_reachable"] == 0
    assert now["metrics"]["lb_cluster_engine_age_seconds"] > 0


def history(now, days, lease):
    code, found = now["history"]
    assert code == 200 and found["revisions"] and found["age"] < 1


def history_from_memory(now, days, lease):
    code, found = now["history"]
    assert code == 200 and found["revisions"] and found["age"] > 0
    assert now["unread"] is None, "a node that never read it knows it"


def documents(now, days, lease):
    assert (now["show"], now["diff"]) == (200, 200)


def documents_that_it_has(now, days, lease):
    documents(now, days, lease)
    assert now["missed"] == 404


def no_documents(now, days, lease):
    assert (now["show"], now["diff"]) == (503, 503)


SAYS = {
    ("traffic", "yes, by the revision in force"): in_force,
    ("traffic", "yes, by the revision that ran last"): ran_last,
    ("start of a node", "yes, by the revision in force"): starts_by_what_is_in_force,
    ("start of a node", "yes, by the revision on its disk; none there: its own file"): starts_by_its_disk,
    ("leading", "one node"): one,
    ("leading", "ends before the lease does; another node leads"): partial(ends, heir=True),
    ("leading", "ends before the lease does; nobody leads"): ends,
    ("leading", "ends at the next renewal; another node leads"): partial(ends, within=0.6, heir=True),
    ("leading", "ends at the next renewal; nobody leads"): partial(ends, within=0.6),
    ("push, rollback", "done by the leader"): done,
    ("push, rollback", "done by the leader, above what the nodes saw"): done_above,
    ("push, rollback", "refused: exit code 4, 503 in the API"): refused,
    ("status, metrics", "yes"): answered,
    ("status, metrics", "yes; what came from the store with its age"): answered_from_memory,
    ("history", "yes"): history,
    ("history", "what was read last, with its age; 503 where nothing was"): history_from_memory,
    ("show, diff", "yes"): documents,
    ("show, diff", "yes, of what it was given; a revision that it missed: 404"): documents_that_it_has,
    ("show, diff", "refused: 503"): no_documents,
}


@pytest.mark.parametrize(
    "what, says, seen",
    [
        pytest.param(what, says, (engine, state), id=f"{engine}-{state}-{what}")
        for what, engine, state, says in cells()
    ],
    indirect=["seen"],
)
def test_what_the_page_says_of_it(what, says, seen):
    SAYS[what, says](*seen)


def test_the_page_leaves_nothing_out():
    """Every operation on every engine in every state that it can be in, once."""
    found = [cell[:3] for cell in cells()]
    assert len(found) == len(set(found))
    operations = {what for what, _ in SAYS}
    states = {engine: {state for _, name, state in found if name == engine} for engine in ENGINES}
    assert {len(states[engine]) for engine in ("consul", "etcd", "zookeeper")} == {4}
    assert (len(states["local"]), len(states["redis"])) == (2, 5)
    assert set(found) == {
        (what, engine, state) for what in operations for engine in ENGINES for state in states[engine]
    }
