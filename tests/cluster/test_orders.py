"""Orders that hold everywhere: decided once, over what their author has seen, never lifted by the store."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from random import Random

import msgspec
import pytest

from lb.cluster.contract import EngineError, Write
from lb.cluster.desk import Desk
from lb.cluster.elector import Elector
from lb.cluster.heard import Heard
from lb.cluster.memory import Memory
from lb.cluster.obeying import FILE, Obeying, Remembered
from lb.cluster.ordering import KEY, Ordering
from lb.cluster.records import CorruptError, Order, Orders, Report, Wish, decode, encode
from lb.cluster.shared import Shared
from lb.cluster.wishing import UnheardError, ask
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.virtual import run

LIMIT = 10_000
START = 1_000_000.0  # unix seconds when the loop's clock says 1000


class Node:
    """One node with its disk, over its restarts."""

    def __init__(self, store, folder, name, random=None):
        self.store, self.folder, self.name, self.random = store, folder / name, name, random or Random(1)
        self.folder.mkdir()
        self.applied, self.told = [], []
        self.start()

    def start(self):
        loop = asyncio.get_running_loop()

        def wall():
            return START + loop.time() - 1000

        self.wall = wall
        self.engines = [
            MemoryEngine(self.store, Random(self.random.random()), value_limit=LIMIT) for _ in range(2)
        ]
        memory = Memory(self.folder, Path.write_bytes)
        self.remembered = Remembered(self.folder, Path.write_bytes)
        self.shared = Shared(self.engines[1])
        heard = Heard(self.shared)
        self.elector = Elector(
            self.engines[0], self.name, 6.0, now=loop.time, random=Random(self.random.random()),
            above=lambda: max(heard.epoch, self.remembered.orders.epoch),
        )  # fmt: skip
        self.obeying = Obeying(
            self.engines[1], self.name, self.remembered, self.applied.append, now=loop.time, wall=wall,
            told=lambda reason, text: self.told.append((reason, text)),
        )  # fmt: skip
        ordering = Ordering(self.engines[1], lambda: self.remembered.orders, wall)
        desk = Desk(self.shared, self.elector, memory, None, heard=heard, decide=ordering.decide, wall=wall)
        self.tasks = [asyncio.create_task(part.run()) for part in (self.elector, self.obeying, desk)]

    async def kill(self):
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert not [one for one in ended if isinstance(one, Exception)], ended

    def cut(self, cut=True):
        for engine in self.engines:
            engine.cut = cut

    async def order(self, address="a:1", base=None, kind="override", **more):
        order = Order(service="app", address=address, since=self.wall(), **({"mode": "drain"} | more))
        wish = Wish(kind=kind, author=order.author, at=self.wall(), base=base, order=order)
        return await ask(self.shared, wish, now=asyncio.get_running_loop().time)

    @property
    def held(self):
        return {one.address: one.mode for one in self.applied[-1].orders} if self.applied else {}


def simulated(work, folder, count=3):
    async def whole():
        nodes = [Node(MemoryStore(), folder, "n0")]
        nodes += [Node(nodes[0].store, folder, f"n{at}") for at in range(1, count)]
        await asyncio.sleep(10)
        try:
            await work(*nodes)
        finally:
            for node in nodes:
                await node.kill()

    run(whole())


def test_every_node_obeys_what_was_ordered_at_one(tmp_path):
    async def work(one, two, three):
        answer = await one.order(author="ann", reason="new disk")
        assert (answer.error, answer.revision) == ("", 1)
        await asyncio.sleep(1)
        assert one.held == two.held == three.held == {"a:1": "drain"}
        (order,) = two.applied[-1].orders
        assert (order.author, order.reason, order.number) == ("ann", "new disk", 1)
        assert (await three.order(kind="clear", base=1)).error == ""
        await asyncio.sleep(1)
        assert one.held == two.held == three.held == {}

    simulated(work, tmp_path)


def test_the_later_of_two_operators_must_have_seen_the_earlier(tmp_path):
    async def work(one, two, three):
        answers = await asyncio.gather(
            one.order(base=0, author="ann", reason="disk"),
            two.order(base=0, mode="maintenance", author="ben"),
        )
        (lost,) = [answer for answer in answers if answer.error]
        assert lost.error == "conflict" and ("ann" in lost.message or "ben" in lost.message)
        number = max(answer.revision for answer in answers)
        assert (await three.order(base=number, mode="up")).error == ""
        assert (await three.order(base=number, mode="up")).error == "conflict"
        assert (await three.order(address="b:1", base=0)).error == ""  # another server is nobody else's
        assert (await three.order(mode="drain")).error == ""  # whatever there is
        cleared = await three.order(kind="clear", address="c:1")
        assert cleared.error == "no_override"

    simulated(work, tmp_path)


def test_an_order_ends_in_its_time_on_every_node(tmp_path):
    async def work(one, two, three):
        await one.order(until=one.wall() + 30)
        await asyncio.sleep(1)
        assert two.held == {"a:1": "drain"}
        three.cut()
        await asyncio.sleep(30)
        assert one.held == two.held == three.held == {}
        # and what is over is nothing that one must have seen
        assert (await one.order(base=0, mode="maintenance")).error == ""

    simulated(work, tmp_path)


def test_a_node_that_starts_while_the_engine_is_away_obeys_what_it_knew(tmp_path):
    async def work(one, two, three):
        await one.order()
        await asyncio.sleep(1)
        await two.kill()
        two.applied.clear()
        two.start()
        two.cut()
        assert two.held == {"a:1": "drain"}
        await asyncio.sleep(30)
        assert two.held == {"a:1": "drain"}
        assert two.obeying.reached.error
        with pytest.raises((EngineError, UnheardError)):
            await two.order("b:1")
        await one.order("c:1")
        two.cut(False)
        await asyncio.sleep(10)
        assert two.held == {"a:1": "drain", "c:1": "drain"}

    simulated(work, tmp_path)


@pytest.mark.parametrize("lost", ["all", "some", "broken"])
def test_a_store_that_forgot_lifts_nothing_and_the_next_order_goes_on_above(tmp_path, lost):
    async def work(one, two, three):
        await one.order("a:1")
        early = one.store.entries[KEY].value
        await one.order("b:1")
        await asyncio.sleep(1)
        value = {"all": None, "some": early, "broken": b'{"number": -1}'}[lost]
        await two.engines[1].put(Write(KEY, value))
        await asyncio.sleep(10)
        both = {"a:1": "drain", "b:1": "drain"}
        assert one.held == two.held == three.held == both
        assert two.told and two.told[-1][0] == "distrusted"
        for node in (one, two, three):  # for a leader that saw less
            obeyed = decode("obeyed", one.store.entries[f"obeyed/{node.name}"].value, Orders)
            assert (obeyed.number, {order.address for order in obeyed.orders}) == (2, {"a:1", "b:1"})
        assert (await three.order("c:1")).revision == 3
        await asyncio.sleep(1)
        assert one.held == two.held == three.held == both | {"c:1": "drain"}
        assert two.obeying.trouble == ""
        await asyncio.sleep(10)
        assert not [key for key in one.store.entries if key.startswith("obeyed")]

    simulated(work, tmp_path)


def test_the_next_order_is_above_what_any_node_saw(tmp_path):
    """A store lost its last orders, which other nodes obey and the leader has not seen."""

    async def work(leads, one):
        await one.order("a:1")
        await asyncio.sleep(1)
        for name in ("n3", "n4"):
            await saw(one, name, 2)
        await one.engines[1].put(Write("obeyed/n3", b"?"))
        there = Orders(5, 2, [Order(service="app", address="c:1", mode="maintenance", number=5)])
        await one.engines[1].put(Write("obeyed/n4", encode(there)))
        await asyncio.sleep(10)
        answer = await one.order("b:1")
        assert (answer.error, answer.revision) == ("", 6)
        await asyncio.sleep(1)
        assert leads.held == one.held == {"b:1": "drain", "c:1": "maintenance"}
        assert {node.remembered.orders.epoch for node in (leads, one)} == {3}, "n3 would refuse it"

    simulated(work, tmp_path, count=2)


@pytest.mark.parametrize(
    ("number", "epoch", "holds"),
    [
        (9, 1, {"b:1": "drain", "z:1": "drain"}),  # of a leader before the one that gave what holds
        (1, 9, {"a:1": "maintenance", "z:1": "drain"}),  # of one after it
    ],
)
def test_after_a_fork_what_the_later_leader_ordered_holds(tmp_path, number, epoch, holds):
    """A node was away while a store that had lost some went on: nothing old comes back with it."""

    async def work(leads, one):
        await saw(leads, "n7", 4)
        await asyncio.sleep(10)
        await one.order("b:1")
        await asyncio.sleep(1)
        assert one.remembered.orders.epoch == 5
        await saw(leads, "n7", epoch)
        there = Orders(number, epoch, [Order(service="app", address="a:1", mode="maintenance", number=1)])
        await leads.engines[1].put(Write("obeyed/n7", encode(there)))
        await asyncio.sleep(10)
        answer = await one.order("z:1")
        assert (answer.error, answer.revision) == ("", max(number, 1) + 1)
        await asyncio.sleep(1)
        assert leads.held == one.held == holds

    simulated(work, tmp_path, count=2)


async def saw(node, name, epoch):
    """The report of a node that is not in the test."""
    report = Report(node=name, revision=0, epoch=0, generation=1, at=node.wall(), seen_epoch=epoch)
    await node.engines[1].put(Write(f"nodes/{name}", encode(report)))


def test_a_node_lays_what_it_obeys_where_the_store_went_on_without_it(tmp_path):
    async def work(leads, one):
        for _ in range(3):
            await one.order("a:1")
        one.cut()
        other = [Order(service="app", address="b:1", mode="drain", number=2)]
        await leads.engines[1].put(Write(KEY, encode(Orders(2, 9, other))))
        await saw(leads, "n9", 9)
        await saw(leads, "n1", 1)
        one.cut(False)
        await asyncio.sleep(10)
        obeyed = decode("obeyed", leads.store.entries["obeyed/n1"].value, Orders)
        assert obeyed == one.remembered.orders and obeyed.number == 3
        assert (await leads.order("c:1")).revision == 4
        await asyncio.sleep(10)
        assert leads.held == one.held == {"b:1": "drain", "c:1": "drain"}
        assert one.obeying.trouble == "" and "obeyed/n1" not in leads.store.entries

    simulated(work, tmp_path, count=2)


def test_no_more_than_the_engine_takes(tmp_path):
    async def work(one):
        for at in range(30):
            answer = await one.order(f"server-{at}:80", reason="r" * 200)
            if answer.error:
                assert answer.error == "too_large" and at > 5
                assert len(one.held) == at
                return
        pytest.fail("they all fitted")

    simulated(work, tmp_path, 1)


BAD = [
    {"kind": "override", "order": {"service": "app", "address": "a:1", "mode": "off"}},
    {"kind": "override", "order": {"service": "app", "address": "a:1", "weight": 0}},
    {"kind": "override", "order": {"service": "app", "address": "a:1", "weight": 1e9}},
    {"kind": "override", "order": {"service": "", "address": "a:1"}},
    {"kind": "override", "order": {"service": "app", "address": "a" * 400}},
    {"kind": "override", "order": {"service": "app", "address": "a:1", "until": 1e300}},
    {"kind": "override", "order": {"service": "app", "address": "a:1", "author": "x" * 101}},
    {"kind": "push", "order": {"service": "app", "address": "a:1"}},
    {"kind": "override"},
]


@pytest.mark.parametrize("wish", BAD, ids=str)
def test_a_wish_that_makes_no_sense_orders_nothing(tmp_path, wish):
    async def work(one):
        value = msgspec.json.encode({"author": "", "at": one.wall(), **wish})
        await one.engines[1].put(Write("wishes/x", value))
        await asyncio.sleep(5)
        entry = await one.engines[1].get("answers/x")
        assert msgspec.json.decode(entry.value)["error"] == "corrupt"
        assert KEY not in one.store.entries

    simulated(work, tmp_path, 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"number": 1, "orders": [{}]}'])
def test_a_broken_file_says_so(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=FILE):
        Remembered(tmp_path, Path.write_bytes)


def test_what_cannot_be_saved_is_not_obeyed_and_tried_again(tmp_path):
    async def work(one):
        full = True

        def write(path, data):
            if full:
                raise OSError("no space left")
            Path.write_bytes(path, data)

        one.remembered._write = write
        await one.order()
        await asyncio.sleep(2)
        assert one.held == {} and "no space left" in one.obeying.trouble
        full = False
        await asyncio.sleep(6)
        assert one.held == {"a:1": "drain"} and one.obeying.trouble == ""

    simulated(work, tmp_path, 1)


async def faults(seed, folder):
    """Orders by three operators in a minute of faults; then what everybody holds."""
    random, store = Random(seed), MemoryStore()
    nodes = [Node(store, folder, f"{seed}-{at}", random) for at in range(3)]
    done, pending = [], set()

    async def one_order(node, at):
        with contextlib.suppress(EngineError, UnheardError, CorruptError):
            answer = await node.order(f"s{random.randrange(4)}:1", reason=str(at))
            if not answer.error:
                done.append(answer.revision)

    for at in range(20):
        await asyncio.sleep(random.uniform(0.5, 4))
        task = asyncio.create_task(one_order(random.choice(nodes), at))
        pending.add(task)
        unlucky = random.choice(nodes)
        match random.randrange(4):
            case 0:
                unlucky.cut()
            case 1:
                await unlucky.kill()
                unlucky.start()
            case 2:
                store.holder = None  # the engine forgot the lock
            case _:
                unlucky.cut(False)
    for node in nodes:
        node.cut(False)
    await asyncio.sleep(60)
    await nodes[0].order("last:1")
    await asyncio.sleep(20)
    for task in pending:
        task.cancel()
    for node in nodes:
        await node.kill()
    return nodes, done


@pytest.mark.parametrize("seed", range(12))
def test_with_faults_no_number_comes_twice_and_no_node_goes_back(tmp_path, seed):
    nodes, done = run(faults(seed, tmp_path))
    written = [
        msgspec.json.decode(write.value, type=Orders)
        for _, writes in nodes[0].store.accepted for write in writes if write.key == KEY
    ]  # fmt: skip
    numbers = [one.number for one in written]
    assert numbers == sorted(set(numbers)) and set(done) <= set(numbers) and len(done) > 3
    assert [one.epoch for one in written] == sorted(one.epoch for one in written)
    for node in nodes:
        seen = [one.number for one in node.applied]
        assert seen == sorted(seen)
        assert node.remembered.orders == written[-1]


def test_orders_are_read_again_as_they_were_written():
    orders = Orders(3, 2, [Order(service="app", address="unix:/a b", weight=0.5, author="ann")], "ann")
    assert msgspec.json.decode(encode(orders), type=Orders) == orders
