"""Three real servers of an engine that elect a leader among themselves, and which of them leads."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.request import urlopen

from tests.cluster.real import Server, _free_ports

COUNT = 3


class Voter(Server):
    """One of the servers; started by Several."""

    def __init__(self, kind: str, number: int, all_ports: list[list[int]]) -> None:
        self.kind, self.number, self.all_ports = kind, number, all_ports
        self.folder = Path(tempfile.mkdtemp(prefix=f"lb-{kind}-{number}-"))
        self.port, *self.others = all_ports[number]
        self.process = None
        self.command = getattr(self, f"_{kind}")()

    def _etcd(self) -> list[str]:
        own = f"http://127.0.0.1:{self.others[0]}"
        peers = ",".join(f"m{at}=http://127.0.0.1:{ports[1]}" for at, ports in enumerate(self.all_ports))
        single = super()._etcd()
        return [
            *single[: single.index("--initial-advertise-peer-urls")], "--initial-advertise-peer-urls", own,
            "--initial-cluster", peers, "--name", f"m{self.number}", "--heartbeat-interval", "50",
            "--election-timeout", "500",
        ]  # fmt: skip

    def _consul(self) -> list[str]:
        single = [word for word in super()._consul() if word != "-bootstrap-expect=1"]
        joins = [word for ports in self.all_ports for word in ("-retry-join", f"127.0.0.1:{ports[2]}")]
        more = ["-bootstrap-expect=3", "-retry-interval", "500ms", "-node", f"lb-{self.number}"]
        return [*single, *more, *joins]

    def _zookeeper(self) -> list[str]:
        command = super()._zookeeper()
        configuration = Path(command[-1])
        peers = "".join(
            f"server.{at + 1}=127.0.0.1:{ports[1]}:{ports[2]}\n" for at, ports in enumerate(self.all_ports)
        )
        with configuration.open("a") as file:
            file.write(f"initLimit=10\nsyncLimit=4\n4lw.commands.whitelist=srvr\n{peers}")
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "data" / "myid").write_text(f"{self.number + 1}\n")
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return [main if word.endswith("ZooKeeperServerMain") else word for word in command]

    def leads(self) -> bool:
        """Whether it says so; False where it does not answer."""
        try:
            return bool(getattr(self, f"_{self.kind}_leads")())
        except OSError:
            return False

    def _etcd_leads(self) -> bool:
        with urlopen(f"http://127.0.0.1:{self.port}/v3/maintenance/status", b"{}", timeout=1) as said:
            found = json.load(said)
        return found.get("leader", 0) == found["header"]["member_id"]

    def _consul_leads(self) -> bool:
        with urlopen(f"http://127.0.0.1:{self.port}/v1/status/leader", timeout=1) as said:
            return json.load(said) == f"127.0.0.1:{self.others[3]}"

    def _zookeeper_leads(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"srvr")
            said = b""
            while piece := connection.recv(4096):
                said += piece
        return b"Mode: leader" in said


class Several:
    """All of them, started together."""

    def __init__(self, kind: str) -> None:
        ports = _free_ports(6 * COUNT)
        all_ports = [ports[at : at + 6] for at in range(0, len(ports), 6)]
        self.servers = [Voter(kind, number, all_ports) for number in range(COUNT)]
        try:
            for server in self.servers:
                server.launch()
            for server in self.servers:
                server.ready()
        except BaseException:
            self.close()
            raise

    def leader(self) -> Voter | None:
        return next((server for server in self.servers if server.leads()), None)

    def close(self) -> None:
        for server in self.servers:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
