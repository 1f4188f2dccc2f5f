"""What the leader publishes, refuses, and throws away; with a store that may say anything."""

from __future__ import annotations

import asyncio

import pytest

from lb.cluster.contract import Conflict, Deposed, EngineError, Write
from lb.cluster.desk import GONE, HISTORY, LATE, LITTER, POLL
from lb.cluster.memory import Mark
from lb.cluster.records import HEAD, MOST_TEXT, Orders, Report, Stage, encode
from lb.cluster.shared import MOST_BYTES, digest_of
from tests.cluster.desk_ground import NOW, One
from tests.cluster.virtual import run

GARBAGE = [b"", b"\xff\x00", b"{", b"[]", b"null", b'{"kind": 7}', b'{"kind":"push","author":"a","at":1e999}',
           b'{"kind":"push","author":"a","at":-1}', b'{"kind":"push","author":"a","at":1,"revision":1e300}',
           b'{"kind":"push","author":"a","at":1,"pieces":-1}', b"[" * 5000, b'{"x":' + b"[" * 9000,
           b'{"kind":"push","author":"a","at":1,"base":99999999999999999999999}']  # fmt: skip


def leading(test):
    """A test that is a coroutine, of one node that leads."""

    def whole(tmp_path, **rest):
        async def life():
            one = One(tmp_path / "one")
            await one.leader.lead()
            await test(one, **rest)

        run(life())

    whole.__name__ = test.__name__
    return whole


@leading
async def test_a_push_is_published_once(one):
    said = await one.push("# ü 世界\n".encode() * 500, author="Ada Ünal 世界", message="warum? 🚪", base=0)
    assert (said.error, said.revision) == ("", 1)
    head = (await one.shared.head()).revision
    assert (head.author, head.message, head.previous, head.epoch) == ("Ada Ünal 世界", "warum? 🚪", 0, 1)
    assert (await one.shared.document(head)).decode() == "# ü 世界\n" * 500
    assert not [key for key in one.store.entries if key.startswith("wish")]


@leading
async def test_what_does_not_take_the_place_of_what_is_in_force_is_refused(one):
    await one.push(b"a")
    said = await one.push(b"b", base=0)
    assert (
        said.error == "conflict" and "revision 1 is in force, by ada at 1970-01-12T13:46:40Z" in said.message
    )
    assert (await one.push(b"b", base=1)).revision == 2
    assert (await one.push(b"b", base=2)).message == "it is in force already"
    assert (await one.shared.head()).revision.revision == 2


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
def test_a_wish_that_makes_no_sense_is_answered_and_gone(raw, tmp_path):
    @leading
    async def life(one):
        one.engine.value_limit = 10_000
        await one.wish("bad", raw=raw or b" ")
        await one.wish("good", b"a")
        assert (await one.answer("bad")).error == "corrupt"
        assert (await one.shared.head()).revision.revision == 1, "the one behind it was not served"

    life(tmp_path=tmp_path)


@pytest.mark.parametrize("more", [{"pieces": 0}, {"pieces": 2**53}, {"size": 2**53}, {"size": 3},
                                  {"digest": "x"}, {"kind": "dance"}], ids=str)  # fmt: skip
def test_a_document_that_is_not_what_its_wish_says(more, tmp_path):
    @leading
    async def life(one):
        assert (await one.push(b"abcd", **more)).error == "corrupt"
        assert (await one.shared.head()).revision is None

    life(tmp_path=tmp_path)


@leading
async def test_the_largest_document_and_one_byte_more(one):
    one.engine.value_limit = 2**20
    assert (await one.push(b"#" * MOST_BYTES)).revision == 1
    assert (await one.push(b"#" * (MOST_BYTES + 1))).error == "corrupt"


@leading
async def test_clocks_a_day_apart(one):
    """A wish out of the future is done; one out of the past is said to be late, with the reason."""
    assert (await one.push(b"a", at=NOW + 86_400)).revision == 1
    said = await one.push(b"b", at=NOW - 86_400)
    assert said.error == "late" and "by the leader's clock" in said.message
    assert (await one.push(b"b", at=NOW - LATE)).revision == 2


