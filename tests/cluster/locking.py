"""What every engine keeps of the lock and its terms."""

from __future__ import annotations

import asyncio
import time

import pytest

from lb.cluster import contract
from lb.cluster.contract import Deposed, Write
from tests.cluster.ground import LONG, TTL, Ground, awaited, until


class LockSuite(Ground):
    @awaited
    async def test_one_holds_it_until_it_is_given_back(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        assert await one.holder() is None
        first = await one.acquire("lb-1", LONG)
        assert first is not None and first.epoch >= 1
        assert await other.acquire("lb-2", LONG) is None
        for engine in (one, other):
            assert await engine.holder() == ("lb-1", first.epoch)
        await one.release(first)
        assert await other.holder() is None
        second = await other.acquire("lb-2", LONG)
        assert second is not None and second.epoch > first.epoch
        assert await one.holder() == ("lb-2", second.epoch)

    @awaited
    async def test_the_same_name_is_not_the_same_holder(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        assert await one.acquire("lb-1", LONG) is not None
        assert await other.acquire("lb-1", LONG) is None

    @awaited
    async def test_the_deadline_is_counted_from_before_the_request(self, cluster):
        engine = cluster.engine()
        before = time.monotonic()
        term = await engine.acquire("lb-1", LONG)
        after = time.monotonic()
        assert before < term.deadline < after + LONG * (1 - contract.MARGIN)
        before = time.monotonic()
        renewed = await engine.renew(term)
        after = time.monotonic()
        assert before + 1 < renewed.deadline < after + LONG * (1 - contract.MARGIN)
        assert renewed.deadline > term.deadline
        assert (renewed.epoch, renewed.proof) == (term.epoch, term.proof)

    @awaited
    async def test_a_term_that_is_not_renewed_lapses(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", TTL)
        version = await one.put(Write("a", b"old"))
        next_term = await until(lambda: other.acquire("lb-2", LONG), self.LAPSE)
        assert time.monotonic() >= term.deadline, "two hold it"
        assert next_term.epoch > term.epoch
        with pytest.raises(Deposed):
            await one.renew(term)
        with pytest.raises(Deposed):
            await one.commit(term, [Write("a", b"new", version)])
        with pytest.raises(Deposed):
            await one.release(term)
        assert (await one.get("a")).value == b"old"
        assert await other.holder() == ("lb-2", next_term.epoch)
        await other.commit(next_term, [Write("a", b"new", version)])

    @awaited
    async def test_a_term_that_is_renewed_stays(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", TTL)
        end = time.monotonic() + 2 * TTL
        while time.monotonic() < end:
            term = await one.renew(term)
            assert await other.acquire("lb-2", TTL) is None
            await asyncio.sleep(TTL / 6)
        await one.commit(term, [Write("a", b"1")])

    @awaited
    async def test_epochs_grow_over_many_holders(self, cluster):
        engines = [cluster.engine() for _ in range(3)]
        last = 0
        for engine in (*engines, engines[1], engines[1], engines[0]):
            term = await engine.acquire("lb-1", LONG)
            assert term.epoch > last
            last = term.epoch
            await engine.release(term)
            with pytest.raises(Deposed):
                await engine.release(term)

    @awaited
    async def test_one_object_that_asks_twice_gets_a_new_term(self, cluster):
        engine = cluster.engine()
        first = await engine.acquire("lb-1", LONG)
        second = await engine.acquire("lb-1", LONG)
        assert second is not None and second.epoch > first.epoch
        with pytest.raises(Deposed):
            await engine.commit(first, [Write("a", b"1")])
        with pytest.raises(Deposed):
            await engine.renew(first)
        assert await engine.get("a") is None
        await engine.commit(await engine.renew(second), [Write("a", b"1")])

    @awaited
    async def test_the_epoch_is_above_what_the_node_remembers(self, cluster):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG, above=41)
        assert term.epoch > 41
        await engine.release(term)
        assert (await engine.acquire("lb-1", LONG, above=7)).epoch > term.epoch

    @awaited
    async def test_a_store_that_forgot_everything_deposes_and_goes_on(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", LONG)
        await one.commit(term, [Write("a", b"1")])
        await self.forget(cluster)
        new = await until(lambda: other.acquire("lb-2", LONG, above=term.epoch), 5)
        assert new.epoch > term.epoch
        with pytest.raises(Deposed):
            await one.commit(term, [Write("a", b"2")])
        with pytest.raises(Deposed):
            await one.renew(term)
        assert await other.get("a") is None

    @awaited
    async def test_a_lock_that_was_deleted_deposes(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", LONG)
        await self.drop_lock(cluster)
        new = await other.acquire("lb-2", LONG)
        assert new.epoch > term.epoch
        for refused in (one.renew(term), one.commit(term, [Write("a", b"1")]), one.release(term)):
            with pytest.raises(Deposed):
                await refused
        assert await other.holder() == ("lb-2", new.epoch)
        await other.commit(new, [Write("a", b"1")])

    @awaited
    async def test_a_lock_that_was_deleted_and_taken_under_the_same_name(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", LONG)
        await self.drop_lock(cluster)
        new = await other.acquire("lb-1", LONG)
        assert new is not None and new.epoch > term.epoch
        with pytest.raises(Deposed):
            await one.release(term)
        assert await other.holder() == ("lb-1", new.epoch)

    @awaited
    async def test_many_who_ask_at_once(self, cluster):
        engines = [cluster.engine() for _ in range(4)]
        terms = await asyncio.gather(*(engine.acquire("lb", LONG) for engine in engines))
        assert len([term for term in terms if term]) <= 1, "two hold it"
        await asyncio.sleep(0)
        if not any(terms):
            assert await until(lambda: engines[0].acquire("lb", LONG), self.NEW_LEASE_LAPSES)
