"""The tables of docs/cluster.md, "What is consistent, what is available", cell by cell on real engines.

The page is the source: its cells are what is tested, and a cell that says something else than SAYS knows fails.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from lb.cli import publishing

from .availability import Days
from .harness.process import ROOT

pytestmark = [
    pytest.mark.alone,  # two engines and six lbs at a time, whose leases are short
    pytest.mark.timeout(600),  # the first cell waits for its engine's days
]

ENGINES = ("local", "consul", "etcd", "zookeeper", "redis")
AWAY = {"local": ("away",), "redis": ("primary gone", "both gone")}
MAJORITY = ("no majority", "away")


def states(column, engine):
    if column == "engine away":
        return AWAY.get(engine, MAJORITY)
    if column == "this node cut off":
        return () if engine == "local" else ("cut off",)
    return ("replica took over",) if column == "a replica took over" else ("reachable",)


def cells():
    """(operation, engine, state): what the page says."""
    page = (ROOT / "docs/cluster.md").read_text()
    found: dict[tuple[str, str, str], str] = {}
    for part in page.split("<!-- availability -->")[1:]:
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in part.partition("<!-- /")[0].strip().splitlines()
        ]
        for operations, engines, *said in rows[2:]:
            for what in operations.split(", "):
                for engine in ENGINES if engines == "all" else engines.split(", "):
                    for column, says in zip(rows[0][2:], said, strict=True):
                        for state in states(column, engine):
                            assert (what, engine, state) not in found, "said twice"
                            found[what, engine, state] = says
    for (what, engine, state), says in list(found.items()):
        if (engine, state) == ("redis", "reachable"):
            found.setdefault((what, engine, "replica took over"), says)
    return found


@pytest.fixture(scope="module")
def days():
    """Two engines side by side: they wait most of the time, but leases are short, and a start is busy."""
    with ThreadPoolExecutor(2) as threads:
        yield {engine: threads.submit(Days(engine).live) for engine in ENGINES}


@pytest.fixture
def seen(days, request):
    """What was seen of the engine in the state of this cell; the operation; the engine's lease."""
    what, engine, state = request.param
    try:
        all_states = days[engine].result()
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{engine}: {missing}")
    return all_states[state], what, Days.lease_of(engine)


def traffic(now, what, lease):
    got, runs = now["traffic"]
    assert got == runs


def starts(now, what, lease):
    runs = next(iter(now["traffic"][1].values()))
    assert now["start"] == [[runs], [runs]]


def starts_by_its_disk(now, what, lease):
    runs = next(iter(now["traffic"][1].values()))
    assert now["start"] == [[runs], ["a"]]


def one(now, what, lease):
    assert len(now["leaders"]) == 1


def ends(now, what, lease, within=1.0, heir=False):
    assert now["ended"]["leading"] < within * lease
    assert now["here"][2] == [] and len(now.get("others lead", [])) == heir


# ------------------------------------------------------------------------------------ orders


def done(now, what, lease):
    if what == "push":
        assert now["push"] == publishing.OK and now["published"]["revision"] > now["before"]
    elif what == "rollback":
        assert now["rollback"][0] == 200 and now["rollback"][1]["revision"] > now["published"]["revision"]
    elif what == "resign":
        code, before, after = now["resign"]
        assert code == publishing.OK and before != after
    elif what == "order everywhere":
        assert now[what] == 0 and set(now["ordered"].values()) == {"maintenance"}
    else:
        assert now[what] == publishing.OK


def done_above(now, what, lease):
    done(now, what, lease)
    published, before = now["published"], now["before"]
    # What every node saw last, and what was before that, is not in this Redis.
    assert (published["revision"], published["previous"]) == (before + 1, before)
    kept = [one["revision"] for one in now["looks"]["history"][1]["revisions"]]
    assert not {before, before - 1} & set(kept) and published["revision"] in kept


def done_or_missed(now, what, lease):
    done(now, what, lease)
    assert now["ends nothing"] == (publishing.USAGE, 409, "no_rollout")


def refused(now, what, lease):
    assert now["refused"][what] == (publishing.CANNOT_RUN, 503, "engine_away")
    if what == "push":
        assert now["refused"]["push --first"] == (publishing.CANNOT_RUN, 503, "engine_away")
    assert now["here"][:2] == (now["traffic"][1], now["before"]), "it was done all the same"


