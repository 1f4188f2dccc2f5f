"""Orders: kept, handed on, told, ended in time; and a file that makes no sense is not the end."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.control.events import Events
from lb.control.overrides import FILE, LONGEST_SLEEP, Overrides, describe
from lb.upstream.status import Mode, Override

DRAIN = Override(Mode.DRAIN, None, "anna", "deploy", 1000.0, 1060.0)
UP = Override(Mode.UP, 0.5, "", "", 1000.0)


class Receiver:
    def __init__(self):
        self.known = {}

    def override(self, service, address, override):
        if override is None:
            del self.known[service, address]
        else:
            self.known[service, address] = override


class Life:
    """One life of an lb with this folder."""

    def __init__(self, folder, now=1000.0):
        self.now = now
        self.receiver = Receiver()
        self.events = Events()
        self.overrides = Overrides(folder, self.receiver, self.events, lambda: self.now)

    def told(self):
        return [(event.reason, event.service, event.server) for event in self.events.last]


def test_what_is_ordered_is_handed_on_told_and_outlives_lb(tmp_path):
    first = Life(tmp_path)
    first.overrides.set("app", "a:1", DRAIN)
    first.overrides.set("gone", "unix:/run/b", UP)
    assert first.receiver.known == first.overrides.all == {("app", "a:1"): DRAIN, ("gone", "unix:/run/b"): UP}
    assert first.told() == [("drain", "app", "a:1"), ("up", "gone", "unix:/run/b")]
    assert "anna" in first.events.last[0].text
    assert first.events.last[0].facts["why"] == "deploy"
    second = Life(tmp_path)
    assert second.receiver.known == second.overrides.all == first.overrides.all
    assert second.told() == []


def test_it_is_lifted_once(tmp_path):
    life = Life(tmp_path)
    life.overrides.set("app", "a:1", UP)
    assert life.overrides.clear("app", "a:1", "ben")
    assert not life.overrides.clear("app", "a:1", "ben")
    assert life.receiver.known == life.overrides.all == {}
    assert life.told()[1:] == [("cleared", "app", "a:1")]
    assert "ben" in life.events.last[1].text
    assert Life(tmp_path).overrides.all == {}


def test_it_ends_in_time(tmp_path):
    life = Life(tmp_path)
    life.overrides.set("app", "a:1", DRAIN)
    life.overrides.set("app", "a:2", UP)
    life.now = 1055.0
    assert life.overrides.expire() == 5.0
    life.now = 1060.0
    assert life.overrides.expire() == LONGEST_SLEEP
    assert life.receiver.known == {("app", "a:2"): UP}
    assert life.told()[-1] == ("expired", "app", "a:1")
    assert set(Life(tmp_path).overrides.all) == {("app", "a:2")}


def test_what_ended_while_lb_was_down_does_not_come_back(tmp_path):
    Life(tmp_path).overrides.set("app", "a:1", DRAIN)
    later = Life(tmp_path, now=2000.0)
    assert later.receiver.known == later.overrides.all == {}
    assert later.told() == [("expired", "app", "a:1")]


def test_the_task_hears_of_new_orders(tmp_path):
    async def go():
        overrides = Overrides(tmp_path, Receiver(), Events())
        task = asyncio.create_task(overrides.run())
        await asyncio.sleep(0)
        overrides.set("app", "a:1", DRAIN._replace(until=time.time() + 0.05))
        async with asyncio.timeout(5):  # it slept for 30 s
            while overrides.all:
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(go())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"overrides": [{}]}',
        b'{"overrides": [{"service": "a", "address": "b", "mode": "off", "weight": null, "author": "", '
        b'"reason": "", "since": 0, "until": 0}]}',
        b'{"overrides": [{"service": "a", "address": "b", "mode": "up", "weight": null, "author": "", '
        b'"reason": "", "since": 0, "until": 1e300}]}',
        b'{"overrides": [{"service": "a", "address": "b", "mode": "auto", "weight": -1, "author": "", '
        b'"reason": "", "since": 0, "until": 0}]}',
    ],
)
def test_a_broken_file_is_moved_aside(tmp_path, content, caplog):
    (tmp_path / FILE).write_bytes(content)
    life = Life(tmp_path)
    assert life.overrides.all == {}
    (aside,) = tmp_path.glob(FILE + ".broken-*")
    assert aside.read_bytes() == content
    assert str(aside) in caplog.text
    life.overrides.set("app", "a:1", UP)
    assert Life(tmp_path).overrides.all == {("app", "a:1"): UP}


def test_a_file_that_cannot_be_read_is_not_written_over(tmp_path, caplog):
    (tmp_path / FILE).mkdir()
    life = Life(tmp_path)
    assert life.overrides.all == {}
    life.overrides.set("app", "a:1", UP)
    assert life.overrides.saved
    (aside,) = tmp_path.glob(FILE + ".broken-*")
    assert aside.is_dir() and str(aside) in caplog.text


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    life = Life(tmp_path)
    (tmp_path / FILE).mkdir()
    life.overrides.set("app", "a:1", UP)
    assert life.receiver.known == {("app", "a:1"): UP}
    assert not life.overrides.saved
    assert "cannot be saved" in caplog.text
    os.rmdir(tmp_path / FILE)
    life.overrides.set("app", "a:2", UP)
    assert life.overrides.saved
    assert len(Life(tmp_path).overrides.all) == 2


def test_a_successor_has_what_was_ordered_while_it_came_up_and_the_file_is_its_own(tmp_path):
    before, after = Life(tmp_path), Life(tmp_path)
    before.overrides.set("app", "a:1", DRAIN)
    before.overrides.retire()
    after.overrides.load()
    assert after.receiver.known == {("app", "a:1"): DRAIN}
    after.overrides.set("app", "a:2", UP)
    before.now = 2000.0
    before.overrides.expire()
    assert set(Life(tmp_path).overrides.all) == {("app", "a:1"), ("app", "a:2")}


def test_the_file_can_be_read_by_people(tmp_path):
    Life(tmp_path).overrides.set("app", "a:1", DRAIN)
    assert json.loads((tmp_path / FILE).read_text()) == {
        "overrides": [
            {
                "service": "app", "address": "a:1", "mode": "drain", "weight": None, "author": "anna",
                "reason": "deploy", "since": 1000.0, "until": 1060.0,
            }
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (DRAIN, "drain by anna until 1970-01-01T00:17:40Z: deploy"),
        (UP, "up and weight 0.5 of the configured"),
        (Override(Mode.AUTO, 0.25, "ben", "", 0.0), "weight 0.25 of the configured by ben"),
    ],
)
def test_words(override, text):
    assert describe(override) == text


NAMES = st.sampled_from(["a", "b"])
STEPS = st.one_of(
    st.tuples(st.just("set"), NAMES, st.sampled_from(list(Mode)), st.sampled_from([0.0, 5.0, 20.0])),
    st.tuples(st.just("clear"), NAMES),
    st.tuples(st.just("pass"), st.floats(0, 10)),
    st.tuples(st.just("restart")),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=12))
def test_the_receiver_the_file_and_the_store_agree_whatever_happens(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("state")
    life, expected = Life(folder), {}
    for step in steps:
        if step[0] == "set":
            order = Override(step[2], 0.5, "x", "", life.now, life.now + step[3] if step[3] else 0.0)
            life.overrides.set("app", step[1], order)
            expected["app", step[1]] = order
        elif step[0] == "clear":
            assert life.overrides.clear("app", step[1], "") == (
                expected.pop(("app", step[1]), None) is not None
            )
        elif step[0] == "pass":
            life.now += step[1]
            life.overrides.expire()
        else:
            life = Life(folder, life.now)
        expected = {k: v for k, v in expected.items() if not v.until or v.until > life.now}
        assert life.receiver.known == life.overrides.all == expected
    assert Life(folder, life.now).overrides.all == expected
