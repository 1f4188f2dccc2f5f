"""Sockets that change hands: at a door, from systemd, by address, and to workers of another number."""

from __future__ import annotations

import asyncio
import os
import socket
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.control.handover import HandoverError, Predecessor, knock
from lb.control.inherited import Inherited, from_systemd, name_of
from lb.control.listeners import BindError, BoundAddress, Listeners, bind
from lb.control.notify import notify, reloading
from lb.control.succession import Succession
from lb.control.upgrade import TAKEOVER, Upgrading
from lb.plan import ListenerPlan
from lb.worker import door as doors
from lb.worker.door import Door, Offered, Take
from lb.worker.messages import Drain, Serve


def listening(count=1, port=0, reuse=True):
    made = []
    for _ in range(count):
        sock = socket.socket()
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen()
        port = sock.getsockname()[1]
        made.append(sock)
    return made


def run(work):
    async def bounded():
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@given(sockets=st.integers(1, 40), workers=st.integers(1, 40))
def test_every_socket_has_a_worker_and_every_worker_a_socket(sockets, workers):
    bound = BoundAddress("x", list(range(sockets)), "x")
    given_out = [bound.of(number, workers) for number in range(workers)]
    assert all(given_out)
    assert {sock for share in given_out for sock in share} == set(range(sockets))
    if sockets >= workers:
        assert sum(map(len, given_out)) == sockets, "a socket of one worker alone where there are enough"


@pytest.mark.parametrize(("count", "workers", "then"), [(3, 3, 3), (1, 3, 3), (4, 2, 4)])
def test_inherited_sockets_are_used_and_missing_ones_bound_beside_them(count, workers, then):
    before = listening(count)
    inherited = Inherited()
    for sock in before:
        inherited.add(sock)
    port = before[0].getsockname()[1]
    bound = bind(f"127.0.0.1:{port}", "listener web", workers, inherited)
    assert len(bound.sockets) == then
    assert set(before) <= set(bound.sockets)
    assert {sock.getsockname()[1] for sock in bound.sockets} == {port}
    assert inherited.close() == []
    bound.close()


def test_a_socket_that_cannot_be_multiplied_is_shared_by_all_workers():
    (sock,) = listening(1, reuse=False)
    inherited = Inherited()
    inherited.add(sock)
    bound = bind(name_of(sock), "listener web", 3, inherited)
    assert [bound.of(number, 3) for number in range(3)] == [[sock]] * 3
    bound.close()


def test_a_port_that_was_chosen_freely_stays():
    (sock,) = listening()
    shown = name_of(sock)
    inherited = Inherited()
    inherited.add(sock, "127.0.0.1:0")
    bound = bind("127.0.0.1:0", "listener web", 2, inherited)
    assert bound.shown == shown
    bound.close()


def test_copies_of_one_socket_count_once():
    (sock,) = listening()
    inherited = Inherited()
    inherited.add(sock.dup())
    shown = name_of(sock)
    inherited.add(sock)
    assert len(inherited.take("", shown)) == 1


def test_what_nobody_takes_is_named_and_closed():
    (sock,) = listening()
    shown = name_of(sock)
    inherited = Inherited()
    inherited.add(sock)
    assert inherited.take("127.0.0.1:1", "127.0.0.1:1") == []
    assert inherited.close() == [shown]
    assert sock.fileno() == -1


def test_a_wider_address_may_become_a_narrower_one_in_an_upgrade():
    wide = bind("0.0.0.0:0", "listener web", 1)
    port = wide.sockets[0].getsockname()[1]
    listeners = Listeners(1)
    listeners.inherited.add(wide.sockets[0].dup(), wide.shown)
    listeners.open_missing([ListenerPlan("web", (f"127.0.0.1:{port}",))])
    assert listeners.inherited.close() == [f"0.0.0.0:{port}"]
    listeners.close()
    wide.close()


def test_the_file_of_a_unix_socket_stays_with_whoever_serves(tmp_path):
    before = bind(f"unix:{tmp_path}/lb.sock", "listener web", 2)
    inherited = Inherited()
    inherited.add(before.sockets[0].dup(), before.address)
    after = bind(before.address, "listener web", 2, inherited)
    before.hand_over()
    before.close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/lb.sock")
    after.close()


# --------------------------------------------------------------------------------------- doors


def test_sockets_are_taken_at_a_door_more_than_one_message_holds(tmp_path):
    before = listening(300)

    def said(visit, message):
        assert isinstance(message, Take)
        for sock in before:
            visit.answer(Serve("", "web:1"), sock.fileno())
        visit.answer(Offered(len(before)))

    async def hand_over():
        door = Door(asyncio.get_running_loop(), tmp_path / "a.sock", said)
        assert stat.S_IMODE(door.path.stat().st_mode) == 0o600
        predecessor = Predecessor(knock(door.path))
        assert predecessor.pid == os.getpid()
        taken = await predecessor.take()
        assert {one.address for one in taken} == {"web:1"}
        inodes = [os.fstat(one.sock.fileno()).st_ino for one in taken]
        assert inodes == [os.fstat(sock.fileno()).st_ino for sock in before]
        for one in taken:
            one.sock.close()
        predecessor.close()
        door.close()
        assert not door.path.exists()

    run(hand_over())
    for sock in before:
        sock.close()


def test_strangers_do_not_come_in(tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "other_end", lambda _: (1, os.geteuid() + 1))

    async def knock_and_wait():
        door = Door(asyncio.get_running_loop(), tmp_path / "a.sock", lambda *_: pytest.fail("was heard"))
        predecessor = Predecessor(knock(door.path))
        with pytest.raises(HandoverError, match="is gone"):
            await predecessor.take()
        door.close()

    run(knock_and_wait())


