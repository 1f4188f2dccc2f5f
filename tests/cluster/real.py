"""One real server of an engine, for the suite: started on ports of its own, killed, started again.

The programs are looked for on the path, and below the folder LB_TEST_ENGINES (unpacked packages of Debian;
absent: what tests.cluster.packages fetched). Where there are none the tests are skipped by name; with CI=true
they fail.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.packages import cache

JARS = (
    "zookeeper zookeeper-jute slf4j-api slf4j-nop netty-all metrics-core snappy-java jackson-core commons-cli"
)
START = 30.0  # seconds
LEAST_PORT = 10_000  # below are those of well-known services, which a machine may have


class Server:
    """A single `kind`: etcd, consul, redis or zookeeper. Its data outlives a kill."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix=f"lb-{kind}-"))
        self.port, *self.others = _free_ports(6)
        self.command = getattr(self, f"_{kind}")()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.launch()
        self.ready()

    def launch(self) -> None:
        """Only begin: one of several is there when the others are. It ends with the thread that does this,
        however that ends: no server outlives a test run that was killed."""
        root = _unpacked()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                stdout=log, stderr=log, cwd=self.folder,
                env={**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"},
            )  # fmt: skip

    def ready(self) -> None:
        end = time.monotonic() + START
        while time.monotonic() < end and self.process is not None and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    if self.kind != "zookeeper" or _has_sessions(connection):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"{self.kind} did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        """As an operator does, in good order."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _redis(self) -> list[str]:
        return [_program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "yes", "--appendfsync", "always", "--dir", str(self.folder)]  # fmt: skip

    def _etcd(self) -> list[str]:
        ours, others = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.others[0]}"
        return [
            _program("etcd"), "--data-dir", str(self.folder / "data"), "--listen-client-urls", ours,
            "--advertise-client-urls", ours, "--listen-peer-urls", others,
            "--initial-advertise-peer-urls", others, "--initial-cluster", f"default={others}",
        ]  # fmt: skip

    def _consul(self) -> list[str]:
        dns, lan, wan, server = (str(port) for port in self.others[:4])
        return [
            _program("consul"), "agent", "-server", "-bootstrap-expect=1", "-data-dir",
            str(self.folder / "data"), "-bind=127.0.0.1", "-client=127.0.0.1",
            "-http-port", str(self.port), "-dns-port", dns,
            "-serf-lan-port", lan, "-serf-wan-port", wan, "-server-port", server, "-grpc-port=-1",
            "-hcl", "performance { raft_multiplier = 1 }",
        ]  # fmt: skip

    def _zookeeper(self) -> list[str]:
        folder = _found("usr/share/java/zookeeper.jar").parent
        configuration = self.folder / "zoo.cfg"
        configuration.write_text(
            f"tickTime=500\ndataDir={self.folder}/data\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n"
        )
        return [
            _program("java"), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dzookeeper.jmx.log4j.disable=true", "-cp",
            ":".join(f"{folder}/{jar}.jar" for jar in JARS.split()),
            "org.apache.zookeeper.server.ZooKeeperServerMain", str(configuration),
        ]  # fmt: skip


class Guarded(Server):
    """A Consul that asks for tokens: "root" may do all, nobody else anything."""

    def _consul(self) -> list[str]:
        tokens = 'acl { enabled = true, default_policy = "deny", tokens { master = "root", agent = "root" } }'
        return [*super()._consul(), "-hcl", tokens]


def running(kind: str, made: Callable[[str], Server] = Server) -> Iterator[Server]:
    """For a fixture: a server that is ended with the module."""
    try:
        server = made(kind)
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{kind}: {missing}")
    try:
        yield server
    finally:
        server.close()


def _has_sessions(connection: socket.socket) -> bool:
    """Whether ZooKeeper makes a session, which is what clients ask first: a Java machine that has just begun
    listens before it does, and takes seconds for the first one on a busy machine."""
    connection.settimeout(5)
    asks = struct.pack(">iqiqi16s", 0, 0, 2000, 0, 16, b"")  # version, zxid, timeout, no session, no password
    connection.sendall(struct.pack(">i", len(asks)) + asks)
    return len(connection.recv(4)) == 4


def _unpacked() -> Path:
    return Path(os.environ.get("LB_TEST_ENGINES") or cache())


def _found(path: str) -> Path:
    for root in (_unpacked(), Path("/")):
        if (found := Path(root, path)).exists():
            return found
    raise FileNotFoundError(f"there is no {path} (python -m tests.cluster.packages)")


def _program(name: str) -> str:
    return shutil.which(name) or str(_found(f"usr/bin/{name}"))


def _free_ports(count: int) -> list[int]:
    """Of those that the kernel gives to nobody who takes any: until the server listens, and while it is down,
    another process would get one of the others, for a connection or a server of its own."""
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    sockets: list[socket.socket] = []
    while len(sockets) < count:
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", secrets.choice(range(LEAST_PORT, given)) if given > LEAST_PORT else 0))
        except OSError:
            one.close()
        else:
            sockets.append(one)
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
