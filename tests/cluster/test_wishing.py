"""Asking the leader: what comes back is certain."""

from __future__ import annotations

import asyncio

import pytest

from lb.cluster.contract import EngineError, Write
from lb.cluster.records import Answer, CorruptError, Wish, encode
from lb.cluster.wishing import UnheardError, ask
from tests.cluster.desk_ground import NOW, One
from tests.cluster.virtual import run

WISH = Wish(kind="push", author="ada", at=NOW)


def asking(test):
    def whole(tmp_path):
        async def life():
            one = One(tmp_path / "one")
            await one.leader.lead()
            await test(
                one,
                lambda wait=5.0: ask(one.shared, WISH, b"# x\n" * 600, wait, asyncio.get_running_loop().time),
            )

        run(life())

    whole.__name__ = test.__name__
    return whole


@asking
async def test_the_answer_comes_and_nothing_is_left(one, call):
    working = asyncio.create_task(one.desk.run())
    assert (await call()).revision == 1
    working.cancel()
    await asyncio.sleep(0.1)
    assert not [key for key in one.store.entries if key.startswith(("wish", "answers"))]


@asking
async def test_what_nobody_takes_is_withdrawn_whole(one, call):
    with pytest.raises(UnheardError, match="within 5s; it was withdrawn"):
        await call()
    assert one.store.entries == {}
    await one.desk.step()
    assert one.store.accepted == []


@asking
async def test_what_is_taken_at_the_last_moment_is_no_withdrawal(one, call):
    put = one.engine.put

    async def slow(write):
        if write.value is None and write.key.startswith("wishes/"):
            await one.desk.step()
        return await put(write)

    one.engine.put = slow
    assert (await call()).revision == 1


@asking
async def test_a_wish_that_is_gone_without_an_answer(one, call):
    put = one.engine.put

    async def thief(write):
        if write.value is None and write.key.startswith("wishes/"):
            await put(Write(write.key, None))
        return await put(write)

    one.engine.put = thief
    with pytest.raises(CorruptError, match="answers/"):
        await call()


@asking
async def test_an_answer_that_makes_no_sense(one, call):
    waiting = asyncio.create_task(call())
    await asyncio.sleep(1)
    (name,) = [key.partition("/")[2] for key in one.store.entries if key.startswith("wishes/")]
    await one.put(f"answers/{name}", b"{")
    with pytest.raises(CorruptError):
        await waiting


@asking
async def test_an_engine_that_goes_away_meanwhile_is_said(one, call):
    waiting = asyncio.create_task(call())
    await asyncio.sleep(1)
    one.engine.cut = True
    with pytest.raises(EngineError):
        await waiting


@asking
async def test_an_answer_that_got_lost_is_asked_for_again(one, call):
    get, changed, lost = one.engine.get, one.engine.changed, []

    async def losing_get(key):
        if key.startswith("answers/") and len(lost) < 4:
            lost.append(key)
            raise EngineError("lost")
        return await get(key)

    async def losing_changed(prefix, wait):
        if prefix == "answers" and wait and len(lost) < 4:
            lost.append(prefix)
            raise EngineError("lost")
        return await changed(prefix, wait)

    one.engine.get, one.engine.changed = losing_get, losing_changed
    waiting = asyncio.create_task(call())
    await asyncio.sleep(0.5)
    await one.desk.step()
    assert (await waiting).revision == 1 and len(lost) == 4


@asking
async def test_an_answer_of_somebody_else_is_not_ours(one, call):
    await one.put("answers/other", encode(Answer(at=NOW, revision=9)))
    with pytest.raises(UnheardError):
        await call(2.0)
    assert list(one.store.entries) == ["answers/other"]


@asking
async def test_an_answer_in_hand_counts_though_the_engine_goes_away(one, call):
    put, working = one.engine.put, asyncio.create_task(one.desk.run())

    async def away(write):
        if write.value is None and write.key.startswith("answers/"):
            raise EngineError("away")
        return await put(write)

    one.engine.put = away
    assert (await call()).revision == 1
    working.cancel()


@asking
async def test_what_was_withdrawn_is_said_so_though_the_engine_goes_away(one, call):
    put = one.engine.put

    async def away(write):
        if write.value is None and write.key.startswith("wished/"):
            raise EngineError("away")
        return await put(write)

    one.engine.put = away
    with pytest.raises(UnheardError):
        await call()
