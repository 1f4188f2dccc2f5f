"""Discovering: who is followed over configurations, what the statuses and the disk are told."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

import dns.rcode
import pytest

from lb.config import loads
from lb.control import discovering as module
from lb.control.discovering import Discovering
from lb.control.events import Events
from lb.control.planning import make_plan
from lb.discovery import dns as source
from lb.discovery.contract import Member, Membership, Registered
from lb.discovery.kept import FILE, KeptWord, encoded, read
from lb.telemetry.ledger import Ledger
from lb.upstream.status import Registry
from tests.discovery.test_dns import serving

BASE = 'listeners: [":1"]\nroutes: {"/": app}\n'
OWN = (
    BASE
    + "services: {app: {discover: {provider: 'tests.control.test_discovering:Own', options: {name: x}}}}\n"
)
A, B = Member("a:1"), Member("b:1", state=Registered.DRAIN, why="told to")


class Own:
    """Says what `words` has for its name, then waits."""

    words: dict[str, list[tuple[Member, ...]]] = {}
    made = 0

    def __init__(self, name: str) -> None:
        if name == "bad":
            raise OSError("no such inventory")
        self.name = name
        Own.made += 1

    async def watch(self):
        for members in self.words.get(self.name, []):
            yield Membership(members)
        await asyncio.Event().wait()


class Statuses:
    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Registry] = {}

    def registered(self, service, address, registry, member):
        self.known[service, address] = registry


@pytest.fixture
def play(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_ANSWERS", 0.2)
    monkeypatch.setattr(Own, "words", {})
    monkeypatch.setattr(Own, "made", 0)

    def run(script):
        async def go():
            events = Events()
            found = Discovering(tmp_path, Statuses(), events)
            try:
                return await script(found, events)
            finally:
                await found.close()

        return asyncio.run(go())

    return run


def test_members_and_their_states(play):
    Own.words["x"] = [(A, B)]

    async def script(found, _):
        await found.prepare(loads(OWN))
        assert found.members("app") == (A, B)
        assert found.members("other") == ()
        found.tell_states()
        assert found._statuses.known == {("app", "a:1"): Registry.UP, ("app", "b:1"): Registry.DRAIN}
        await found.prepare(loads(BASE + "services: {app: [a:1]}\n"))
        found.tell_states()
        assert set(found._statuses.known.values()) == {Registry.NONE}

    play(script)


def test_who_follows_the_same_goes_on(play):
    Own.words["x"] = [(A,)]

    async def script(found, _):
        await found.prepare(loads(OWN))
        await found.prepare(loads(OWN + "shutdown_grace: 3s\n"))
        assert Own.made == 1
        await found.prepare(loads(OWN + "discovery: {brake: {grace: 3s}}\n"))
        assert Own.made == 2

    play(script)


def test_a_provider_that_cannot_be_made_is_said_and_stops_nothing(play):
    async def script(found, _):
        await found.prepare(loads(OWN.replace("name: x", "name: bad")))
        (one,) = found.shown()
        assert "no such inventory" in one["error"] and one["members"] == 0 and one["age"] is None
        await found.prepare(loads(OWN.replace("test_discovering:Own", "test_discovering:Missing")))
        assert "cannot be made: AttributeError" in found.shown()[0]["error"]

    play(script)


def test_a_reload_waits_for_those_alone_that_it_begins(play, monkeypatch, caplog):
    waits = []
    wait = asyncio.wait

    def noted(tasks, timeout=None):
        waits.append(len(tasks))
        return wait(tasks, timeout=timeout)

    monkeypatch.setattr(module.asyncio, "wait", noted)

    async def script(found, _):
        await found.prepare(loads(OWN))
        assert "has not answered yet" in caplog.text
        caplog.clear()
        await found.prepare(loads(OWN + "shutdown_grace: 3s\n"))
        assert waits == [1], "it has been away for long"
        two = OWN.replace("{app", "{other: {discover: {file: /dev/null/x}}, app")
        await found.prepare(loads(two))
        assert waits == [1, 1]
        assert "service=other" in caplog.text and "service=app" not in caplog.text

    play(script)


def test_a_change_asks_for_a_generation_and_a_state_alone_does_not(play):
    Own.words["x"] = [(A,)]

    async def script(found, _):
        wanted = []
        found.refresh = lambda service: wanted.append(1)
        await found.prepare(loads(OWN))
        found.members("app")
        (following,) = found.all()
        wanted.clear()
        following._hear(Membership((Member("a:1", state=Registered.DRAIN),)))
        await asyncio.sleep(0.3)
        assert wanted == [] and found._statuses.known["app", "a:1"] is Registry.DRAIN
        following._hear(Membership((A, B)))
        await asyncio.sleep(0.3)
        assert wanted == [1]

    play(script)


def test_what_was_said_last_is_kept_and_begun_with(play, tmp_path):
    Own.words["x"] = [(A, B)]

    async def first(found, _):
        await found.prepare(loads(OWN))

    async def second(found, _):
        Own.words["x"] = []
        await found.prepare(loads(OWN))
        assert found.members("app") == (A, B)
        assert found.shown()[0]["age"] >= 0 and not found.shown()[0]["answered"]

    play(first)
    assert (tmp_path / FILE).exists()
    play(second)


def kept_age(folder):
    """How old the word on disk is, seconds."""
    return time.time() - read(folder / FILE, pytest.fail)["app"].at


@pytest.fixture
def weeks_ago(play, tmp_path):
    """An earlier life kept A and B a million seconds ago."""
    Own.words["x"] = [(A, B)]
    play(lambda found, _: found.prepare(loads(OWN)))
    (word,) = read(tmp_path / FILE, pytest.fail).values()
    old = KeptWord(word.source, time.time() - 1e6, word.members, word.digest)
    (tmp_path / FILE).write_bytes(encoded({"app": old}))


def test_a_word_that_stays_the_same_is_kept_as_old_as_its_last_answer(play, tmp_path, weeks_ago):
    play(lambda found, _: found.prepare(loads(OWN)))
    assert kept_age(tmp_path) < 60, "it answered just now, though it said nothing new"


def test_a_word_that_nobody_confirmed_grows_older(play, tmp_path, weeks_ago):
    Own.words["x"] = []

    async def script(found, _):
        await found.prepare(loads(OWN))
        await found.prepare(loads(OWN + "discovery: {brake: {grace: 3s}}\n"))
        assert found.shown()[0]["age"] == pytest.approx(1e6, abs=60)

    play(script)
    assert kept_age(tmp_path) == pytest.approx(1e6, abs=60)


def test_what_is_kept_is_written_now_and_then(play, tmp_path, weeks_ago, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY", 0.01)

    async def script(found, _):
        await found.prepare(loads(OWN))
        async with asyncio.timeout(5):
            while kept_age(tmp_path) > 60:
                await asyncio.sleep(0.005)
        (tmp_path / FILE).unlink()
        async with asyncio.timeout(5):
            while not (tmp_path / FILE).exists():
                await asyncio.sleep(0.005)

    play(script)


def test_a_source_that_was_replaced_before_it_answered_is_not_forgotten(play, tmp_path, weeks_ago):
    Own.words["x"] = []

    async def script(found, _):
        await found.prepare(loads(OWN.replace("name: x", "name: y")))

    play(script)
    assert kept_age(tmp_path) == pytest.approx(1e6, abs=60)


@pytest.mark.parametrize("digest", ["", "0" * 64], ids=["of an older lb", "of another source"])
def test_the_word_of_another_source_is_not_begun_with(play, tmp_path, digest):
    source = "provider tests.control.test_discovering:Own"
    (tmp_path / FILE).write_bytes(encoded({"app": KeptWord(source, 1_700_000_000.0, (A,), digest)}))

    async def script(found, _):
        await found.prepare(loads(OWN))
        assert found.shown()[0]["source"] == source
        assert found.members("app") == ()

    play(script)


def test_options_that_change_are_another_source(play):
    Own.words["x"] = [(A, Member("c:1"), Member("d:1"))]
    Own.words["y"] = [(Member("e:1"),)]

    async def script(found, _):
        await found.prepare(loads(OWN))
        await found.prepare(loads(OWN.replace("name: x", "name: y")))
        assert found.members("app") == (Member("e:1"),) and found.shown()[0]["held"] == []

    play(script)


def test_a_file_that_makes_no_sense_is_moved_aside(play, tmp_path, caplog):
    (tmp_path / FILE).write_bytes(b"{")

    async def script(found, _):
        assert list(tmp_path.glob(FILE + ".broken-*"))

    with caplog.at_level(logging.ERROR):
        play(script)
    assert "makes no sense" in caplog.text


def test_what_is_held_is_an_event_and_accepted(play):
    Own.words["x"] = [(A, Member("c:1"), Member("d:1"))]

    async def script(found, events):
        await found.prepare(loads(OWN))
        assert not found.accept("app") and not found.accept("other")
        (following,) = found.all()
        following._hear(Membership())
        await asyncio.sleep(0.3)
        assert found.shown()[0]["held"] == ["a:1", "c:1", "d:1"]
        assert len(found.members("app")) == 3
        assert found.accept("app")
        assert found.members("app") == ()
        assert [(e.kind, e.reason) for e in events.last] == [
            ("discovery", "removal_held"), ("discovery", "removal_released"),
        ]  # fmt: skip

    play(script)


RESOLVED = (
    BASE + "services: {app: {servers: [{address: 'app.test:80', resolve: 1s, weight: 3, backup: true}, "
    "'b.test:80']}}\n"
)


def test_servers_that_are_names_are_what_dns_says_and_stay_while_it_fails(play, monkeypatch):
    async def script(found, _):
        async with serving() as (server, place):
            server.records["app.test.", "A"] = ["10.0.0.1", "10.0.0.2"]
            monkeypatch.setattr(
                source, "_resolver", partial(lambda made, _: made((place,)), source._resolver)
            )
            monkeypatch.setattr(source, "SHORTEST", 0.01)
            monkeypatch.setattr(module, "FIRST_ANSWERS", 10.0)  # this source answers
            spec = loads(RESOLVED)
            await found.prepare(spec)
            plan = make_plan(spec, 1, Ledger(), members=found.members).services[0]
            said = [(one.address, one.weight, one.backup) for one in plan.servers]
            assert said == [("b.test:80", 1, False), ("10.0.0.1:80", 3, True), ("10.0.0.2:80", 3, True)]
            server.rcode = dns.rcode.SERVFAIL
            while not found.shown()[0]["error"]:
                await asyncio.sleep(0.01)
            assert (found.shown()[0]["source"], len(found.members("app"))) == ("dns app.test:80", 2)

    play(script)
