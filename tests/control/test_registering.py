"""Registering: going over from one setting to the next, and ending in the middle of that."""

from __future__ import annotations

import asyncio

import pytest

from lb.config import loads
from lb.control import registering as module
from lb.control.registering import Registering

TEXT = 'listeners: [":1"]\nroutes: {"/": app}\nservices: {app: [a:1]}\n'


class Registration:
    """Notes what it does; leaving waits for `may_leave`."""

    def __init__(self, consul, notes, may_leave):
        self.own = consul.registration.own()
        self.registered, self.error = False, ""
        self.notes, self.may_leave = notes, may_leave
        self.running = False

    async def run(self):
        self.running = True
        self.notes.append(f"run {self.own.id}")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # a session that closes
            self.running = False

    async def leave(self):
        self.notes.append(f"leaving {self.own.id}")
        await self.may_leave.wait()
        self.notes.append(f"left {self.own.id}")


class Bench:
    def __init__(self):
        self.notes, self.may_leave, self.made = [], asyncio.Event(), []
        self.may_leave.set()
        self.registering = Registering()

    def make(self, consul):
        self.made.append(Registration(consul, self.notes, self.may_leave))
        return self.made[-1]

    def follow(self, port):
        self.registering.follow(spec(port))

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)


def spec(port):
    own = f"discovery: {{consul: {{registration: {{port: {port}}}}}}}\n" if port else ""
    return loads(TEXT + own)


@pytest.fixture
def play(monkeypatch):
    def run(script):
        async def go():
            bench = Bench()
            monkeypatch.setattr(module, "_made", bench.make)
            bench.registering.begin(spec(1))
            await bench.settle()
            assert bench.notes == ["run lb-1"]
            async with asyncio.timeout(5):
                await script(bench)
            await bench.settle()
            assert not [one for one in bench.made if one.running], "it goes on though it was ended"
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return bench.notes

        return asyncio.run(go())

    return run


def test_the_old_one_is_left_and_then_the_new_one_runs(play):
    async def script(bench):
        bench.follow(2)
        await bench.settle()
        assert bench.notes == ["run lb-1", "leaving lb-1", "left lb-1", "run lb-2"]
        bench.follow(None)
        await bench.settle()
        assert bench.registering.shown() is None
        await bench.registering.stop()

    assert play(script)[4:] == ["leaving lb-2", "left lb-2"]


def test_an_end_directly_after_a_change_ends_both(play):
    async def script(bench):
        bench.follow(2)
        await bench.registering.stop()

    assert set(play(script)) >= {"left lb-1", "left lb-2"}


def test_an_end_while_the_old_one_closes_is_an_end(play):
    async def script(bench):
        bench.follow(2)
        await asyncio.sleep(0)  # the change waits for the old one, which closes its session
        await bench.registering.stop()

    notes = play(script)
    assert "run lb-2" not in notes and {"left lb-1", "left lb-2"} <= set(notes)


def test_an_end_while_the_old_one_is_taken_out_takes_both_out(play):
    async def script(bench):
        bench.may_leave.clear()
        bench.follow(2)
        await bench.settle()
        asyncio.get_running_loop().call_later(0.01, bench.may_leave.set)
        await bench.registering.stop()

    notes = play(script)
    assert "run lb-2" not in notes and {"left lb-1", "left lb-2"} <= set(notes)


def test_changes_that_come_at_once_leave_nobody_behind(play):
    async def script(bench):
        for port in (2, 3, 1):
            bench.follow(port)
        await bench.settle()
        assert bench.notes[-1] == "run lb-1" and "left lb-1" not in bench.notes
        assert {"left lb-2", "left lb-3"} <= set(bench.notes)
        await bench.registering.stop(leave=False)

    assert "left lb-1" not in play(script), "a successor serves under the same name"