def done_here(now, what, lease):
    assert now["alone"] == ([0, 0], "maintenance")


def by_itself(now, what, lease):
    on, back = now["rollout"]
    assert on["author"] == back["author"] == "lb"
    assert "goes on to all nodes" in on["message"] and "is taken back: too many" in back["message"]


def stands_still(now, what, lease):
    assert now["here"] == (now["traffic"][1], now["before"], [])
    assert len(set(now["traffic"][1].values())) == 2
    code, said = now["looks"]["lb cluster status"]
    assert code == 0 and "tried on " in said


def others_go_on(now, what, lease):
    assert now["here"][:2] == (now["traffic"][1], now["before"])
    run = now["others run"]
    assert (run["author"], run["revision"], run["restores"]) == ("lb", now["before"] + 1, now["before"])


def missed_rollout(now, what, lease):
    by_itself(now, what, lease)
    assert now["kept"][0] and now["ends nothing"][2] == "no_rollout"


def holds(now, what, lease):
    assert set(now["ordered"].values()) == {"maintenance"}
    assert said_age(now["looks"]["servers"][1]["everywhere"], False)


def holds_what_it_missed(now, what, lease):
    holds(now, what, lease)
    assert set(now["kept"][1].values()) == {"drain"}


def holds_and_ends(now, what, lease):
    assert set(now["held"].values()) == set(now["ordered"].values()) == {"drain"}
    assert abs(now["over"]) < 3
    code, said = now["looks"]["lb servers list"]
    assert code == 0 and "what is ordered everywhere was last heard " in said and "s ago" in said
    assert said_age(now["looks"]["servers"][1]["everywhere"], True)


# ------------------------------------------------------------------------------------ shared health


def shared(now, what, lease):
    assert {len(nodes) for nodes in now["asking"].values()} == {2}
    assert now["doubt"] == {"up"}, "one node decided alone"
    took, others = now["dies"]
    assert took < 6 and others == {"up"}


def alone(now, what, lease):
    assert now["ended"]["sharing"] < 8 and set(now["sharing"].values()) == {1}
    for nodes in now["asking"].values():
        assert nodes >= set(now["sharing"])
    took, others = now["dies"]
    assert took < 6 and others == {"up"}


# ------------------------------------------------------------------------------------ looking


def said_age(engine, away):
    """Whether it says truly how old the engine's word is."""
    return bool(engine["error"]) == away and (0 < engine["age"] < 200 if away else engine["age"] < 7)


def answered(now, what, lease):
    assert {"one", "two", "three"} <= {node["node"] for node in now["looks"]["cluster"][1]["nodes"]}
    told(now, what, False)


def answered_from_memory(now, what, lease):
    status = now["looks"]["cluster"][1]
    assert status["role"] == "follower" and status["published"]["revision"] == now["before"]
    assert {"one", "two", "three"} <= {node["node"] for node in status["nodes"]}
    told(now, what, True)


def told(now, what, away):
    look = now["looks"]
    if what == "status":
        code, status = look["cluster"]
        assert code == 200 and said_age(status["engine"], away) and status["engine"]["reachable"] != away
        assert (status["age"] > 0) == away
        code, said = look["lb cluster status"]
        assert code == 0 and ("the engine does not answer (last: " in said and "s ago)" in said) == away
        (source,) = (one for one in look["status"][1]["sources"] if one["kind"] == "cluster")
        assert said_age(source, away) and source["ok"] != away
    elif what == "metrics":
        metrics = look["metrics"]
        assert metrics["lb_cluster_engine_reachable"] == (not away)
        age = metrics["lb_cluster_engine_age_seconds"]
        assert 0 < age < 200 if away else age < 7
    else:  # what the dashboard shows of it: tests.scenarios.test_dashboard_browser
        cluster = look["live"][1]["total"]["cluster"]
        assert cluster["reachable"] != away and bool(cluster["away"]) == away


def history(now, what, lease):
    code, found = now["looks"]["history"]
    assert code == 200 and found["revisions"] and found["age"] == 0
    code, said = now["looks"]["lb cluster history"]
    assert code == 0 and said.startswith("revision ") and "was read" not in said


