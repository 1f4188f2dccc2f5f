"""What a history of the whole lb is made of, and that its judgement finds what is wrong in one.

An HTTP server of the test takes the place of lb: it answers requests and its admin API as it is told. The
process that is paused and killed is a real one.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from types import SimpleNamespace

import pytest
from aiohttp import web

from tests.cluster.checker import Published, violations
from tests.safety import harness, whole
from tests.safety.judge import lies
from tests.safety.spawning import Spawner
from tests.safety.whole import WholeNode, WholeRun, by_answers, document

PUBLISHED = [
    Published(revision, 1, hashlib.sha256(document(number)).hexdigest())
    for revision, number in enumerate((10, 20, 30), 1)
]
A, B, C = PUBLISHED


class Playing:
    """Says `body` and `running`; `count`: of the requests that it answered."""

    def __init__(self):
        self.status, self.body, self.running, self.count = 200, "10", A, 0
        self.closes = self.hangs = self.stands = False

    async def __call__(self, request):
        if request.path != "/":
            return web.json_response({"term": {"epoch": 1}, "running": self.running._asdict()})
        self.count += 1
        if self.hangs:
            await asyncio.sleep(1)
        if self.stands:
            time.sleep(1)  # with the harness, which is this process
        if self.closes:
            request.transport.abort()
        return web.Response(status=self.status, text=self.body)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def told(folder, *steps):
    """The history of a node that says so in turn; each step is seen before the next. A step is what Playing
    says from then on, or what is done with the node."""
    said, spawner = Playing(), Spawner("tests.safety.keeper")
    site = web.ServerRunner(web.Server(said), shutdown_timeout=0.1)
    await site.setup()
    listening = web.TCPSite(site, "127.0.0.1", 0)
    await listening.start()
    given = {"engine": "local", "ports": [], "shared": str(folder), "cluster": "x", "ttl": 2}
    node = WholeNode(spawner, folder, "lb-1", [], given)
    node.web = node.admin = f"127.0.0.1:{listening._server.sockets[0].getsockname()[1]}"
    node.given["command"] = ["sleep", "600"]
    await spawner.start()
    try:
        await node.start()
        await until(lambda: node.answers and node.heard()[-1]["what"] == "applied")
        for step in steps:
            if callable(step):
                await step(node, said)
            else:
                vars(said).update(step)
            seen, lines = said.count, len(node.heard())
            await until(lambda now=seen: said.count > now + 2)
            if not callable(step) and "running" in step:
                await until(lambda now=lines: len(node.heard()) > now)
    finally:
        await node.leave()
        await node.kill()
        node.close()
        await spawner.end()
        await site.cleanup()
    return node


def history(folder, *steps):
    return asyncio.run(told(folder, *steps))


def judged(node, first=(), live=True):
    run = SimpleNamespace(
        nodes=[SimpleNamespace(name=node.name, answers=node.answers, lives=live)],
        published=PUBLISHED, first=dict(first),
    )  # fmt: skip
    return by_answers(run)


def ran(node):
    keys = ("revision", "epoch", "digest")
    return [Published(*map(line.get, keys)) for line in node.heard() if line["what"] == "applied"]


async def stop(node, said):
    node.pause(True)
    await until(lambda: node.state == "T")


async def stop_control(node, said):
    node.pause(True, only_control=True)
    await until(lambda: node.state == "T")


async def go(node, said):
    node.pause(False)
    await until(lambda: node.state != "T")


async def kill(node, said):
    said.status = 503
    await node.kill()


async def kill_control(node, said):
    await node.kill(only_control=True)


async def start(node, said):
    await node.start()


FAILS, WORKS = {"status": 503}, {"status": 200}


def test_a_history_in_which_nothing_is_wrong(tmp_path):
    node = history(tmp_path, {"body": "20", "running": B}, {"body": "30", "running": C})
    assert node.answers == [10, 20, 30] and ran(node) == PUBLISHED
    assert node.asked > 2
    assert lies(PUBLISHED, {"lb-1": node.heard()}) == judged(node) == []
    assert violations(PUBLISHED, {"lb-1": ran(node)}, ["lb-1"]) == []


@pytest.mark.parametrize("failure", [FAILS, {"body": "a page"}, {"closes": True}])
def test_a_failed_request_through_a_living_node_is_found(failure, tmp_path):
    found = lies(PUBLISHED, {"lb-1": history(tmp_path, failure).heard()})
    assert found and all("lb-1: a request failed" in one for one in found), found


@pytest.mark.parametrize(("step", "is_found"), [({"hangs": True}, True), ({"stands": True}, False)])
def test_a_request_that_is_not_answered_is_found(step, is_found, tmp_path, monkeypatch):
    monkeypatch.setattr(whole, "TURNS", 3)
    found = lies(PUBLISHED, {"lb-1": history(tmp_path, step).heard()})
    assert bool(found) == is_found and all("no answer" in one for one in found), found


@pytest.mark.parametrize(
    ("steps", "is_found"),
    [
        ([stop, FAILS, WORKS, go], False),
        ([stop, FAILS, WORKS, go, FAILS], True),
        ([kill, start, WORKS], False),
        ([kill, start, WORKS, FAILS], True),
        ([stop_control, FAILS], True),
        ([kill_control, FAILS], True),
    ],
)
def test_a_node_need_not_serve_while_its_workers_stand_or_are_dead(steps, is_found, tmp_path):
    found = lies(PUBLISHED, {"lb-1": history(tmp_path, *steps).heard()})
    assert bool(found) == is_found, found


@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        (("20", "10", "30"), "lb-1 went back from"),
        (("99", "30"), "the answer 99'), which was never accepted"),
        (("20",), "lb-1 ended at"),
    ],
)
def test_an_answer_that_is_older_or_never_accepted_is_found(bodies, words, tmp_path):
    found = judged(history(tmp_path, *({"body": body} for body in bodies)))
    assert any(words in one for one in found), found


@pytest.mark.parametrize(
    ("running", "words"),
    [
        ((B, A, C), "lb-1 went back from"),
        ((B._replace(digest="other"), C), "digest='other'), which was never accepted"),
        ((B,), "lb-1 ended at"),
    ],
)
def test_a_node_that_says_so_is_found(running, words, tmp_path):
    node = history(tmp_path, *({"running": one} for one in running))
    found = violations(PUBLISHED, {"lb-1": ran(node)}, ["lb-1"])
    assert any(words in one for one in found), found


class Answered:
    """Documents by their numbers, in the order of the store, and the answers of a node."""

    def __init__(self, *numbers, answers, first=()):
        self.published = [
            Published(revision, 1, hashlib.sha256(document(number)).hexdigest())
            for revision, number in enumerate(numbers, 1)
        ]
        self.first = dict(first)
        self.nodes = [SimpleNamespace(name="x", answers=answers, lives=True)]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        # 2 was for y first, went on to all as revision 3
        (Answered(1, 2, 2, answers=[0, 1, 2], first={2: ["y"]}), ""),
        (Answered(1, 2, 2, 3, answers=[0, 1, 2, 3], first={2: ["y"]}), ""),
        # 2 was for x first, and taken back
        (Answered(1, 2, 1, answers=[1, 2, 1], first={2: ["x"]}), ""),
        (Answered(1, 2, 1, answers=[1], first={2: ["y"]}), ""),
        (Answered(1, 2, 1, answers=[1, 2, 1], first={2: ["y"]}), "x ran"),
        (Answered(1, 2, 1, 3, answers=[1, 2, 1, 2, 3], first={2: ["x"]}), "x went back"),
        (Answered(1, 2, answers=[]), "x ended at None"),
    ],
)
def test_a_document_of_several_publications(run, words):
    found = by_answers(run)
    assert bool(found) == bool(words) and all(words in one for one in found), found


@pytest.mark.parametrize(
    ("answers", "output", "words"),
    [
        ([10, 20, 30], "lb runs", []),
        ([10, 30, 20], "lb runs", ["by its answers: x went back", "by its answers: x ended at"]),
        ([10, 20, 30], "Traceback (most recent call last):", ["x: a traceback"]),
    ],
)
def test_the_verdict_has_what_was_answered_and_said(answers, output, words, monkeypatch, tmp_path):
    async def judged(run):
        return []

    monkeypatch.setattr(harness, "judged", judged)
    run = WholeRun(SimpleNamespace(engine="local", ttl=2), 1)
    run.folder.rmdir()
    (tmp_path / "output").write_text(output)
    run.published = PUBLISHED
    run.nodes = [SimpleNamespace(name="x", answers=answers, lives=True, asked=7, output=tmp_path / "output")]
    asyncio.run(run.settle())
    assert len(run.found) == len(words)
    assert all(one.startswith(said) for one, said in zip(run.found, words, strict=True)), run.found
    assert run.faults["requests"] == 7