@leading
async def test_what_is_not_valid_is_published_nowhere(one):
    one.problems = [{"file": "f", "line": 1, "column": 1, "path": "", "message": str(n)} for n in range(300)]
    said = await one.push(b"a", file="a.yaml")
    assert said.error == "invalid_configuration" and "a.yaml has 300 problems" in said.message
    assert 0 < len(said.problems) < 100, "an answer has to fit into one value"
    one.engine.value_limit = 2**18
    assert len((await one.push(b"a")).problems) == 100
    one.problems = [{"file": "f" * 8000, "line": 1, "column": 1, "path": "", "message": "no"}] * 100
    found = (await one.push(b"a")).problems
    assert (len(found), len(found[0]["file"])) == (100, MOST_TEXT)
    assert "UTF-8" in (await one.push(b"\xff\xfe")).message
    assert (await one.shared.head()).revision is None


@leading
async def test_a_rollback_publishes_an_earlier_document_again(one):
    for data in (b"a", b"b"):
        await one.push(data)
    await one.wish(kind="rollback", revision=1)
    assert (await one.answer()).revision == 3
    head = (await one.shared.head()).revision
    assert (head.restores, await one.shared.document(head)) == (1, b"a")
    await one.wish(kind="rollback", revision=77)
    assert "no revision 77" in (await one.answer()).message


@leading
async def test_a_wish_to_resign(one):
    await one.wish(kind="resign")
    assert (await one.answer()).error == ""
    assert one.leader.resigned == 1


@leading
async def test_a_wish_that_is_withdrawn_at_the_last_moment_is_not_done(one):
    await one.wish(data=b"a")
    commit = one.engine.commit

    async def late(term, writes):
        one.engine.commit = commit
        await one.engine.put(Write("wishes/w", None))
        await commit(term, writes)

    one.engine.commit = late
    await one.desk.step()
    assert (await one.shared.head()).revision is None
    assert "answers/w" not in one.store.entries


@leading
async def test_who_leads_no_more_publishes_nothing(one):
    await one.wish(data=b"a")
    one.store.holder = None
    with pytest.raises(Deposed):
        await one.desk.step()
    assert HEAD not in one.store.entries and "wishes/w" in one.store.entries
    one.leader.term = None
    await one.desk.step()
    assert HEAD not in one.store.entries


@pytest.mark.parametrize("broken", [None, *GARBAGE[1:4], b'{"revision":-1}'], ids=str)
@pytest.mark.parametrize("remembers", [True, False])
def test_a_head_that_is_gone_or_broken_does_not_stop_publishing(broken, remembers, tmp_path):
    """Also by a leader that saw none of the revisions: no number is given twice."""

    @leading
    async def life(one):
        for data in (b"a", b"b", b"c"):
            await one.push(data)
        if remembers:
            one.memory.remember(Mark(7, 1, "x"))
        await one.engine.put(Write(HEAD, broken))
        await one.put("revisions/garbage", b"?")
        said = await one.push(b"d")
        assert (said.error, said.revision) == ("", 8 if remembers else 4)
        assert (await one.shared.head()).revision.revision == said.revision

    life(tmp_path=tmp_path)


@leading
async def test_the_next_revision_is_above_what_any_node_saw(one):
    """A store lost its last writes, which another node has seen and its leader has not."""
    await one.push(b"a")
    for node, seen in (("lb-2", 7), ("lb-3", 5)):
        report = Report(node=node, revision=1, epoch=1, generation=1, at=NOW, seen=seen, seen_epoch=1)
        await one.put(f"nodes/{node}", encode(report))
    said = await one.push(b"b", base=1)
    assert said.error == "conflict" and "revision 7 was seen, though" in said.message
    assert (await one.push(b"b", base=7)).revision == 8
    assert (await one.shared.head()).revision.previous == 7


