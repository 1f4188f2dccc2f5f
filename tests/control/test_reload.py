"""Reloads against real workers on the echo plane: from a file to a generation, or to reasons why not."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lb.control import reload as module
from lb.control.loading import read_valid
from lb.control.reload import Reloader
from lb.control.supervisor import PlanRefusedError
from lb.discovery.contract import Member
from lb.telemetry import layout
from tests.control.conftest import ask

TEXT = """
workers: 2
admin: off
access_log: off
listeners: [{name: web, bind: "127.0.0.1:0"}]
routes: [{name: one, match: {path_prefix: /}, respond: {status: 200, body: "%s"}}]
"""


@pytest.fixture
def reloader(house, tmp_path):
    lb = house(2)
    path = tmp_path / "lb.yaml"
    path.write_text(TEXT % "first")

    async def make():
        made = Reloader(path, read_valid(path), lb.supervisor)
        await made.start()
        return made

    found = lb.run(make())
    found.lb = lb
    return found


def test_wishes_that_come_at_once_are_one_reload_and_those_during_it_one_more(reloader):
    reloader.path.write_text(TEXT % "second")

    async def wish():
        first = [asyncio.create_task(reloader.reload("signal")) for _ in range(8)]
        while reloader._next is not None or not reloader._one_at_a_time.locked():
            await asyncio.sleep(0)  # until the first one runs
        reloader.path.write_text(TEXT % "third")
        second = [asyncio.create_task(reloader.reload("api")) for _ in range(8)]
        return await asyncio.gather(*first), await asyncio.gather(*second)

    first, second = reloader.lb.run(wish())
    assert len(set(map(id, first))) == 1
    assert len(set(map(id, second))) == 1
    assert sum(reloader.counts.values()) == 2
    assert second[0].generation == reloader.generation == reloader.counts["success"] + 1
    assert reloader.spec.routes[0].respond.body == "third"


@pytest.fixture
def starting(house, tmp_path):
    """One whose start is held up, before it goes to the workers, until `go` is set."""
    lb = house(2)
    path = tmp_path / "lb.yaml"
    path.write_text(TEXT % "first" + 'services: {app: ["o:1"]}\n')
    made, start, go = Reloader(path, read_valid(path), lb.supervisor), lb.supervisor.start, asyncio.Event()

    async def held_up(plan):
        await go.wait()
        await start(plan)

    lb.supervisor.start = held_up
    made.lb, made.go = lb, go
    return made


@contextlib.asynccontextmanager
async def under_way(starting):
    """The start as a task, which has come to its workers; it is over at the end."""
    start = asyncio.create_task(starting.start())
    try:
        await until(lambda: starting.listeners.bound)
        yield start
    finally:
        starting.go.set()
        await asyncio.wait([start])


def test_a_reload_that_is_asked_for_during_the_start_comes_after_it(starting):
    async def play():
        async with under_way(starting) as start:
            starting.path.write_text(TEXT % "second")
            second = asyncio.create_task(starting.reload("api"))
            await asyncio.sleep(0.05)
            assert not second.done()
            starting.go.set()
            return await start, await second

    plan, result = starting.lb.run(play())
    assert (plan.generation, result.ok, result.generation) == (1, True, 2)
    assert {ask(starting.lb.port()).split()[1] for _ in range(20)} == {"2"}


def test_a_reload_that_waited_for_a_start_that_came_to_nothing_says_so(starting):
    async def play():
        async with under_way(starting) as start:
            second = asyncio.create_task(starting.reload("api"))
            await asyncio.sleep(0)
            start.cancel()
            return await second

    result = starting.lb.run(play())
    assert (result.ok, result.generation, result.error) == (False, 0, "lb ended before it served")


def servers(reloader):
    return [server.address for server in reloader.plan.services[0].servers]


def test_members_that_change_during_the_start_come_after_it(starting):
    members = []
    starting.members = lambda name: tuple(members)

    async def play():
        async with under_way(starting):
            members.append(Member("a:1"))
            starting.refresh("app")
        await until(lambda: starting.generation == 2)

    starting.lb.run(play())
    assert servers(starting) == ["o:1", "a:1"]


def test_what_a_catalogue_changes_during_the_start_comes_after_it(starting, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(TEXT % "first" + 'services: {app: ["o:1", "p:1"]}\n')
    extended = [starting.spec]

    async def prepare(spec):
        return extended[-1]

    async def play():
        async with under_way(starting):
            extended.append(read_valid(other).spec)
            starting.refresh_all()
        await until(lambda: starting.generation == 2)

    starting.prepare = prepare
    starting.lb.run(play())
    assert servers(starting) == ["o:1", "p:1"]


def test_what_a_catalogue_changes_as_the_start_ends_comes_after_it(starting, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(TEXT % "first" + 'services: {app: ["o:1", "p:1"]}\n')
    extended = [starting.spec]

    async def prepare(spec):
        found = extended[-1]
        if starting.plan is not None and len(extended) == 1:
            extended.append(read_valid(other).spec)
            starting.refresh_all()
        return found

    async def play():
        async with under_way(starting):
            starting.refresh_all()
        await until(lambda: starting.generation == 2)

    starting.prepare = prepare
    starting.lb.run(play())
    assert servers(starting) == ["o:1", "p:1"]


def test_what_is_told_before_the_first_plan_is_made_is_in_it(starting):
    async def prepare(spec):
        if not starting.listeners.bound:
            starting.refresh("app")
            starting.refresh_all()
        return spec

    async def play():
        async with under_way(starting) as start:
            starting.go.set()
            await start
        assert starting._refreshing is None

    starting.prepare = prepare
    starting.lb.run(play())
    assert starting.generation == 1


def test_a_file_that_says_the_same_changes_nothing(reloader):
    since = reloader.since
    assert since == reloader.last.at
    reloader.path.write_text("# a comment\n" + TEXT % "first")
    result = reloader.lb.run(reloader.reload("file"))
    assert (result.ok, result.generation, list(result.changes)) == (True, 1, [])
    assert reloader.counts == {"success": 0, "unchanged": 1, "failure": 0}
    assert reloader.lb.cells.of(0, layout.WORKER_RELOADS) == 1
    assert reloader.since == since
    reloader.path.write_text(TEXT % "second")
    assert reloader.lb.run(reloader.reload("file")).at >= reloader.since > since


def test_what_one_worker_refuses_is_in_force_nowhere_and_new_addresses_are_let_go(reloader, free_port):
    text = TEXT.replace("name: one", "name: refuse-1").replace(
        'bind: "127.0.0.1:0"', 'bind: ["127.0.0.1:0", "%s"]'
    )
    reloader.path.write_text(text % (f"127.0.0.1:{free_port}", "second"))
    result = reloader.lb.run(reloader.reload("api"))
    assert not result.ok
    assert result.error == "route refuse-1 is refused"
    assert result.generation == 1
    assert list(reloader.lb.listeners.bound) == ["127.0.0.1:0"]
    assert {ask(reloader.lb.port()).split()[1] for _ in range(20)} == {"1"}
    reloader.path.write_text(TEXT % "second")
    assert reloader.lb.run(reloader.reload("api")).ok
    assert {ask(reloader.lb.port()).split()[1] for _ in range(20)} == {"3"}


def test_all_problems_of_a_file_are_in_the_result(reloader):
    reloader.path.write_text("listners: []\nroutes: {x: 1}\n")
    result = reloader.lb.run(reloader.reload("api"))
    assert not result.ok
    assert len(result.problems) > 1
    assert all(problem.file == str(reloader.path) and problem.line for problem in result.problems)
    assert reloader.last is result


def test_a_bug_in_a_reload_is_a_failed_reload(reloader, monkeypatch):
    monkeypatch.setattr("lb.control.reload.read_valid", lambda path, shared: 1 / 0)
    result = reloader.lb.run(reloader.reload("api"))
    assert (result.ok, result.error) == (False, "internal error: ZeroDivisionError")
    assert reloader.counts["failure"] == 1


class Refusing:
    """Plans are refused with these errors, one each, and then taken."""

    def __init__(self, reloader, monkeypatch, *errors):
        self.left, self.tried, self.apply = list(errors), [], reloader.supervisor.apply
        monkeypatch.setattr(reloader.supervisor, "apply", self)

    async def __call__(self, plan, accepted):
        self.tried.append(plan.generation)
        if self.left:
            raise self.left.pop(0)
        await self.apply(plan, accepted)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_members_that_were_refused_are_tried_again_until_they_are_in_force(reloader, monkeypatch, caplog):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    refusing = Refusing(
        reloader, monkeypatch, PlanRefusedError("worker 0 died while it built it"), ZeroDivisionError()
    )

    async def wish():
        reloader.refresh_all()
        await until(lambda: reloader.generation == 4)

    reloader.lb.run(wish())
    assert refusing.tried == [2, 3, 4]
    assert reloader._again is None, "nothing is left to try"
    assert "worker 0 died while it built it" in caplog.text
    assert "bug" in caplog.text and "ZeroDivisionError" in caplog.text


def test_members_that_stay_refused_are_tried_ever_less_and_a_reload_ends_that(reloader, monkeypatch):
    Refusing(reloader, monkeypatch, *[PlanRefusedError("no")] * 7)
    reloader.path.write_text(TEXT % "second")

    async def wish():
        loop, pauses = asyncio.get_running_loop(), []
        for turn in range(1, 8):
            reloader.refresh_all()
            await until(lambda turn=turn: reloader._refused == turn)
            pauses.append(round(reloader._again.when() - loop.time()))
        last = reloader._again
        assert (await reloader.reload("api")).ok
        assert last.cancelled() and reloader._again is None and reloader._refused == 0
        return pauses

    assert reloader.lb.run(wish()) == [1, 2, 4, 8, 16, 30, 30]


def test_what_comes_into_force_and_what_is_refused_are_events(reloader):
    reloader.path.write_text(TEXT % "second")
    reloader.lb.run(reloader.reload("api"))
    reloader.lb.run(reloader.reload("api"))  # nothing changed: no event
    reloader.path.write_text("listners: []\n")
    reloader.lb.run(reloader.reload("file"))
    success, failure = [event for event in reloader.events.last if event.kind == "reload"]
    assert (success.reason, success.facts["trigger"], success.facts["generation"]) == ("success", "api", 2)
    assert any("second" in change for change in success.facts["why"])
    assert (failure.reason, failure.facts["trigger"]) == ("failure", "file")
    assert any("listners" in problem for problem in failure.facts["why"])


def test_members_come_as_an_update_and_after_a_refusal_as_a_whole_plan(reloader, monkeypatch):
    reloader.path.write_text(TEXT % "first" + 'services: {app: {servers: ["o:1"]}, other: ["o:1"]}\n')
    assert reloader.lb.run(reloader.reload("file")).ok
    members, sent, followed = [Member("a:1")], [], []
    apply = reloader.supervisor.apply

    async def spy(plan, accepted, update=None):
        sent.append(update)
        if len(sent) == 2:
            raise PlanRefusedError("refused")
        await apply(plan, accepted, update)

    monkeypatch.setattr(reloader.supervisor, "apply", spy)
    monkeypatch.setattr("lb.control.reload.FIRST_PAUSE", 0.01)
    reloader.members = lambda name: tuple(members) if name == "app" else ()
    reloader.reconcile = lambda spec, plan, whole: followed.append((whole, [s.name for s in plan.services]))

    def change():
        generation = reloader.generation
        reloader.lb.loop.call_soon(reloader.refresh, "app")
        reloader.lb.until(lambda: reloader.generation > generation)
        app, other = reloader.plan.services
        assert [s.address for s in app.servers] == ["o:1", *(member.address for member in members)]
        assert {worker.generation for worker in reloader.supervisor.facts()} == {reloader.generation}
        return other

    other = reloader.plan.services[1]
    assert change() is other  # not planned again
    assert followed == [(False, ["app"])] and [s.name for s in sent[0].services] == ["app"]
    members.append(Member("b:1"))
    change()
    assert sent[1] is not None and sent[2] is None and followed[1:] == [(True, ["app", "other"])]
    members.pop()
    change()
    assert sent[3].base + 1 == sent[3].generation and not followed[2][0]
