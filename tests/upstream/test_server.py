"""A Server's limit, queue and counters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.plan import ConnectionsPlan, ServerPlan
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.pool import Pool
from lb.upstream.server import Server

SLOT = 100


def made(most: int = 0, queue: int = 10, worker: int = 0, workers: int = 1) -> Server:
    cells = Cells(-1, worker, workers, 1000)
    server = Server("app", "a:1", cells, Pool("a:1", cells))
    server.configure(ServerPlan("a:1", 3, slot=SLOT), ConnectionsPlan(max_per_server=most, queue=queue))
    return server


def gauge(server: Server, name: str) -> int:
    return server.cells.get(SLOT + getattr(layout, f"SERVER_{name}"))


def test_identity_and_what_is_sent_as_host():
    server = made()
    assert (server.identity, server.weight, server.name, server.host) == ("app/a:1", 3.0, b"a:1", b"a:1")
    cells = server.cells
    assert Server("app", "unix:/run/a.sock", cells, server.pool).host == b"localhost"


@pytest.mark.parametrize(
    ("most", "workers", "shares"),
    [(0, 2, [0, 0]), (5, 2, [3, 2]), (4, 4, [1] * 4), (2, 4, [1] * 4), (9, 4, [3, 2, 2, 2])],
)
def test_the_limit_is_divided_and_never_becomes_none(most, workers, shares):
    assert [made(most, worker=w, workers=workers).most for w in range(workers)] == shares


def test_the_queue_is_served_in_order_and_left_anywhere():
    server = made(most=1, queue=3)
    server.occupy()
    assert server.full()
    assert [bool(server.enter(name)) for name in "abcd"] == [True, True, True, False]
    assert gauge(server, "QUEUED") == 3
    server.leave("b")
    server.leave("b")
    assert gauge(server, "QUEUED") == 2
    order = []
    while (following := server.vacate()) is not None:
        order.append(following)
        server.occupy()
    assert order == ["a", "c"] and server.busy == gauge(server, "BUSY") == gauge(server, "QUEUED") == 0


def test_nobody_is_woken_over_a_limit_that_became_lower():
    server = made(most=3)
    for _ in range(3):
        server.occupy()
    server.enter("a")
    server.configure(ServerPlan("a:1", slot=SLOT), ConnectionsPlan(max_per_server=1))
    assert server.vacate() is None and server.vacate() is None
    assert server.vacate() == "a"


def test_a_reload_keeps_counts_and_averages():
    server = made()
    server.occupy()
    server.latency.observe(0.5, True, 1.0)
    server.cells.add(SLOT + layout.SERVER_IN_FLIGHT, 1)
    server.configure(ServerPlan("a:1", 0, True, slot=SLOT), ConnectionsPlan(max_per_server=7))
    assert (server.configured, server.backup, server.most) == (0.0, True, 7)
    assert server.busy == server.in_flight() == 1 and server.cost(1.0) > 0.0


def test_in_flight_is_that_of_all_workers(tmp_path):
    with (tmp_path / "cells").open("wb+") as file:
        file.truncate(3 * 1000 * 8)
        servers = []
        for worker in range(3):
            cells = Cells(file.fileno(), worker, 3, 1000)
            servers.append(Server("app", "a:1", cells, Pool("a:1", cells)))
            servers[-1].configure(ServerPlan("a:1", slot=SLOT), ConnectionsPlan())
            cells.add(SLOT + layout.SERVER_IN_FLIGHT, worker + 1)
        assert [server.in_flight() for server in servers] == [6, 6, 6]


@given(events=st.lists(st.tuples(st.sampled_from(["come", "go", "give up"]), st.integers(0, 9)), max_size=80))
@settings(max_examples=150, deadline=None)
def test_never_over_the_limit_and_first_come_first_served(events):
    server = made(most=2, queue=4)
    inside, line, number = [], [], 0
    for event, n in events:
        if event == "come":
            number += 1
            if not server.full():
                server.occupy()
                inside.append(number)
            else:
                entered = bool(server.enter(number))
                assert entered is (len(line) < 4)
                line += [number] if entered else []
        elif event == "go" and inside:
            inside.pop(n % len(inside))
            following = server.vacate()
            assert following == (line.pop(0) if line else None)
            if following is not None:
                server.occupy()
                inside.append(following)
        elif event == "give up" and line:
            server.leave(line.pop(n % len(line)))
        assert server.busy == gauge(server, "BUSY") == len(inside) <= 2
        assert list(server.waiting) == line and gauge(server, "QUEUED") == len(line)
