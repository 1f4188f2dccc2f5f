"""The channel over real socket pairs, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import os
import socket

import msgspec
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.plan import (
    ListenerPlan,
    MatchPlan,
    Plan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    WeightedService,
)
from lb.worker import channel as channel_module
from lb.worker.channel import Channel, ChannelClosedError
from lb.worker.messages import (
    Commit,
    Describe,
    Described,
    PlanAssembly,
    PlanBegin,
    PlanEnd,
    Prepared,
    RoutesPiece,
    Serve,
    ServicesPiece,
    ToControl,
    ToWorker,
    pieces,
)


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop(request):
    made = request.param()
    yield made
    made.close()


class End:
    def __init__(self, loop, sock, receives):
        self.loop = loop
        self.messages = []
        self.fds = []
        self.closed = None
        self.news = asyncio.Event()
        self.channel = Channel(loop, sock, receives, self.message, self.gone)

    def message(self, message, fd):
        self.messages.append(message)
        if fd >= 0:
            self.fds.append(fd)
        self.news.set()

    def gone(self, reason):
        self.closed = reason
        self.news.set()

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def ends(loop):
    ours, theirs = socket.socketpair()
    control, worker = End(loop, ours, ToControl), End(loop, theirs, ToWorker)
    yield control, worker
    control.channel.close()
    worker.channel.close()


def big_plan(routes, servers=3):
    return Plan(
        generation=7,
        listeners=(ListenerPlan("web", ("127.0.0.1:0",)),),
        routes=tuple(
            RoutePlan(f"r{i}", MatchPlan(host=(f"h{i}.example",)), services=(WeightedService(f"s{i}", 1, i),))
            for i in range(routes)
        ),
        services=tuple(
            ServicePlan(f"s{i}", servers=tuple(ServerPlan(f"10.0.0.{s}:80", slot=s) for s in range(servers)))
            for i in range(routes)
        ),
        shutdown_grace=3.0,
    )


def test_messages_arrive_whole_and_in_order(loop, ends):
    control, worker = ends
    for number in range(200):
        control.channel.send(Describe(number))
    worker.channel.send(Described(1, {"services": {"app": [1, 2]}}))
    worker.channel.send(Prepared(3, "no", 5, 6))
    loop.run_until_complete(worker.until(lambda: len(worker.messages) == 200))
    loop.run_until_complete(control.until(lambda: len(control.messages) == 2))
    assert worker.messages == [Describe(number) for number in range(200)]
    assert control.messages == [Described(1, {"services": {"app": [1, 2]}}), Prepared(3, "no", 5, 6)]


def test_a_frame_arrives_byte_by_byte(loop):
    ours, theirs = socket.socketpair()
    worker = End(loop, theirs, ToWorker)
    body = msgspec.msgpack.encode(Commit(9))
    try:
        for byte in len(body).to_bytes(4, "big") + body:
            assert worker.messages == []
            ours.send(bytes([byte]))
            loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(worker.until(lambda: worker.messages))
        assert worker.messages == [Commit(9)]
    finally:
        ours.close()
        worker.channel.close()


def test_a_large_plan_goes_through_a_small_socket(loop):
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    control, worker = End(loop, ours, ToControl), End(loop, theirs, ToWorker)
    plan = big_plan(5000)

    async def send():
        for piece in pieces(plan):
            control.channel.send(piece)
            await control.channel.drained()
            assert control.channel._queued <= channel_module.HIGH_WATER

    async def both():
        await asyncio.gather(
            send(), worker.until(lambda: worker.messages and worker.messages[-1] == PlanEnd())
        )

    try:
        loop.run_until_complete(both())
        first, *middle, _ = worker.messages
        assembly = PlanAssembly(first)
        for piece in middle:
            assembly.add(piece)
        assert assembly.plan() == plan
    finally:
        control.channel.close()
        worker.channel.close()


def test_each_serve_message_comes_with_its_own_socket(loop, ends):
    control, worker = ends
    sockets = [socket.socket() for _ in range(40)]
    for number, sock in enumerate(sockets):
        sock.bind(("127.0.0.1", 0))
        control.channel.send(Describe(number))
        control.channel.send(Serve(str(sock.getsockname()[1])), sock.fileno())
    loop.run_until_complete(worker.until(lambda: len(worker.fds) == 40))
    named = [message.listener for message in worker.messages if isinstance(message, Serve)]
    received = [socket.socket(fileno=fd) for fd in worker.fds]
    assert [str(sock.getsockname()[1]) for sock in received] == named
    assert not any(os.get_inheritable(sock.fileno()) for sock in received)
    for sock in sockets + received:
        sock.close()


def test_the_sender_may_close_its_socket_at_once(loop, ends):
    control, worker = ends
    control.channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    control.channel.send(RoutesPiece(big_plan(100).routes))  # does not fit: what follows has to wait
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    name = sock.getsockname()
    control.channel.send(Serve("web"), sock.fileno())
    sock.close()
    loop.run_until_complete(worker.until(lambda: worker.fds))
    with socket.socket(fileno=worker.fds[0]) as received:
        assert received.getsockname() == name


def test_the_end_of_the_other_side_is_told_once_with_what_came_before(loop, ends):
    control, worker = ends
    control.channel.send(Commit(1))
    control.channel.close()
    loop.run_until_complete(worker.until(lambda: worker.closed))
    assert worker.messages == [Commit(1)]
    assert worker.closed == "the other end closed it"
    with pytest.raises(ChannelClosedError):
        worker.channel.send(Prepared(1))
    with pytest.raises(ChannelClosedError):
        loop.run_until_complete(worker.channel.drained())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes was announced"),
        (b"\x00\x00\x00\x01\xc1", "a message cannot be read"),
        (b"\x00\x00\x00\x0b\x81\xa4type\xa4Nope", "a message cannot be read"),
        (b"\x00\x00\x00\x16\x82\xa4type\xa5Serve\xa8listener\xa1w"[:3] + bytes([23])
         + b"\x82\xa4type\xa5Serve\xa8listener\xa1w", "without its socket"),
    ],
)  # fmt: skip
def test_what_breaks_the_rules_closes_the_channel(loop, sent, reason):
    ours, theirs = socket.socketpair()
    worker = End(loop, theirs, ToWorker)
    try:
        ours.send(sent)
        loop.run_until_complete(worker.until(lambda: worker.closed))
        assert reason in worker.closed
        assert worker.messages == []
    finally:
        ours.close()


def test_an_end_that_does_not_read_is_given_up(loop, ends, monkeypatch):
    control, worker = ends
    monkeypatch.setattr(channel_module, "MAX_QUEUED", 100_000)
    loop.remove_reader(worker.channel.sock.fileno())
    piece = RoutesPiece(big_plan(100).routes)
    with pytest.raises(ChannelClosedError):
        for _ in range(1000):
            control.channel.send(piece)
    assert "does not read" in control.closed


@settings(max_examples=50)
@given(
    routes=st.integers(0, 450),
    sizes=st.lists(st.integers(0, 300), max_size=30),
)
def test_a_plan_survives_its_pieces(routes, sizes):
    services = tuple(
        ServicePlan(f"s{i}", servers=tuple(ServerPlan(f"10.0.{i}.{n}:80") for n in range(size)))
        for i, size in enumerate(sizes)
    )
    plan = msgspec.structs.replace(big_plan(routes), services=services)
    sent = list(pieces(plan))
    assert isinstance(sent[0], PlanBegin)
    assert sent[-1] == PlanEnd()
    assembly = PlanAssembly(sent[0])
    for piece in sent[1:-1]:
        assert len(getattr(piece, "routes", ())) <= 100
        if isinstance(piece, ServicesPiece):
            *first, last = piece.services
            assert len(piece.services) <= 100
            assert sum(len(service.servers) for service in first) < 500, last.name
        assembly.add(piece)
    assert assembly.plan() == plan
