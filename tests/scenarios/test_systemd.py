"""lb as a service of systemd, which these tests play: it passes listening sockets and is told what happens."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Client, Lb, Scenario, eventually
from .test_upgrade import CONFIG, command, control, goes_on, gone, load_on

# Becomes its arguments, with the descriptors named first as 3, 4 …, as sd_listen_fds(3) wants it.
PASS = """
import os, sys
fds = [os.dup(int(fd)) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
    os.set_inheritable(number, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd listens to what services say."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def until(told: socket.socket, wanted: str) -> None:
    while wanted not in told.recv(1000).decode().splitlines():
        pass


def listening(address: str) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    host, port = address.rsplit(":", 1)
    sock.bind((host, int(port)))
    sock.listen()
    return sock


def test_systemd_is_told_of_start_reload_upgrade_and_end(told: socket.socket) -> None:
    with Scenario(CONFIG % (1, "10s")) as s:
        until(told, "READY=1")
        s.write((CONFIG % (1, "10s")).replace("10s", "9s"))
        s.lb.signal(signal.SIGHUP)
        assert told.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        until(told, "READY=1")
        assert command("upgrade", str(s.file)).returncode == 0
        after = control(s)
        until(told, f"MAINPID={after}")
        assert s.lb.wait(15) == 0
        os.kill(after, signal.SIGTERM)
        until(told, "STOPPING=1")
        eventually(lambda: gone(after))


def test_sockets_of_systemd_are_served_and_survive_everything() -> None:
    with Scenario(CONFIG % (2, "10s")) as s:  # its lb only reserves the names
        s.lb.kill()
        s._held.pop(0).close()
        web, other = listening(s.names["web"]), listening("127.0.0.1:0")
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(f"{s.directory}/lb.sock")
        unix.listen()
        with web, other, unix, Client(s.names["web"]) as early:
            early.send_request("GET", "/early")  # before there is an lb: systemd's socket holds it
            fds = [sock.fileno() for sock in (web, other, unix)]
            start = [sys.executable, "-c", PASS, ",".join(map(str, fds))]
            s.lb = Lb(s.file, s.names["admin"], start, fds)
            assert early.recv_response().status == 200
            unknown = f"127.0.0.1:{other.getsockname()[1]}"
            assert f"no listener's address and was closed address={unknown}" in s.lb.said()
            with load_on(s) as load:
                assert command("upgrade", str(s.file)).returncode == 0
                goes_on(load)
                assert s.lb.wait(15) == 0
            os.kill(control(s), signal.SIGTERM)
            eventually(lambda: not list((s.directory / "state").glob("*.sock")), because="it does not end")
            for address in (s.names["web"], f"unix:{s.directory}/lb.sock"):
                Client(address).close()  # still there: the sockets are systemd's
