"""A Redis primary with a replica: published while it follows, and after it took over without the last writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from itertools import islice

import pytest

redis = pytest.importorskip("redis")

from tests.cluster.real import running  # noqa: E402
from tests.cluster.wire import Wire  # noqa: E402

from .harness import Origin, Scenario, answer, eventually  # noqa: E402
from .harness.process import ROOT  # noqa: E402

OWN = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"], spare: ["127.0.0.1:1", "127.0.0.1:2"]}
routes: {"/": app}
state_dir: "$dir/state"
cluster: {engine: redis, name: front, node: %s, ttl: 2s, redis: {url: "redis://127.0.0.1:%d"}}
"""
SHARED = """
listeners: [{name: web, bind: "${LB_TEST_WEB}"}]
services: {app: ["%s"], spare: ["127.0.0.1:1", "127.0.0.1:2"]}
routes: {"/": app}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%s"


@pytest.fixture
def pair():
    """The primary and its replica."""
    with contextlib.ExitStack() as stack:
        servers = []
        for _ in range(2):
            server = running("redis")
            servers += islice(server, 1)
            stack.callback(server.close)
            stack.callback(servers[-1].close)
        order(servers[1], "REPLICAOF", "127.0.0.1", servers[0].port)
        eventually(lambda: order(servers[1], "INFO", "replication")["master_link_status"] == "up", 20)
        yield servers


def order(server, *words):
    with redis.Redis(port=server.port) as connection:
        return connection.execute_command(*words)


def head_in(server):
    """The revision in force that this Redis has."""
    return json.loads(order(server, "HGET", "{lb/front}:values", "current/head"))["revision"]


def status(s):
    return json.loads(s.lb.admin("GET", "/api/v1/cluster")[1])


def push(s, letter, origin, base):
    file = s.directory / f"{letter}.yaml"
    file.write_text(SHARED % origin.address)
    admin = f"http://{s.names['admin']}"
    command = [sys.executable, "-m", "lb", "cluster", "push", str(file), "--base", base, "--admin", admin]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=120)
    return ended.returncode, ended.stdout + ended.stderr


@contextlib.contextmanager
def front(port, monkeypatch):
    """Two nodes with the Redis at this port, by name; the origins of their documents, by letter; and the wait for
    both to answer with a letter."""
    origins = {letter: Origin(answer(OK % letter.encode())) for letter in "bcd"}
    with contextlib.ExitStack() as stack:
        nodes = {}
        for node in ("one", "two"):
            others = origins if not nodes else {}
            s = Scenario(OWN % (node, port), quiet=True, a=Origin(), **others)
            monkeypatch.setenv("LB_TEST_WEB", s.names["web"])
            nodes[node] = stack.enter_context(s)

        def all_answer(letter):
            eventually(lambda: {s.get().body.decode() for s in nodes.values()} == {letter}, 20, "they differ")

        yield nodes, origins, all_answer


def test_a_replica_that_missed_a_revision_takes_over(pair, monkeypatch):
    primary, replica = pair
    with front(primary.port, monkeypatch) as (nodes, origins, all_answer):
        one, two = nodes.values()
        eventually(lambda: status(one)["leader"], 10, "nobody leads")
        code, said = push(one, "b", origins["b"], "0")
        assert code == 0, said
        assert head_in(replica) == 1, "it was promised before the replica had it"
        all_answer("b")

        # The network between the two breaks: the replica misses revision 2, and then takes over.
        order(replica, "REPLICAOF", "127.0.0.1", one.names["closed"].rpartition(":")[2])
        eventually(lambda: order(primary, "INFO", "replication")["connected_slaves"] == 0, 10)
        code, said = push(two, "c", origins["c"], "1")
        assert code == 0, said
        all_answer("c")
        primary.stop()
        order(replica, "REPLICAOF", "NO", "ONE")
        assert head_in(replica) == 1
        for node, s in nodes.items():
            s.write(OWN % (node, replica.port))
            monkeypatch.setenv("LB_TEST_WEB", s.names["web"])
            before = s.lb.status()["pid"]
            s.lb.signal(signal.SIGUSR2)
            eventually(lambda: other_process(s, before), 30, "no successor")  # noqa: B023

        for s in (one, two):
            eventually(lambda: "revision 2 of epoch" in status(s)["trouble"], 20, "nothing is told")  # noqa: B023
        all_answer("c")  # nobody goes back
        eventually(lambda: status(one)["leader"], 10, "nobody leads")
        code, said = push(one, "d", origins["d"], "1")
        assert code == 6 and "2" in said, said  # what the store says is not what is in force
        code, said = push(one, "d", origins["d"], "2")
        assert code == 0 and "2 of 2 nodes run revision 3" in said, said
        all_answer("d")
        assert [status(s)["trouble"] for s in (one, two)] == ["", ""]


def test_a_leader_that_missed_what_others_saw_goes_on_above_it(pair, monkeypatch):
    """Of a revision and an order, the replica that takes over has nothing, and the node that leads then saw nothing."""
    primary, replica = pair
    with (
        wired(primary.port) as (wire, loop),
        front(wire.port, monkeypatch) as (nodes, origins, all_answer),
    ):
        one, two = nodes.values()

        def leads(s):
            eventually(lambda: status(s)["role"] == "leader", 20, "it does not lead")

        leads(one if status(one)["role"] == "leader" else two)
        assert push(one, "b", origins["b"], "0")[0] == 0
        all_answer("b")
        order(replica, "REPLICAOF", "127.0.0.1", one.names["closed"].rpartition(":")[2])
        eventually(lambda: order(primary, "INFO", "replication")["connected_slaves"] == 0, 10)

        with contextlib.ExitStack() as standing:
            standing.enter_context(stopped(two))
            leads(one)
            assert published(one, "c", origins["c"], 1) == 2
            assert ordered(one, 1) is True
            eventually(lambda: status(one)["seen"]["revision"] == 2 and everywhere(one) == {1}, 10)
            epoch = status(one)["seen"]["epoch"]
            with stopped(one):
                primary.stop()
                order(replica, "REPLICAOF", "NO", "ONE")
                wire.server = replica.port
                loop.call_soon_threadsafe(wire.hang_up)
                standing.close()  # the other goes on, and finds nothing of what it missed
                leads(two)
                assert (status(two)["seen"]["revision"], everywhere(two)) == (1, set())

        eventually(lambda: said(two, "one")["seen"] == 2, 20, "what was seen is not told")
        eventually(lambda: order(replica, "HEXISTS", "{lb/front}:values", "obeyed/one"), 20)
        eventually(lambda: "revision 2 of epoch" in status(one)["trouble"], 20, "nothing is told")
        assert everywhere(one) == {1}
        assert published(two, "d", origins["d"], 2) == 3
        all_answer("d")
        assert ordered(two, 2) is True
        eventually(lambda: everywhere(one) == everywhere(two) == {1, 2}, 20, "an order got lost")
        eventually(lambda: [status(s)["trouble"] for s in (one, two)] == ["", ""], 20)
        assert status(one)["seen"]["epoch"] >= epoch


@contextlib.contextmanager
def wired(port):
    """A wire to this port, whose other end can be moved, and the loop that it runs in."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    wire = asyncio.run_coroutine_threadsafe(Wire(port).start(), loop).result(10)
    try:
        yield wire, loop
    finally:
        asyncio.run_coroutine_threadsafe(wire.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@contextlib.contextmanager
def stopped(s):
    """Its control stands still, for longer than its lease."""
    os.kill(s.lb.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(s.lb.pid, signal.SIGCONT)


def said(s, node):
    """What this node says of another one."""
    return next(one for one in status(s)["nodes"] if one["node"] == node)


def published(s, letter, origin, base):
    """The revision."""
    code, text = s.lb.admin(
        "POST", "/api/v1/cluster/push", SHARED % origin.address, {"If-Match": f'"{base}"'}
    )
    assert code == 200, text
    return json.loads(text)["revision"]


def ordered(s, port):
    there = f"/api/v1/services/spare/servers/127.0.0.1%3A{port}/override/everywhere"
    code, text = s.lb.admin("PUT", there, '{"mode": "drain"}', {"If-Match": '"0"'})
    return code == 200 or text


def everywhere(s):
    """Of which servers something is ordered everywhere, as the node's own file has it."""
    files = s.directory.rglob("orders.json")
    return {int(one["address"][-1]) for file in files for one in json.loads(file.read_text())["orders"]}


def other_process(s, before):
    with contextlib.suppress(OSError, ValueError, KeyError):
        return s.lb.status()["pid"] != before
    return False
