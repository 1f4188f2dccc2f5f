"""Who is eligible, and that nobody who was tried is picked while somebody else is left."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.balancing.keys import compile_key
from lb.balancing.registry import ALGORITHMS, make
from lb.decisions import Select
from lb.message import Client
from lb.plan import AlgorithmPlan, ConnectionsPlan, ServerPlan
from lb.telemetry.cells import Cells
from lb.upstream.pool import Pool
from lb.upstream.server import Server
from lb.upstream.service import Service
from tests.routing.making import request


def made(*members: tuple[int, bool], algorithm: str = "round_robin", key: str = "") -> Service:
    """A Service of servers (weight, backup), ready."""
    cells = Cells(-1, 0, 1, 5000)
    servers = []
    for at, (weight, backup) in enumerate(members):
        server = Server("app", f"s{at}:1", cells, Pool(f"s{at}:1", cells))
        server.configure(ServerPlan(server.address, weight, backup, 100 * at + 100), ConnectionsPlan())
        servers.append(server)
    plan = AlgorithmPlan(algorithm, key)
    balancer = make(plan, len(servers), Random(3), lambda: 1.0)
    service = Service("app", servers, balancer, compile_key(key) if key else None)
    service.refresh()
    return service


def test_nobody_is_eligible():
    service = made((0, False), (0, True))
    assert service.select(b"", []) is None and service.reason == Select.NOT_ELIGIBLE
    assert made().select(b"", []) is None


def test_the_only_one_needs_no_algorithm():
    service = made((1, False), (0, False))
    assert service.select(b"", []) is service.servers[0] and service.reason == Select.ONLY_ONE


def test_a_backup_serves_where_no_other_is_eligible():
    service = made((0, False), (1, True), (1, True))
    assert service.on_backup
    assert {service.select(b"", []).address for _ in range(4)} == {"s1:1", "s2:1"}
    assert service.reason == Select.BACKUP
    service.servers[0].weight = 1.0
    service.refresh()
    assert not service.on_backup and service.select(b"", []) is service.servers[0]


def test_a_backup_comes_before_a_second_try():
    service = made((1, False), (1, True))
    main, backup = service.servers
    assert service.select(b"", [main]) is backup and service.reason == Select.BACKUP
    assert service.select(b"", [main, backup]) is main and service.reason == Select.ALL_TRIED


def test_the_key_is_asked_for_only_where_one_is_needed():
    head, client = request("/a?user=7"), Client("192.0.2.1", "web")
    assert made((1, False)).key_of(head, client) == b""
    hashed = made((1, False), (1, False), algorithm="consistent_hash", key="query:user")
    assert hashed.key_of(head, client) == b"7" and hashed.key_of(request("/"), client) == b""
    key = hashed.key_of(head, client)
    assert len({hashed.select(key, []).address for _ in range(9)}) == 1


MEMBERS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=6)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@given(members=MEMBERS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_never_one_that_was_tried_while_another_is_left(algorithm, members, data):
    service = made(*members, algorithm=algorithm, key="path" if algorithm == "consistent_hash" else "")
    tried: list[Server] = []
    usable = [s for s in service.servers if s.weight > 0]
    for _ in range(len(members) + 2):
        found = service.select(data.draw(st.binary(max_size=3)), tried)
        left = [s for s in usable if s not in tried]
        if not usable:
            assert found is None and service.reason == Select.NOT_ELIGIBLE
            return
        assert found in usable and (found in left or not left)
        if any(not s.backup for s in left):
            assert not found.backup, "a backup while another is left"
        assert (service.reason == Select.ALL_TRIED) is (not left)
        if found not in tried:
            tried.append(found)
