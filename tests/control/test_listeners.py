"""Listening sockets on real addresses."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from lb.control.listeners import BindError, Listeners, bind
from lb.plan import ListenerPlan


@pytest.fixture
def bound():
    made = []

    def make(address, workers=3):
        made.append(bind(address, "listener web", workers))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_every_worker_has_its_own_socket_on_one_port(bound, host):
    found = bound(f"{host}:0")
    ports = {sock.getsockname()[1] for sock in found.sockets}
    assert len(found.sockets) == 3
    assert len(ports) == 1
    assert found.shown == f"{host}:{ports.pop()}"
    accepted = 0
    clients = [socket.create_connection(found.sockets[0].getsockname()[:2], timeout=5) for _ in range(60)]
    for sock in found.sockets:
        try:
            while True:
                sock.accept()[0].close()
                accepted += 1
        except BlockingIOError:
            continue
    assert accepted == 60
    for client in clients:
        client.close()


def test_ipv4_and_ipv6_of_all_addresses_stand_beside_each_other(bound, free_port):
    bound(f"0.0.0.0:{free_port}")
    bound(f"[::]:{free_port}")


def test_workers_share_a_unix_socket(bound, tmp_path):
    path = tmp_path / "lb.sock"
    found = bound(f"unix:{path}")
    assert len({os.fstat(sock.fileno()).st_ino for sock in found.sockets}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    found.close()
    assert not path.exists()


def test_a_unix_socket_left_behind_is_replaced_and_a_live_one_is_not(bound, tmp_path):
    path = tmp_path / "lb.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    found = bound(f"unix:{path}")
    with pytest.raises(BindError, match="another process listens there; end it first"):
        bind(f"unix:{path}", "listener web", 1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    found.close()


def test_a_file_is_never_removed_for_a_socket(tmp_path):
    path = tmp_path / "precious"
    path.write_text("keep")
    with pytest.raises(BindError, match="exists and is not a socket"):
        bind(f"unix:{path}", "listener web", 1)
    assert path.read_text() == "keep"


def test_closing_leaves_the_socket_of_a_successor(bound, tmp_path):
    path = tmp_path / "lb.sock"
    found = bound(f"unix:{path}")
    path.unlink()
    successor = bind(f"unix:{path}", "listener web", 1)
    found.close()
    assert path.exists()
    successor.close()


@pytest.mark.parametrize("port_in_use", ["plain", "reuse"])
def test_a_port_in_use_is_refused_even_where_the_kernel_would_share_it(port_in_use):
    with socket.socket() as taken:
        if port_in_use == "reuse":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=rf"in use by process {os.getpid()} .*choose another port"):
            bind(f"127.0.0.1:{port}", "listener web", 2)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("192.0.2.1:8080", "this machine has no such address"),
        ("unix:/nowhere/at/all.sock", "make the folder first"),
        ("nobody.invalid:80", "is no address of this machine"),
    ],
)
def test_errors_say_what_to_do(address, said):
    with pytest.raises(BindError, match=f"listener web: .*{said}"):
        bind(address, "listener web", 1)


def test_a_set_is_bound_whole_or_not_at_all(free_port):
    listeners = Listeners(2)
    plans = [ListenerPlan("a", (f"127.0.0.1:{free_port}",)), ListenerPlan("b", ("192.0.2.1:1",))]
    with pytest.raises(BindError):
        listeners.open_missing(plans)
    assert listeners.bound == {}
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only where nobody listens
        sock.bind(("127.0.0.1", free_port))


def test_an_address_may_become_a_narrower_one_on_the_same_port(free_port):
    listeners = Listeners(2)
    listeners.open_missing([ListenerPlan("web", (f"0.0.0.0:{free_port}",))])
    narrower = [ListenerPlan("web", (f"127.0.0.1:{free_port}",))]
    listeners.open_missing(narrower)
    listeners.forget(listeners.unused(narrower))
    assert list(listeners.bound) == [f"127.0.0.1:{free_port}"]
    socket.create_connection(("127.0.0.1", free_port), timeout=5).close()
    listeners.close()
