"""Slots by identity: kept over reloads, freed only when nobody can write to them."""

import os
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import OTHER, Ledger, RouteId, ServerId, create_cells_file

SIZE = 4096


def make(workers: int = 2) -> tuple[Ledger, list[Cells]]:
    fd = create_cells_file(workers, SIZE)
    try:
        return Ledger(SIZE), [Cells(fd, worker, workers, SIZE) for worker in range(workers)]
    finally:
        os.close(fd)


def set_generations(cells: list[Cells], *generations: int) -> None:
    for mine, generation in zip(cells, generations, strict=True):
        mine.put(layout.WORKER_GENERATION, generation)


def test_slot_belongs_to_the_identity():
    ledger = Ledger()
    assert ledger.route("a", "s") == ledger.route("a", "s")
    slots = {ledger.route("a", "s"), ledger.route("a", "t"), ledger.route("b", "s"), ledger.listener("a")}
    slots |= {ledger.server("a", "s"), ledger.server("s", "a"), ledger.mirror("a", "s")}
    assert len(slots) == 7


@given(st.lists(st.tuples(st.sampled_from("lrms"), st.text(max_size=3), st.text(max_size=3)), max_size=60))
def test_blocks_never_overlap(wanted):
    ledger = Ledger()
    blocks = {(0, layout.WORKER_SIZE)}
    for kind, one, two in wanted:
        if kind == "l":
            blocks.add((ledger.listener(one), layout.LISTENER_SIZE))
        elif kind == "r":
            blocks.add((ledger.route(one, two), layout.ROUTE_SIZE))
        elif kind == "m":
            blocks.add((ledger.mirror(one, two), layout.MIRROR_SIZE))
        else:
            blocks.add((ledger.server(one, two), layout.SERVER_SIZE))
    taken = sorted(blocks)
    for (start, size), (following, _) in pairwise(taken):
        assert start + size <= following


def test_workers_share_the_file():
    _, (first, second) = make()
    first.add(100, 2)
    second.add(100, 3)
    assert first.total(100) == second.total(100) == 5
    assert first.totals(99, 3) == [0, 5, 0]
    assert (first.of(0, 100), first.of(1, 100), second.get(100)) == (2, 3, 3)


def test_absent_identity_keeps_its_counter_for_a_while():
    ledger, cells = make()
    ledger.begin(1)
    slot = ledger.route("a", "s")
    cells[0].add(slot + layout.ROUTE_CLASS + 2, 9)
    ledger.begin(2)
    set_generations(cells, 2, 2)
    assert ledger.sweep(cells[0]) == 0
    ledger.begin(3)
    assert ledger.route("a", "s") == slot
    assert cells[0].total(slot + layout.ROUTE_CLASS + 2) == 9


def test_gone_for_two_generations_is_freed_and_zeroed():
    ledger, cells = make()
    ledger.begin(1)
    slot = ledger.route("a", "s")
    cells[1].add(slot + layout.ROUTE_CLASS + 2, 9)
    ledger.begin(2)
    set_generations(cells, 3, 3)
    assert ledger.sweep(cells[0]) == 1
    assert list(ledger.routes()) == []
    ledger.begin(4)
    assert ledger.route("b", "s") == slot  # used again, from zero
    assert cells[0].totals(slot, layout.ROUTE_SIZE) == [0] * layout.ROUTE_SIZE


def test_not_freed_while_a_worker_lags_or_an_exchange_is_under_way():
    ledger, cells = make()
    ledger.begin(1)
    slot = ledger.server("s", "127.0.0.1:1")
    ledger.begin(2)
    set_generations(cells, 3, 2)
    assert ledger.sweep(cells[0]) == 0
    set_generations(cells, 3, 3)
    cells[1].put(slot + layout.SERVER_IN_FLIGHT, 1)
    assert ledger.sweep(cells[0]) == 0
    cells[1].put(slot + layout.SERVER_IN_FLIGHT, 0)
    assert ledger.sweep(cells[0]) == 1


def test_an_update_takes_away_what_it_looks_at_and_nothing_else():
    ledger, cells = make()
    ledger.begin(1)
    stays, goes = ledger.server("s", "127.0.0.1:1"), ledger.server("s", "127.0.0.1:2")
    other = ledger.server("t", "127.0.0.1:1")
    ledger.begin(2, [ServerId("s", "127.0.0.1:1"), ServerId("s", "127.0.0.1:2")])
    assert ledger.server("s", "127.0.0.1:1") == stays
    set_generations(cells, 2, 2)
    assert ledger.sweep(cells[0]) == 0  # absent from one generation
    set_generations(cells, 9, 9)
    assert ledger.sweep(cells[0]) == 1
    assert ledger.own("s", "127.0.0.1:2") is None and ledger.server("s", "127.0.0.1:3") == goes
    assert (ledger.own("s", "127.0.0.1:1"), ledger.own("t", "127.0.0.1:1")) == (stays, other)


def test_gauges_that_cancel_out_are_not_quiet():
    ledger, cells = make()
    ledger.begin(1)
    slot = ledger.server("s", "127.0.0.1:1")
    set_generations(cells, 9, 9)
    cells[0].put(slot + layout.SERVER_BUSY, 1)
    cells[1].put(slot + layout.SERVER_BUSY, -1)
    assert ledger.sweep(cells[0]) == 0


def test_nothing_is_freed_while_no_worker_runs():
    ledger, cells = make()
    ledger.begin(1)
    ledger.listener("web")
    ledger.begin(9)
    assert ledger.sweep(cells[0]) == 0


def test_dead_worker_leaves_counters_but_no_gauges():
    ledger, cells = make()
    listener, route, server = ledger.listener("web"), ledger.route("a", "s"), ledger.server("s", "x:1")
    for mine in cells:
        for slot, gauges in (
            (0, layout.WORKER_GAUGES),
            (listener, layout.LISTENER_GAUGES),
            (route, layout.ROUTE_GAUGES),
            (server, layout.SERVER_GAUGES),
        ):
            for gauge in gauges:
                mine.put(slot + gauge, 5)
        mine.put(route + layout.ROUTE_CLASS + 2, 8)
    ledger.wipe_gauges(cells[0], 1)
    assert cells[0].total(route + layout.ROUTE_CLASS + 2) == 16
    for slot, gauges in ((listener, layout.LISTENER_GAUGES), (server, layout.SERVER_GAUGES)):
        for gauge in gauges:
            assert (cells[0].of(0, slot + gauge), cells[0].of(1, slot + gauge)) == (5, 0)
    assert cells[1].get(layout.WORKER_GENERATION) == 0


def test_full_region_shares_one_block():
    size = layout.WORKER_SIZE + layout.LISTENER_SIZE + layout.MIRROR_SIZE + layout.SERVER_SIZE
    size += 3 * layout.ROUTE_SIZE
    ledger = Ledger(size)
    own = [ledger.route("a", "s"), ledger.route("b", "s")]
    shared = [ledger.route("c", "s"), ledger.route("d", "s")]
    assert shared[0] == shared[1]
    assert shared[0] not in own
    assert list(ledger.routes())[-1] == (RouteId(OTHER, OTHER), shared[0])
    assert max(*own, *shared) + layout.ROUTE_SIZE <= size
