"""Three nodes of a cluster as real processes over one engine, with a document of the test's own.

Lives here: what scenarios of orders everywhere and of shared health stand on.
"""

from __future__ import annotations

import json
import subprocess
import sys

from .harness import Origin, Scenario, answer, eventually
from .harness.process import ROOT, Lb

NODES = ("one", "two", "three")
SECTIONS = {
    "local": lambda ports, folder: {"folder": str(folder)},
    "consul": lambda ports, folder: {"address": [f"http://127.0.0.1:{port}" for port in ports]},
    "etcd": lambda ports, folder: {"endpoints": [f"http://127.0.0.1:{port}" for port in ports]},
    "zookeeper": lambda ports, folder: {"servers": [f"127.0.0.1:{port}" for port in ports]},
    "redis": lambda ports, folder: {"url": f"redis://127.0.0.1:{ports[0]}"},
}


class Nodes:
    """`text`: every node's own file; "$a" … are servers that all of them share. `more`: of the section
    `cluster`."""

    def __init__(
        self, stack, kind: str, engine, text: str, servers: dict[str, Origin], more: str = ""
    ) -> None:
        self.engine = engine
        self.servers = servers
        self.all: dict[str, Scenario] = {}
        for node in NODES:
            section = json.dumps({"engine": kind, "name": "front", "node": node, "ttl": "2s",
                                  kind: SECTIONS[kind]([engine.port], "")})  # fmt: skip
            section = section[:-1] + (f", {more}}}" if more else "}")
            made = {} if self.all else servers
            own = text
            for name, server in servers.items() if self.all else ():
                own = own.replace(f"${name}", server.address)
            s = Scenario(f"{own}\ncluster: {section}\n", quiet=True, **made)
            self.all[node] = stack.enter_context(s)

    def servers_of(self, node: str) -> list[dict]:
        code, text = self.all[node].lb.admin("GET", "/api/v1/servers")
        assert code == 200, text
        return json.loads(text)["servers"]

    def shown(self, node: str, name: str) -> dict:
        code, text = self.all[node].lb.admin("GET", f"/api/v1/servers?address={self.servers[name].address}")
        assert code == 200, text
        return json.loads(text)["servers"][0]

    def words(self, name: str) -> set[str]:
        """The status of a server as the nodes see it."""
        return {self.shown(node, name)["status"] for node in NODES}

    def cluster(self, node: str) -> dict:
        return json.loads(self.all[node].lb.admin("GET", "/api/v1/cluster")[1])

    def led(self) -> None:
        eventually(lambda: any(self.cluster(node)["role"] == "leader" for node in NODES), 15, "nobody leads")

    def away(self) -> None:
        """Take the engine away, and wait until every node says so."""
        self.engine.stop()
        eventually(lambda: not any(self.cluster(node)["engine"]["reachable"] for node in NODES), 30)

    def cli(self, node: str, *words: str) -> tuple[int, str]:
        admin = f"http://{self.all[node].names['admin']}"
        command = [sys.executable, "-m", "lb", *words, "--admin", admin]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
        return ended.returncode, ended.stdout + ended.stderr

    def restart(self, node: str) -> None:
        s = self.all[node]
        s.lb.kill()
        s.lb = Lb(s.file, s.names["admin"])

    def answers(self, node: str, count: int = 12) -> set[str]:
        return {self.all[node].get().text for _ in range(count)}


def named(name: str) -> Origin:
    """A server that answers with its name."""
    return Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))