def test_nobody_is_behind_a_door_left_behind(tmp_path):
    assert knock(tmp_path / "none.sock") is None
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "a.sock"))
    assert knock(tmp_path / "a.sock") is None


def test_a_successors_door_takes_the_place_and_stays(tmp_path):
    async def two():
        loop = asyncio.get_running_loop()
        first = Door(loop, tmp_path / "a.sock", lambda *_: None)
        second = Door(loop, tmp_path / "a.sock", lambda *_: None)
        first.close()
        assert knock(tmp_path / "a.sock") is not None
        second.close()
        assert knock(tmp_path / "a.sock") is None

    run(two())


# ---------------------------------------------------------------------------------- succession


def succession(state, offered=(), successor=()):
    return Succession(state, Inherited(), lambda: offered, lambda: (("app", "a:1"),), list, successor)


def test_a_second_one_is_refused_and_an_ordered_one_takes_over(tmp_path, monkeypatch):
    web = bind("127.0.0.1:0", "listener web", 3)

    async def three():
        first = succession(tmp_path, [web])
        await first.begin()
        first.serving()
        second = succession(tmp_path)
        with pytest.raises(BindError, match=f"in use by process {os.getpid()}.*`lb upgrade` replaces it"):
            await second.begin()
        monkeypatch.setenv(TAKEOVER, str(tmp_path / doors.CONTROL))
        third = succession(tmp_path)
        assert third.replacing
        assert TAKEOVER not in os.environ, "what a successor starts is no successor"
        await third.begin()
        assert len(third.inherited.take(web.address, "")) == 3
        assert not first.relieved.is_set()
        assert third.down == {("app", "a:1")}
        third.serving()
        await until(first.relieved.is_set)
        assert first.pid == os.getpid()
        await first.close()
        assert knock(tmp_path / doors.CONTROL) is not None, "the door is the successor's now"
        await third.close()

    run(three())
    web.close()


def test_a_successor_without_anybody_to_replace_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setenv(TAKEOVER, str(tmp_path / doors.CONTROL))
    with pytest.raises(BindError, match=r"cannot take over .*nobody answers"):
        run(succession(tmp_path).begin())


def test_workers_that_were_left_behind_give_their_sockets_and_drain_later(tmp_path):
    (sock,) = listening()
    (tmp_path / doors.WORKERS).mkdir()
    drained = []

    def said(visit, message):
        if isinstance(message, Take):
            visit.answer(Serve("web", "127.0.0.1:0"), sock.fileno())
            visit.answer(Offered(1))
        elif isinstance(message, Drain):
            drained.append(visit.pid)

    async def take_over():
        loop = asyncio.get_running_loop()
        stale = tmp_path / doors.WORKERS / "1.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(stale))
        worker = Door(loop, tmp_path / doors.WORKERS / "2.sock", said)
        silent = Door(loop, tmp_path / doors.WORKERS / "3.sock", lambda visit, _: visit.close())
        after = succession(tmp_path)
        await after.begin()
        assert not stale.exists()
        assert len(after.inherited.take("127.0.0.1:0", "")) == 1
        assert drained == []
        after.serving()
        await until(lambda: drained)
        for one in (after, worker, silent):
            if (closing := one.close()) is not None:
                await closing

    run(take_over())
    sock.close()


# ------------------------------------------------------------------------------------- upgrades


def upgraded(tmp_path, command, serves=False):
    async def one():
        relieved, answers, failed = asyncio.Event(), [], []
        upgrading = Upgrading(command, tmp_path / doors.CONTROL, relieved, lambda: failed.append(1))
        upgrading.start(answers.append)
        if serves:
            relieved.set()
        await until(lambda: answers)
        await upgrading.close()
        assert bool(answers[0].error) >= bool(failed)
        return answers[0]

    return run(one())


def test_what_becomes_of_an_upgrade(tmp_path, monkeypatch):
    assert upgraded(tmp_path, ["/bin/sh", "-c", "exit 7"]).error.startswith(
        "the successor ended with status 7"
    )
    assert "cannot be started" in upgraded(tmp_path, ["/nowhere/python"]).error
    assert "not started by `lb run`" in upgraded(tmp_path, []).error
    assert upgraded(tmp_path, ["/bin/sleep", "0.2"], serves=True).error == ""
    monkeypatch.setattr("lb.control.upgrade.TIMEOUT", 0.1)
    assert "did not serve within" in upgraded(tmp_path, ["/bin/sleep", "60"]).error
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert "process 1 of its container" in upgraded(tmp_path, ["/bin/true"]).error


def test_one_upgrade_at_a_time_over_the_door(tmp_path):
    async def two():
        first = succession(tmp_path, successor=["/bin/sh", "-c", "sleep 0.5; exit 1"])
        await first.begin()
        callers = [Predecessor(knock(tmp_path / doors.CONTROL)) for _ in range(2)]
        answers = await asyncio.gather(*(caller.upgrade() for caller in callers))
        assert sorted(answer.error.split()[0] for answer in answers) == ["an", "the"]
        for caller in callers:
            caller.close()
        await first.close()

    run(two())


# -------------------------------------------------------------------------------------- systemd


def test_sockets_of_systemd_are_for_the_process_that_it_names(monkeypatch):
    environment = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "X": "y"}
    assert from_systemd(environment) == []
    assert environment == {"X": "y"}
    assert from_systemd({}) == []


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """A socket where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def test_systemd_is_told(systemd, monkeypatch):
    notify("READY=1", "STATUS=ok")
    assert systemd.recv(100) == b"READY=1\nSTATUS=ok"
    reloading()
    assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_an_abstract_name_of_systemd(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0lb-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@lb-test-{os.getpid()}")
        notify("READY=1")
        sock.settimeout(5)
        assert sock.recv(100) == b"READY=1"
