"""Orders everywhere as control has them: handed on, told with what they took the place of, kept on disk."""

from __future__ import annotations

import pytest

from lb.cluster.contract import EngineError, Write
from lb.cluster.obeying import FILE
from lb.cluster.ordering import KEY
from lb.cluster.records import Answer, CorruptError, Order, Orders, encode
from lb.cluster.wishing import UnheardError
from lb.control.events import Events
from lb.control.everywhere import Everywhere
from lb.upstream.status import Mode, Override
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.virtual import run

ID = ("app", "a:1")


class Life:
    """One life of a node with this folder; `asked`: its wishes, `said`: the leader's answer."""

    def __init__(self, folder, store):
        self.known, self.asked, self.now = {}, [], 1000.0
        self.said = Answer(at=0.0, revision=7)
        self.events = Events()
        self.engine = MemoryEngine(store, value_limit=10_000)
        self.everywhere = Everywhere(folder, self, self.events, lambda: self.now)
        self.obeying = self.everywhere.prepare(self.engine, "lb-1", self.ask)

    def override_everywhere(self, service, address, override):
        if override is None:
            del self.known[service, address]
        else:
            self.known[service, address] = override

    async def ask(self, wish):
        self.asked.append(wish)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def hears(self, number, *orders, author="ann", epoch=1):
        await self.engine.put(Write(KEY, encode(Orders(number, epoch, list(orders), author))))
        await self.obeying.step()

    def told(self):
        return [(event.reason, event.text) for event in self.events.last]


def drain(**more):
    return Order(**{"service": "app", "address": "a:1", "mode": "drain", "author": "ann", "number": 1} | more)


def test_they_are_told_with_what_they_took_the_place_of(tmp_path):
    async def work():
        life = Life(tmp_path, MemoryStore())
        await life.hears(1, drain(reason="disk"))
        assert life.known == {ID: Override(Mode.DRAIN, None, "ann", "disk", 0.0, 0.0)}
        await life.hears(2, drain(mode="up", author="ben", number=2), author="ben")
        await life.hears(3, author="cat")
        assert life.known == {}
        assert life.told() == [
            ("drain", "app/a:1, everywhere: drain by ann: disk"),
            ("up", "app/a:1, everywhere: up by ben (in place of drain by ann: disk)"),
            ("cleared", "app/a:1, everywhere: up lifted by cat"),
        ]
        facts = life.events.last[1].facts
        assert (facts["everywhere"], facts["number"], facts["author"]) == (True, 2, "ben")

    run(work())


def test_who_missed_an_order_does_not_say_who_lifted_it(tmp_path):
    async def work():
        life = Life(tmp_path, MemoryStore())
        await life.hears(1, drain())
        await life.hears(5, author="cat")
        assert life.told()[-1] == ("cleared", "app/a:1, everywhere: drain lifted")

    run(work())


def test_they_hold_at_once_in_the_next_life_and_are_not_told_again(tmp_path):
    async def work():
        store = MemoryStore()
        first = Life(tmp_path, store)
        await first.hears(4, drain(until=1060.0), drain(address="b:1", weight=0.5, mode="auto"))
        second = Life(tmp_path, store)
        assert second.known == first.known and len(second.known) == 2
        assert second.everywhere.all[ID].number == 1 and second.told() == []
        second.now = 1061.0
        assert second.obeying.expire() > 0
        assert list(second.known) == [("app", "b:1")]
        assert second.told() == [("expired", "app/a:1, everywhere: drain by ann is over")]

    run(work())


def test_a_broken_file_is_moved_aside_and_the_store_tells(tmp_path, caplog):
    async def work():
        (tmp_path / FILE).write_bytes(b"{")
        store = MemoryStore()
        life = Life(tmp_path, store)
        assert life.known == {} and len(list(tmp_path.glob(FILE + ".broken-*"))) == 1
        await life.hears(4, drain())
        assert list(life.known) == [ID]

    run(work())
    assert FILE in caplog.text


def test_an_order_becomes_a_wish_and_its_answer_is_obeyed_before_it_returns(tmp_path):
    async def work():
        life = Life(tmp_path, MemoryStore())
        await life.engine.put(Write(KEY, encode(Orders(7, 1, [drain(number=7)]))))
        said = await life.everywhere.order(*ID, Override(Mode.DRAIN, 0.5, "ann", "disk", 5.0, 9e9), 3)
        assert (said.error, said.revision) == ("", 7) and list(life.known) == [ID]
        (wish,) = life.asked
        assert (wish.kind, wish.base, wish.author) == ("override", 3, "ann")
        assert wish.order == drain(weight=0.5, reason="disk", since=5.0, until=9e9, number=0)
        await life.everywhere.lift(*ID, "ben", None)
        assert (life.asked[1].kind, life.asked[1].base, life.asked[1].order.author) == ("clear", None, "ben")

    run(work())


@pytest.mark.parametrize(
    ("problem", "error"),
    [(EngineError("etcd: no answer"), "engine_away"), (UnheardError("nobody"), "no_leader"),
     (CorruptError("x"), "corrupt"), (Answer(at=0.0, error="conflict", message="ben did"), "conflict")],
)  # fmt: skip
def test_why_nothing_was_ordered_is_said(tmp_path, problem, error):
    async def work():
        life = Life(tmp_path, MemoryStore())
        life.said = problem
        said = await life.everywhere.order(*ID, Override(Mode.DRAIN, None, "ann", "", 5.0), None)
        assert said.error == error and said.message and life.known == {}
        if error in ("engine_away", "no_leader"):
            assert "of this node alone" in said.message

    run(work())


def test_how_sure_it_is(tmp_path):
    async def work():
        life = Life(tmp_path, MemoryStore())
        assert life.everywhere.standing() == {
            "number": 0,
            "age": None,
            "error": "not asked yet",
            "trouble": "",
        }
        await life.hears(3, drain())
        assert life.everywhere.standing()["number"] == 3 and life.everywhere.standing()["error"] == ""
        life.engine.cut = True
        await life.obeying.step()
        assert life.everywhere.standing()["error"]
        life.engine.cut = False
        await life.hears(2)
        assert "3 of epoch 1 were seen before" in life.everywhere.standing()["trouble"]
        assert list(life.known) == [ID]
        assert life.events.last[-1].kind == "cluster_orders"

    run(work())
