"""A push to one node first, with three lb processes under load on a real etcd: it goes on, or back, by itself.

The same on every engine, without load: tests.scenarios.test_availability.
"""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.cluster.real import running

from .harness import Origin, answer, eventually
from .test_cluster import Nodes

WATCH = ("--watch", "4s", "--requests", "20")


@pytest.fixture
def nodes(monkeypatch):
    for server in running("etcd"):
        with contextlib.ExitStack() as stack:
            nodes = Nodes(stack, ("etcd", server), monkeypatch)
            nodes.letters["broken"] = stack.enter_context(
                contextlib.closing(Origin(answer(b"HTTP/1.1 500 Oh\r\nContent-Length: 1\r\n\r\nx")))
            )
            stack.enter_context(load(nodes))
            yield nodes


@contextlib.contextmanager
def load(nodes):
    """Requests to every node, one after the other; `nodes.failed` counts by node those not answered 200."""
    nodes.failed, over = dict.fromkeys(nodes.all, 0), threading.Event()

    def ask(node):
        while not over.wait(0.01):
            status = 0
            with contextlib.suppress(OSError, Exception):
                status = nodes.all[node].get().status
            nodes.failed[node] += status != 200

    threads = [threading.Thread(target=ask, args=(node,)) for node in nodes.all]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def revisions(nodes):
    return {node: nodes.status(node)["running"]["revision"] for node in nodes.live}


def test_a_rollout_goes_on_or_back_by_itself(nodes):
    nodes.leader()
    assert nodes.cli("push", nodes.document("b"), "--base", "0")[0] == 0
    first = next(node for node in nodes.all if node != nodes.leader())

    # a good one: one node runs it alone for a while, then all
    code, said = nodes.cli("push", nodes.document("c"), "--base", "1", "--first", first, *WATCH, "--no-wait")
    assert code == 0 and f"revision 2 is tried on {first}" in said, said
    eventually(lambda: nodes.answers()[first] == "c", 5, "it is not tried")
    answers = nodes.answers()
    assert {node for node, letter in answers.items() if letter == "c"} == {first}, answers
    code, said = nodes.cli("status", node=first)
    assert f"tried on {first}: " in said and "of 4s" in said, said
    assert nodes.all[first].lb.metrics()["lb_cluster_rollout"] == 1
    nodes.all_answer("c")
    eventually(lambda: set(revisions(nodes).values()) == {3}, 5)
    code, said = nodes.cli("history")
    assert "revision 3" in said and "goes on to all nodes" in said and "revision 2 again" in said, said
    assert sum(nodes.failed.values()) == 0, nodes.failed

    # a bad one is taken back before its time is over, and only the first node's clients saw it
    code, said = nodes.cli(
        "push", nodes.document("broken"), "--base", "3", "--first", first, "--watch", "5m", "--requests", "20"
    )
    assert code == 5 and "is taken back: too many of its requests fail" in said, said
    nodes.all_answer("c")
    assert nodes.failed[first] > 0
    assert sum(nodes.failed.values()) == nodes.failed[first], nodes.failed
    assert nodes.all[first].lb.metrics()["lb_cluster_rollout"] == 0

    # the leader dies in the middle: the next one goes on
    code, said = nodes.cli("push", nodes.document("b"), "--base", "5", "--first", first, *WATCH, "--no-wait")
    assert code == 0, said
    nodes.kill(nodes.leader())
    nodes.all_answer("b")
    eventually(lambda: set(revisions(nodes).values()) == {7}, 5)
    code, said = nodes.cli("promote")
    assert code == 2 and "no rollout is under way" in said, said
    code, said = nodes.cli("push", nodes.document("c"), "--base", "7", "--first", "nine")
    assert code == 2 and "no node is called 'nine'" in said, said
