"""The log's way to a real syslog socket: forms, reconnection, a daemon that does not listen or read."""

import os
import re
import socket
import time

import pytest

from lb.telemetry.syslog import AGAIN, SyslogWriter, place

LOCAL = rb"<190>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d lb\[%d\]: " % os.getpid()
REMOTE = rb"<190>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]+ lb %d access - " % os.getpid()


@pytest.fixture
def lost():
    return []


@pytest.fixture
def listening():
    made = []

    def listen(family, kind, address):
        made.append(socket.socket(family, kind))
        made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made[-1].bind(address)
        if kind == socket.SOCK_STREAM:
            made[-1].listen()
        made[-1].settimeout(5)
        return made[-1]

    yield listen
    for one in made:
        one.close()


def tcp(listening, port=0):
    server = listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port))
    return server, f"syslog:tcp://127.0.0.1:{server.getsockname()[1]}"


def read(connection, writer, size):
    """At least `size` bytes, while the writer ticks."""
    got, end = b"", time.monotonic() + 5
    connection.setblocking(False)
    while len(got) < size and time.monotonic() < end:
        writer.tick()
        try:
            got += connection.recv(1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
    return got


def test_the_local_socket_gets_what_syslog3_writes(listening, tmp_path, lost):
    daemon = listening(socket.AF_UNIX, socket.SOCK_DGRAM, str(tmp_path / "log"))
    writer = SyslogWriter(f"syslog:{tmp_path}/log", lost.append)
    writer.write(b"one\ntwo\n")
    writer.tick()
    assert re.fullmatch(LOCAL + b"one", daemon.recv(9999))
    assert re.fullmatch(LOCAL + b"two", daemon.recv(9999))
    writer.close()
    assert lost == []


def test_a_local_socket_that_is_a_stream(listening, tmp_path, lost):
    daemon = listening(socket.AF_UNIX, socket.SOCK_STREAM, str(tmp_path / "log"))
    writer = SyslogWriter(f"syslog:{tmp_path}/log", lost.append)
    writer.write(b"one\ntwo\n")
    writer.close()
    got = daemon.accept()[0].recv(9999)
    assert re.fullmatch(LOCAL + b"one\n" + LOCAL + b"two\n", got)


def test_udp_gets_rfc_5424(listening, lost):
    daemon = listening(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    writer = SyslogWriter(f"syslog:udp://127.0.0.1:{daemon.getsockname()[1]}", lost.append)
    writer.write(b"one\n" + b"x" * 70_000 + b"\n" + b"two\n")
    writer.close()
    assert re.fullmatch(REMOTE + b"one", daemon.recv(9999))
    assert re.fullmatch(REMOTE + b"two", daemon.recv(9999))
    assert lost == [1]  # larger than a datagram


def test_tcp_counts_octets(listening, lost):
    daemon, path = tcp(listening)
    writer = SyslogWriter(path, lost.append)
    connection = daemon.accept()[0]
    writer.write(b"one\ntwo\n")
    writer.close(1)
    got = connection.recv(9999)
    for text in (b"one", b"two"):
        size, _, got = got.partition(b" ")
        assert re.fullmatch(REMOTE + text, got[: int(size)])
        got = got[int(size) :]
    assert got == b""


def test_tcp_that_does_not_read_never_blocks_and_lines_stay_whole(listening, lost):
    daemon, path = tcp(listening)
    writer = SyslogWriter(path, lost.append, keep=100_000)
    connection = daemon.accept()[0]
    began = time.monotonic()
    for _ in range(200):
        writer.write(b"".join(b"%d" % n * 1000 + b"\n" for n in range(10, 60)))
        writer.tick()
    assert time.monotonic() - began < 2
    dropped = sum(lost)
    assert dropped > 0
    got = read(connection, writer, (200 * 50 - dropped) * 2000)
    count = 0
    while got:
        size, _, got = got.partition(b" ")
        text = got[: int(size)].rpartition(b" - ")[2]
        assert text == text[:2] * 1000
        got, count = got[int(size) :], count + 1
    assert count == 200 * 50 - dropped
    writer.close()
    assert sum(lost) == dropped


def test_it_connects_anew_and_keeps_lines_meanwhile(listening, lost, caplog, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("lb.telemetry.syslog.time.monotonic", lambda: clock[0])
    daemon, path = tcp(listening)
    port = daemon.getsockname()[1]
    writer = SyslogWriter(path, lost.append)
    connection = daemon.accept()[0]
    connection.close()
    daemon.close()
    for _ in range(3):
        writer.write(b"kept\n")
        writer.tick()
        clock[0] += AGAIN
    assert caplog.text.count("cannot send") == 1
    daemon = listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port))
    clock[0] += AGAIN
    writer.tick()
    connection = daemon.accept()[0]
    writer.tick()
    assert connection.recv(9999).count(b"kept") == 3
    writer.close()
    assert lost == []


def test_nobody_listens_at_the_start(tmp_path, listening, lost, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("lb.telemetry.syslog.time.monotonic", lambda: clock[0])
    writer = SyslogWriter(f"syslog:{tmp_path}/log", lost.append, keep=20)
    writer.write(b"one\n")
    writer.write(b"x" * 20 + b"\n")
    assert lost == [1]
    writer.tick()
    daemon = listening(socket.AF_UNIX, socket.SOCK_DGRAM, str(tmp_path / "log"))
    clock[0] += AGAIN
    writer.tick()
    assert daemon.recv(9999).endswith(b"one")
    writer.close()


def test_what_is_left_at_the_end_is_counted(tmp_path, lost, caplog):
    writer = SyslogWriter(f"syslog:{tmp_path}/log", lost.append)
    writer.write(b"one\ntwo\n")
    writer.close()
    assert lost == [2]
    assert "2 lines were lost" in caplog.text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("syslog:/dev/log", ("unix", "/dev/log")),
        ("syslog:udp://10.0.0.1:514", ("udp", ("10.0.0.1", 514))),
        ("syslog:tcp://[::1]:601", ("tcp", ("::1", 601))),
    ],
)
def test_places(path, expected):
    assert place(path) == expected


@pytest.mark.parametrize(
    "path",
    ["syslog:", "syslog:dev/log", "syslog:udp://logs:514", "syslog:tcp://10.0.0.1", "syslog:tcp://::1:601",
     "syslog:tls://10.0.0.1:1", "syslog:udp://10.0.0.1:0", "syslog:udp://10.0.0.1:99999", "syslog:/dev/"],
)  # fmt: skip
def test_what_is_no_place(path):
    with pytest.raises(ValueError, match="expected syslog:/dev/log"):
        place(path)