@leading
async def test_a_rollout_that_the_store_lost_the_end_of_is_over(one):
    """A node saw what came after it: what the leader makes of it would be given a second time."""
    await one.push(b"a")
    await one.follower.step()
    await one.push(b"b", stage=Stage(first=["lb-1"], watch=1, requests=0), name="staged")
    await one.follower.step()
    report = Report(node="lb-2", revision=3, epoch=1, generation=1, at=NOW, seen=3, seen_epoch=1)
    await one.put("nodes/lb-2", encode(report))
    for _ in range(5):
        await one.desk.step()
        await asyncio.sleep(1)
        await one.follower.step()
    assert (await one.shared.head()).revision.revision == 2
    await one.wish("on", kind="promote")
    assert (await one.answer("on")).error == "no_rollout"
    assert (await one.push(b"c", name="next")).revision == 4


@leading
async def test_what_a_node_obeys_is_thrown_away_when_the_node_is(one):
    for node in ("lb-2", "lb-3"):
        await one.put(f"obeyed/{node}", encode(Orders()))
    report = Report(node="lb-2", revision=0, epoch=0, generation=1, at=NOW)
    await one.put("nodes/lb-2", encode(report))
    await one.push(b"a")
    assert [key for key in one.store.entries if key.startswith("obeyed")] == ["obeyed/lb-2"]


@leading
async def test_a_term_below_what_a_node_saw_publishes_nothing(one):
    report = Report(node="lb-2", revision=1, epoch=1, generation=1, at=NOW, seen=1, seen_epoch=5)
    await one.put("nodes/lb-2", encode(report))
    await one.wish("w", b"a")
    await one.desk.step()
    assert one.leader.outdated_terms == [1] and HEAD not in one.store.entries
    one.leader.term = await one.engine.acquire("lb-1", 1e9, 5)
    said = await one.answer()
    assert (said.error, said.revision, one.leader.outdated_terms) == ("", 2, [1])


@leading
async def test_a_thousand_pushes_leave_no_more_than_twenty(one):
    for number in range(1000):
        one.wall += 1
        data = f"# {number}\n".encode() * 200  # two pieces
        assert (await one.push(data, name=f"w{number}", at=one.wall)).revision == number + 1
    kept = sorted(one.store.entries)
    assert len([key for key in kept if key.startswith("revisions/")]) == HISTORY
    assert len({key.split("/")[1] for key in kept if key.startswith("pieces/")}) == HISTORY
    assert len([key for key in kept if key.startswith("answers/")]) <= LITTER + 1
    assert not [key for key in kept if key.startswith("wish")]
    assert sum(len(entry.value) for entry in one.store.entries.values()) < 200_000
    assert [found.revision for found in await one.shared.history()] == list(range(1000, 1000 - HISTORY, -1))


@leading
async def test_a_document_that_a_kept_revision_shares_stays(one):
    await one.push(b"first")
    for number in range(HISTORY):
        await one.push(str(number).encode())
        if number == HISTORY - 2:
            await one.wish(kind="rollback", revision=1)
            await one.answer()
    for found in await one.shared.history():
        assert await one.shared.document(found)


@leading
async def test_the_report_of_a_node_that_is_gone_for_long_is_thrown_away(one):
    """Containers have another name each time."""
    for node, ago in (("old", GONE + 1), ("silent", GONE - 60), ("ahead", -86_400)):
        report = Report(node=node, revision=0, epoch=0, generation=1, at=NOW - ago)
        await one.put(f"nodes/{node}", encode(report))
    await one.put("nodes/broken", b"?")
    await one.push(b"a")
    assert [found.node for found in await one.shared.nodes()] == ["ahead", "silent"]


@leading
async def test_a_conflict_is_no_failure(one):
    await one.wish(data=b"a")

    async def conflict(term, writes):
        raise Conflict("somebody was faster")

    one.engine.commit, kept = conflict, one.engine.commit
    with pytest.raises(Conflict):
        await one.desk._remove(1, ["x"])
    one.engine.commit = kept
    assert (await one.answer()).revision == 1


