"""A real lb in as much trouble as one can be in, and load that makes every metric move.

Lives here: its configuration, its servers, its load. Must not live here: Prometheus and what is asked of it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from tests.health.servers import certificate
from tests.scenarios.harness import Broken, Client, Exchange, Malformed, Origin, Scenario
from tests.scenarios.harness.origin import Behaviour

CONFIG = """
listeners:
  - {name: web, bind: "$web"}
  - {name: small, bind: "$second", limits: {max_connections: 2}}
events: {webhook: "http://$closed/"}
discovery:
  consul: {address: "https://$closed", tls: {ca: "$dir/ca.pem"}, catalog: {}}
  brake: {grace: 10m}
cluster:
  {engine: local, name: front, node: lb-1, ttl: 2s, shared_health: {by: 2}, local: {folder: "$dir/cluster"}}
routes:
  - {name: app, match: {path_prefix: /app}, service: app, mirror: {service: next}, timeout: {attempt: 2s},
     retry: {attempts: 2, on: [connect, reset, 503], hedge: 20ms, budget: 10%, budget_floor: 1}}
  - {name: flaky, match: {path_prefix: /flaky}, service: flaky}
  - {name: broken, match: {path_prefix: /broken}, service: broken}
  - {name: down, match: {path_prefix: /down}, service: down}
  - {name: found, match: {path_prefix: /found}, service: found}
  - {name: teapot, match: {path_prefix: /teapot}, respond: {status: 418}}
services:
  app: {servers: [$a, $b], sticky: lb_server, adaptive_concurrency: true}
  next: {servers: [$b]}
  flaky: {servers: [$a, $b, $closed], outlier: {consecutive_failures: 2, ejection: 5m}, panic_threshold: 90%}
  broken: {servers: [$c], breaker: {server: {min_requests: 2, open: 200ms}}}
  down: {servers: ["$closed"], health_check: {tcp: true, interval: 200ms, fall: 1}}
  found: {discover: {file: "$dir/found.json"}}
  lost: {discover: {file: "$dir/nowhere.json"}}
"""
TARGETS = ("/app", "/app/slow", "/app/503", "/flaky", "/broken", "/down", "/found", "/teapot", "/nowhere")


def serving(body: bytes, status: str = "200 OK") -> Behaviour:
    """Says so, but 503 to what ends in /503; it takes its time for /slow, and opens a tunnel where asked."""

    def behave(x: Exchange) -> None:
        x.body()
        if x.head.get("upgrade"):
            x.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            x.dropped(120)
            x.finish()
            return
        if x.target.endswith("/slow"):
            time.sleep(0.03)
        x.respond(body, "503 Service Unavailable" if x.target.endswith("/503") else status)

    return behave


class Busy(Scenario):
    """Under load from its begin to its end. `stir` makes what does not come of itself."""

    def __init__(self) -> None:
        super().__init__(
            CONFIG,
            a=Origin(serving(b"hello" * 50)),
            b=Origin(serving(b"other")),  # copies differ
            c=Origin(serving(b"", "500 Internal Server Error")),
        )
        cert, _ = certificate(self.directory, "ca")
        assert cert.name == "ca.pem"
        self._found("a", "b", "c", "not an address")
        self._over = threading.Event()
        self._load = threading.Thread(target=self._run, daemon=True)
        self._open: list[Client] = []

    def _found(self, *names: str) -> None:
        entries = [self.names.get(name, name) for name in names]
        (self.directory / "found.json").write_text(json.dumps(entries))

    def __enter__(self) -> Busy:
        super().__enter__()
        self._load.start()
        try:
            self._open = [self.client(listener="second") for _ in range(2)]
            tunnel = self.client()
            self._open.append(tunnel)
            tunnel.send_request("GET", "/found/ws", {"Connection": "upgrade", "Upgrade": "websocket"})
            said = tunnel.recv_response_head()
            assert said.status == 101, said.head.raw
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *problem: Any) -> None:
        self._over.set()
        self._load.join()
        for one in self._open:
            one.close()
        super().__exit__(*problem)

    def _run(self) -> None:
        cookie = ""
        while not self._over.wait(0.01):
            for target in TARGETS:
                try:
                    self.request("POST", target, body=b"x" * 100)
                    said = self.request("GET", target, {"Cookie": cookie} if cookie else None)
                except (Broken, Malformed, OSError):
                    continue
                cookie = (said.get("set-cookie") or cookie).partition(";")[0]
            try:
                self.client(listener="second").close()
            except OSError:
                continue

    def stir(self) -> None:
        """A reload, one that is refused, a leader that resigns, servers that a source takes away."""
        self.write(CONFIG.replace("status: 418", "status: 200"))
        assert self.lb.admin("POST", "/api/v1/reload")[0] == 200
        self.write(CONFIG.replace("service: found}", "service: fund}"))
        assert self.lb.admin("POST", "/api/v1/reload")[0] != 200
        self.lb.admin("POST", "/api/v1/cluster/resign")
        self._found("a", "not an address")
