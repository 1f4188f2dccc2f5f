"""What a node accepts of what the store says, and what it does when it cannot."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from lb.cluster.contract import EngineError, Write
from lb.cluster.following import AGAIN, FAILED, POLL, REPORT
from lb.cluster.memory import Mark, Memory
from lb.cluster.records import HEAD, MOST_TEXT, Orders, Report, Revision, Stage, decode, encode
from lb.cluster.shared import digest_of
from tests.cluster.desk_ground import NOW, One
from tests.cluster.virtual import run

GARBAGE = [b" ", b"\xff\x00", b"{", b"[]", b"null", b'{"revision":"1"}', b'{"x":' + b"[" * 9000,
           b'{"revision":1e300,"epoch":1}', b'{"revision":-1,"epoch":-1}']  # fmt: skip


def following(test):
    def whole(tmp_path, **rest):
        async def life():
            one = One(tmp_path / "one", value_limit=100_000)
            await one.leader.lead()
            await test(one, **rest)

        run(life())

    whole.__name__ = test.__name__
    return whole


async def head(one, **changes):
    """Write the head with these changes, past the desk."""
    found = (await one.shared.head()).revision
    await one.engine.put(Write(HEAD, encode(msgspec.structs.replace(found, **changes))))


def report(one, node="lb-1"):
    return decode("nodes", one.store.entries[f"nodes/{node}"].value, Report)


@following
async def test_it_takes_over_what_is_published_and_says_so(one):
    await one.follower.step()
    assert (report(one).revision, one.runs) == (0, [])
    await one.push("# 世界\n".encode(), author="Ünal")
    await one.follower.step()
    assert (report(one).revision, report(one).generation, one.runs) == (1, 1, ["# 世界\n"])
    assert one.said == [("taken", "revision 1 by Ünal is in force")]
    (kept,) = one.memory.kept()
    assert (kept.mark.revision, kept.data.decode()) == (1, "# 世界\n")


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
def test_a_head_that_makes_no_sense_changes_nothing(raw, tmp_path):
    @following
    async def life(one):
        await one.push(b"a")
        await one.follower.step()
        await one.put(HEAD, raw)
        await one.follower.step()
        assert one.follower.reached.error == ""
        assert one.said[-1][0] == "distrusted" and "revision 1 goes on" in one.follower.trouble
        assert (one.runs, report(one).error) == (["a"], one.follower.trouble)
        await one.push(b"b")
        await one.follower.step()
        assert (one.runs, one.follower.trouble) == (["a", "b"], "")

    life(tmp_path=tmp_path)


@pytest.mark.parametrize(
    "changes", [{"revision": 1}, {"epoch": 0}, {"revision": 3, "epoch": 0}, {"digest": "other"}], ids=str
)
def test_nothing_makes_it_go_back(changes, tmp_path):
    @following
    async def life(one):
        for data in (b"a", b"b"):
            await one.push(data)
        await one.follower.step()
        await head(one, **changes)
        await one.follower.step()
        assert one.runs == ["b"] and "was seen before" in one.follower.trouble

    life(tmp_path=tmp_path)


@following
async def test_a_store_without_a_head_after_there_was_one(one):
    await one.push(b"a")
    await one.follower.step()
    await one.engine.put(Write(HEAD, None))
    await one.follower.step()
    assert "revision 1 was seen" in one.follower.trouble and one.follower.running.revision == 1


@pytest.mark.parametrize("what", ["gone", "other", "longer", "huge", "pieces"])
def test_a_document_that_is_not_whole_is_not_applied(what, tmp_path):
    @following
    async def life(one):
        await one.push(b"a")
        await one.follower.step()
        await one.push(b"bb")
        piece = f"pieces/{digest_of(b'bb')}/0"
        match what:
            case "gone":
                await one.engine.put(Write(piece, None))
            case "other" | "longer":
                await one.put(piece, b"bc" if what == "other" else b"bbb")
            case "huge":
                await head(one, size=2**53)
            case "pieces":
                await head(one, pieces=2**53)
        await one.follower.step()
        assert one.runs == ["a"] and one.follower.trouble.startswith("revision 2: ")
        assert one.memory.seen.revision == 1, "what cannot be read was not seen"
        assert (report(one).revision, report(one).error) == (1, one.follower.trouble)

    life(tmp_path=tmp_path)


@following
async def test_what_it_cannot_put_in_force_is_tried_again_later(one):
    one.refuses = "the address is taken"
    await one.push(b"a")
    await one.follower.step()
    assert (report(one).refused, report(one).revision) == (1, 0)
    assert "the address is taken" in report(one).error
    one.refuses = ""
    await one.follower.step()
    assert one.runs == []
    await asyncio.sleep(AGAIN)
    await one.follower.step()
    assert one.runs == ["a"] and report(one).refused == 0
    assert [reason for reason, _ in one.said] == ["refused", "taken"]


@pytest.mark.parametrize("failing", ["seen.json", "coming.yaml"])
def test_a_disk_that_is_full(failing, tmp_path):
    @following
    async def life(one):
        def write(path, data):
            if path.name == failing:
                raise OSError(28, "No space left on device")
            path.write_bytes(data)

        one.memory._write = write
        await one.push(b"a")
        await one.follower.step()
        assert "No space left" in one.follower.trouble
        assert one.runs == [], "applied before it was remembered"

    life(tmp_path=tmp_path)


@following
async def test_a_restart_goes_on_where_it_was(one):
    for data in (b"a", b"b"):
        await one.push(data)
    await one.follower.step()
    again = One(one.memory.path.parent, one.store, value_limit=100_000)
    assert again.follower.running == Mark(2, 1, digest_of(b"b"))
    await again.follower.step()
    assert again.runs == [], "it runs already"
    await head(again, revision=1)
    await again.follower.step()
    assert "revision 2 of epoch 1 was seen" in again.follower.trouble


@following
async def test_two_nodes_of_one_name_both_follow_and_say_so(one):
    other = One(one.memory.path.parent.parent / "other", one.store, value_limit=100_000)
    await one.push(b"a")
    clock = [1000.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lb.cluster.following.time.time", lambda: clock[0])

        async def reports(*nodes, rounds):
            for _ in range(rounds):
                for node in nodes:
                    await node.follower.step()
                clock[0] += REPORT + 1
                await asyncio.sleep(REPORT + 1)

        await reports(one, other, rounds=1)
        await reports(one, rounds=1)
        assert (one.follower.trouble, other.follower.trouble) == ("", ""), (
            "one that ends may overlap with its heir"
        )
        await reports(one, other, rounds=3)
        for node in (one, other):
            assert "another node calls itself lb-1" in node.follower.trouble
            assert [reason for reason, _ in node.said] == ["taken", "namesake"]
        assert "another node calls itself lb-1" in report(one).error
        await one.push(b"b")
        await reports(one, other, rounds=1)
        assert (one.runs, other.runs) == (["a", "b"], ["a", "b"])
        await reports(one, rounds=5)
        assert one.follower.trouble == "", "the other one is gone"


@following
async def test_a_node_that_is_renamed_keeps_its_memory(one):
    await one.push(b"a")
    await one.follower.step()
    renamed = One(one.memory.path.parent, one.store, 100_000, node="new")
    await renamed.follower.step()
    assert (renamed.runs, report(renamed, "new").revision) == ([], 1)


@following
async def test_it_reports_when_something_is_different_and_now_and_then(one):
    async def reports(seconds):
        await asyncio.sleep(seconds)
        one.engine.calls.clear()
        await one.follower.step()
        return one.engine.calls.count("put nodes/lb-1")

    assert await reports(0) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lb.cluster.following.time.time", lambda: NOW)  # a clock that is put back, and stands
        assert await reports(REPORT - 1) == 0
        assert await reports(1.5) == 1
    await one.push(b"a")
    assert await reports(0) == 1
    for _ in range(3):  # a report that was thrown away is no other node's
        one.store.entries.pop("nodes/lb-1")
        await reports(REPORT + 1)
        assert (report(one).revision, one.follower.trouble) == (1, "")


@following
async def test_a_report_that_wakes_everybody_is_not_made_on_every_look(one):
    """Engines that tell of every write tell a node of its own report."""
    await one.push(b"a")
    await one.follower.step()
    await one.push(b"b", stage=Stage(first=["lb-1"], watch=100))
    running = asyncio.create_task(one.follower.run())
    await asyncio.sleep(1)
    one.engine.calls.clear()
    await asyncio.sleep(60)
    assert 10 <= one.engine.calls.count("put nodes/lb-1") <= 14
    assert one.engine.calls.count(f"get {HEAD}") < 40
    running.cancel()


@following
async def test_a_change_whose_look_failed_is_not_waited_for_again(one):
    await one.push(b"a")
    get = one.engine.get

    async def lost(key):
        one.engine.get = get
        raise EngineError("lost")

    one.engine.get = lost
    running = asyncio.create_task(one.follower.run())
    await asyncio.sleep(FAILED + 0.2)
    assert one.runs == ["a"]
    running.cancel()


@following
async def test_it_reports_what_it_saw_anew_to_an_engine_that_was_away(one):
    """What it said before may be lost with it."""
    await one.push(b"a")
    await one.follower.step()
    await one.follower.step()
    assert (report(one).seen, report(one).seen_epoch) == (1, 1)
    one.orders = Orders(number=4, epoch=3)
    await one.follower.step()
    assert (report(one).seen, report(one).seen_epoch) == (1, 3)
    one.engine.cut = True
    await one.follower.step()
    del one.store.entries["nodes/lb-1"]
    one.engine.cut = False
    await one.follower.step()
    assert (report(one).seen, report(one).seen_epoch) == (1, 3)


@following
async def test_it_hears_and_survives_an_engine_that_is_away(one):
    running = asyncio.create_task(one.follower.run())
    await asyncio.sleep(1)
    await one.push(b"a")
    await asyncio.sleep(0.5)
    assert one.runs == ["a"], "it did not hear of it"
    one.engine.cut = True
    await asyncio.sleep(3 * POLL)
    assert "no answer" in one.follower.reached.error
    one.engine.cut = False
    await one.push(b"b")
    await asyncio.sleep(2 * POLL)
    assert (one.runs, one.follower.reached.error) == (["a", "b"], "")
    running.cancel()


@following
async def test_what_runs_is_saved_as_soon_as_it_can_be(one):
    """Until then the trouble stays, and a restart goes on with it all the same."""
    for data in (b"a", b"b"):
        await one.push(data)
        keep, one.memory.keep = one.memory.keep, full_disk
        await one.follower.step()
        await one.follower.step()
        assert one.runs[-1:] == [data.decode()] and "cannot be saved" in one.follower.trouble
        assert report(one).error == one.follower.trouble
        assert Memory(one.memory.path.parent, None).kept()[0].data == data
        one.memory.keep = keep
        await one.follower.step()
        assert one.follower.trouble == "" and one.memory.applied == one.follower.running


def full_disk(mark):
    raise OSError(28, "No space left on device")


@following
async def test_what_was_coming_when_it_was_killed_is_what_it_starts_with(one):
    await one.push(b"a")
    await one.follower.step()
    await one.push(b"b")

    async def killed(revision, text):
        raise asyncio.CancelledError

    one.follower._apply = killed
    with pytest.raises(asyncio.CancelledError):
        await one.follower.step()
    memory = Memory(one.memory.path.parent, Path.write_bytes)
    assert [kept.data for kept in memory.kept()] == [b"b", b"a"]
    again = One(one.memory.path.parent, one.store, value_limit=100_000)
    again.memory.running = again.follower.running = memory.kept()[0].mark  # as lb.control.clustering does
    await again.follower.step()
    assert (again.runs, again.memory.applied, again.memory.path.read_bytes()) == ([], memory.seen, b"b")


@following
async def test_what_was_refused_is_not_started_with(one):
    await one.push(b"a")
    await one.follower.step()
    one.refuses = "the address is taken"
    await one.push(b"b")
    await one.follower.step()
    assert [kept.data for kept in Memory(one.memory.path.parent, None).kept()] == [b"a"]


@following
async def test_a_long_refusal_and_an_error_in_lb_end_nothing(one):
    """The task that follows is never started again."""
    one.engine.value_limit = 1000
    one.refuses = "no " * 1000
    await one.push(b"a")
    bugs = []
    one.follower._bug = bugs.append
    running = asyncio.create_task(one.follower.run())
    await asyncio.sleep(1)
    assert report(one).refused == 1 and len(report(one).error) == MOST_TEXT and not bugs

    async def broken(revision, text):
        raise KeyError("lb")

    one.follower._apply, honest = broken, one.follower._apply
    await asyncio.sleep(AGAIN + POLL)
    assert [repr(error) for error in bugs[:1]] == ["KeyError('lb')"]
    assert "an error in lb: KeyError" in one.follower.trouble
    one.follower._apply, one.refuses = honest, ""
    await asyncio.sleep(AGAIN + POLL)
    assert (one.runs, one.follower.trouble) == (["a"], "")
    running.cancel()


def test_a_revision_is_read_as_it_was_written():
    one = Revision(revision=1, epoch=2, digest="d", size=3, pieces=1, author="Ünal", message="世界",
                   at=4.5, previous=0)  # fmt: skip
    assert decode("x", encode(one), Revision) == one
    assert json.loads(encode(one))["message"] == "世界"
