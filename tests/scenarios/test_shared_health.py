"""Three nodes share the checks of servers: real processes, a real etcd, servers that see which node asks.

The same on every engine, with fewer servers: tests.scenarios.test_availability.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter

import pytest

from tests.cluster.real import running
from tests.cluster.several import Several

from .checked import Servers
from .clusters import NODES, Nodes
from .harness import eventually

INTERVAL, FALL = 0.5, 2
COUNT = 16
TEXT = """
workers: 1
listeners: [{name: web, bind: "$web"}]
services:
  app:
    servers: [%s]
    health_check: {http: /healthz, interval: 500ms, timeout: 1s, rise: 2, fall: 2}
routes: {"/": app}
"""


@pytest.fixture
def servers():
    servers = Servers(COUNT)
    yield servers
    servers.end()


@contextlib.contextmanager
def sharing(servers, engine):
    with contextlib.ExitStack() as stack:
        text = TEXT % ", ".join(f'"{address}"' for address in servers.addresses)
        made = Nodes(stack, "etcd", engine, text, {}, "shared_health: {by: 2}")
        servers.pids = {made.all[node].lb.pid: node for node in NODES}
        yield made


@pytest.fixture
def nodes(servers):
    for engine in running("etcd"):
        with sharing(servers, engine) as made:
            yield made


@pytest.fixture
def minority(servers):
    """Three etcds, of which the nodes know one; the others can be stopped."""
    for _ in running("etcd"):  # skips where there is none
        break
    three = Several("etcd")
    try:
        one, *others = three.servers
        one.stop = lambda: [other.stop() for other in others]
        with sharing(servers, one) as made:
            yield made
    finally:
        del one.stop
        three.close()


def words(nodes, addresses):
    """The statuses of these servers, on all nodes."""
    return {
        one["status"]
        for node in NODES for one in nodes.servers_of(node) if one["address"] in addresses
    }  # fmt: skip


def here(nodes):
    return {node: nodes.cluster(node)["shared_health"]["here"] for node in NODES}


def test_nodes_share_the_checks_and_none_decides_alone(nodes, servers):
    all_of_them = set(servers.addresses)
    eventually(lambda: sum(here(nodes).values()) == 2 * COUNT, 20, "they do not share")
    before = servers.probes.copy()
    eventually(lambda: (servers.probes - before).total() > 2 * COUNT * 8, 20)
    made = Counter[str]()
    for (node, _), count in (servers.probes - before).items():
        made[node] += count
    for node, share in here(nodes).items():
        assert share < COUNT
        assert made[node] / made.total() == pytest.approx(share / (2 * COUNT), abs=0.1)

    code, said = nodes.cli("one", "cluster", "status")
    assert code == 0 and "health is shared by one, three, two" in said, said

    # one node's network is broken: no server is down anywhere, and it is seen that they differ
    servers.refused = {"two"}
    eventually(
        lambda: all(
            nodes.all[node].lb.metric(r'lb_cluster_health_disagreements\{between="nodes"\}')
            == here(nodes)["two"] for node in NODES
        ),
        10,
    )  # fmt: skip
    end = time.monotonic() + INTERVAL * FALL * 2
    while time.monotonic() < end:
        assert words(nodes, all_of_them) == {"up"}
    servers.refused = set()
    eventually(
        lambda: not nodes.all["one"].lb.metric(r'lb_cluster_health_disagreements\{between="nodes"\}'), 10
    )

    # servers that die are down on every node
    dead = set(servers.addresses[:4])
    servers.close(*dead)
    began = time.monotonic()
    eventually(lambda: words(nodes, dead) == {"down"}, 10)
    assert time.monotonic() - began < INTERVAL * FALL * 1.1 + 2
    assert words(nodes, all_of_them - dead) == {"up"}

    # without the engine every node checks for itself, and nothing changes but that
    nodes.engine.stop()
    eventually(lambda: set(here(nodes).values()) == {COUNT}, 15, "they do not check all")
    assert words(nodes, dead) == {"down"} and words(nodes, all_of_them - dead) == {"up"}
    eventually(lambda: all(nodes.all[node].lb.metric("lb_cluster_health_nodes") == 1 for node in NODES), 10)
    more = set(servers.addresses[4:6])
    servers.close(*more)
    eventually(lambda: words(nodes, more) == {"down"}, 10)
    nodes.engine.start()
    eventually(lambda: sum(here(nodes).values()) == 2 * COUNT, 20, "they do not share again")
    assert words(nodes, dead | more) == {"down"} and words(nodes, all_of_them - dead - more) == {"up"}


def test_without_a_majority_of_the_engine_orders_hold_and_each_node_checks_for_itself(minority, servers):
    nodes, (drained, dies) = minority, servers.addresses[:2]
    nodes.led()
    code, said = nodes.cli("one", "servers", "drain", f"app/{drained}", "--everywhere", "--no-wait")
    assert code == 0, said
    eventually(lambda: words(nodes, {drained}) == {"draining"}, 10)
    eventually(lambda: sum(here(nodes).values()) == 2 * COUNT, 20, "they do not share")
    nodes.away()
    eventually(lambda: set(here(nodes).values()) == {COUNT}, 15, "they do not check all")
    servers.close(dies)
    eventually(lambda: words(nodes, {dies}) == {"down"}, 10)
    assert words(nodes, {drained}) == {"draining"}
    code, said = nodes.cli("two", "servers", "up", f"app/{drained}", "--everywhere")
    assert code == 4 and "of this node alone" in said, said
    assert words(nodes, {drained}) == {"draining"}