def history_from_memory(now, what, lease):
    code, found = now["looks"]["history"]
    assert code == 200 and found["revisions"] and found["age"] > 0
    code, said = now["looks"]["lb cluster history"]
    assert code == 0 and "the engine does not answer; this was read " in said and "s ago" in said
    assert now["unread"] is None, "a node that never read it knows it"


def documents(now, what, lease):
    assert now["looks"][what][0] == 200


def documents_that_it_has(now, what, lease):
    documents(now, what, lease)
    assert now["missed"] == 404


def no_documents(now, what, lease):
    assert now["looks"][what][0] == 503


SAYS = {
    ("traffic", "yes, by the revision in force"): traffic,
    ("traffic", "yes, by the revision that ran last"): traffic,
    ("start of a node", "yes, by the revision in force"): starts,
    ("start of a node", "yes, by the revision on its disk; none there: its own file"): starts_by_its_disk,
    ("leading", "one node"): one,
    ("leading", "ends before the lease does; another node leads"): partial(ends, heir=True),
    ("leading", "ends before the lease does; nobody leads"): ends,
    ("leading", "ends at the next renewal; another node leads"): partial(ends, within=0.6, heir=True),
    ("leading", "ends at the next renewal; nobody leads"): partial(ends, within=0.6),
    **{
        (what, "done by the leader"): done
        for what in ("push", "rollback", "promote", "abort", "resign", "order everywhere")
    },
    **{
        (what, "refused: exit code 4, 503 in the API"): refused
        for what in ("push", "rollback", "promote", "abort", "resign", "order everywhere")
    },
    **{
        (what, "done by the leader, above what the nodes saw"): done_above
        for what in ("push", "rollback", "order everywhere")
    },
    **{
        (
            what,
            "done by the leader; where it missed the rollout: refused, exit code 2, 409 in the API",
        ): done_or_missed
        for what in ("promote", "abort")
    },
    ("order of this node alone", "done"): done_here,
    ("rollout under way", "goes on, or back, by itself"): by_itself,
    ("rollout under way", "here nothing changes; the others go on with it"): others_go_on,
    ("rollout under way", "stands still: each node runs what it runs"): stands_still,
    (
        "rollout under way",
        "one that it missed is over: each node runs what it runs until the next push",
    ): missed_rollout,
    ("what was ordered everywhere", "holds"): holds,
    ("what was ordered everywhere", "holds, also what it missed"): holds_what_it_missed,
    ("what was ordered everywhere", "holds, and ends in its time"): holds_and_ends,
    ("shared health", "two nodes check a server (`by: 2`), all count their votes"): shared,
    ("shared health", "this node checks all servers within 8 s; the others share on"): alone,
    ("shared health", "each node checks all servers within 8 s"): alone,
    **{(what, "yes"): answered for what in ("status", "metrics", "dashboard")},
    **{
        (what, "yes; what came from the store with its age"): answered_from_memory
        for what in ("status", "metrics", "dashboard")
    },
    ("history", "yes"): history,
    ("history", "what was read last, with its age; 503 where nothing was"): history_from_memory,
    **{(what, "yes"): documents for what in ("show", "diff")},
    **{
        (what, "yes, of what it was given; a revision that it missed: 404"): documents_that_it_has
        for what in ("show", "diff")
    },
    **{(what, "refused: 503"): no_documents for what in ("show", "diff")},
}


@pytest.mark.parametrize(
    "says, seen",
    [pytest.param(says, cell, id="-".join((cell[1], cell[2], cell[0]))) for cell, says in cells().items()],
    indirect=["seen"],
)
def test_what_the_page_says_of_it(says, seen):
    now, what, lease = seen
    SAYS[what, says](now, what, lease)


def test_the_page_leaves_nothing_out():
    """Every operation on every engine in every state that it can be in."""
    operations = {what for what, _ in SAYS}
    possible = {engine: {"reachable", "cut off", *MAJORITY} for engine in ("consul", "etcd", "zookeeper")}
    possible["local"] = {"reachable", "away"}
    possible["redis"] = {"reachable", "cut off", "primary gone", "replica took over", "both gone"}
    assert set(cells()) == {
        (what, engine, state) for what in operations for engine in ENGINES for state in possible[engine]
    }