@leading
async def test_what_no_lb_laid_down_does_not_stop_the_desk(one):
    """Keys that lb cannot write: a hand in the store can."""
    for key in ("wishes/Test", "wishes/a b", "answers/Test", "wished/Test/0"):
        one.store.write([Write(key, b"{}")])
    strange = Report(node="Not A Key", revision=0, epoch=0, generation=1, at=NOW - GONE - 1)
    await one.put("nodes/x", encode(strange))
    assert (await one.push(b"a")).revision == 1


@leading
async def test_long_texts_are_cut(one):
    """The head, its copy and the answer are one commit."""
    one.engine.value_limit = 4000
    assert (await one.push(b"a", author="a" * 1500, message="m" * 1500)).revision == 1
    head = (await one.shared.head()).revision
    assert (len(head.author), len(head.message)) == (MOST_TEXT, MOST_TEXT)
    said = await one.push(b"b", file="f" * 3000, kind="k" * 600)
    assert (said.error, len(said.message)) == ("corrupt", MOST_TEXT)
    one.problems = [{"file": "f", "line": 1, "column": 1, "path": "", "message": "x" * 9000}]
    (problem,) = (await one.push(b"b")).problems
    assert (problem["line"], len(problem["message"])) == (1, MOST_TEXT)


@leading
async def test_an_error_in_lb_is_told_and_does_not_end_the_desk(one):
    async def broken(file, text):
        raise KeyError("lb")

    bugs, honest = [], one.desk._check
    one.desk._bug, one.desk._check = bugs.append, broken
    await one.wish(data=b"a")
    running = asyncio.create_task(one.desk.run())
    await asyncio.sleep(POLL / 2)
    assert [repr(error) for error in bugs] == ["KeyError('lb')"]
    one.desk._check = honest
    await asyncio.sleep(POLL)
    assert (await one.shared.head()).revision.revision == 1
    running.cancel()


@leading
async def test_a_document_whose_wish_never_came_is_thrown_away(one):
    await one.shared.save("wished/dead", b"d" * 2000)
    await one.shared.save("wished/late", b"l")
    for seconds, there in ((0, True), (LITTER - 1, True), (2, False)):
        one.wall += seconds
        await one.push(str(seconds).encode(), at=one.wall)
        assert any(key.startswith("wished/dead") for key in one.store.entries) is there
    assert not [key for key in one.store.entries if key.startswith("wish")]


@leading
async def test_the_document_of_a_publication_that_was_too_late_is_thrown_away(one):
    await one.push(b"a")
    commit = one.engine.commit

    async def late(term, writes):
        one.engine.commit = commit
        await one.engine.put(Write("wishes/w", None))
        await commit(term, writes)

    for data, stays in ((b"b", False), (b"a", True)):
        one.engine.commit = late
        await one.wish(data=data)
        await one.desk.step()
        assert bool([key for key in one.store.entries if key == f"pieces/{digest_of(data)}/0"]) is stays
    assert await one.shared.document((await one.shared.head()).revision) == b"a"


@pytest.mark.parametrize("done", [False, True])
def test_the_document_of_a_publication_whose_outcome_got_lost(done, tmp_path):
    """It is thrown away where it was not published, and its author asks no more."""
    leading(_outcome_lost)(tmp_path, done=done)


async def _outcome_lost(one, done):
    commit = one.engine.commit

    async def away(term, writes):
        one.engine.commit = commit
        if done:
            await commit(term, writes)
        else:
            await one.engine.put(Write("wishes/w", None))
        raise EngineError("no answer")

    one.engine.commit = away
    await one.wish(data=b"a")
    with pytest.raises(EngineError):
        await one.desk.step()
    assert f"pieces/{digest_of(b'a')}/0" in one.store.entries
    await one.push(b"b", name="next")
    assert (f"pieces/{digest_of(b'a')}/0" in one.store.entries) is done
