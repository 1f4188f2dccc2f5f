"""A scenario: servers, one lb in front of them, clients."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from string import Template
from textwrap import dedent

from .client import Client, Response
from .origin import Origin
from .process import Lb, eventually, free_address

ONE_SERVICE = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: {"/": app}
"""


class Scenario:
    """`with Scenario(config, a=Origin(), b=Origin()) as s:` runs lb with that configuration.

    In the configuration `$web` is the first listener's address, `$second` that of another one, `$admin` the
    admin API's, `$dir` a folder of the test's own, `$log` a file for the access log, `$closed` an address
    where nobody listens, and `$a`, `$b` … the servers. `workers: 1`, `admin` and `access_log` are added
    when they are not given.
    """

    def __init__(self, config: str = ONE_SERVICE, *, quiet: bool = False, **servers: Origin) -> None:
        self.servers = servers or {"a": Origin()}
        self.quiet = quiet  # tracebacks and crashes in lb's output are looked for unless a test says so
        self._held = []
        self.directory = Path(tempfile.mkdtemp(prefix="lb-scenario-"))
        self.file = self.directory / "lb.yaml"
        self.log = self.directory / "access.log"
        self.names = {"dir": str(self.directory), "log": str(self.log)}
        for name in ("web", "second", "admin", "closed"):
            self.names[name], held = free_address()
            self._held.append(held)
        self.names |= {name: origin.address for name, origin in self.servers.items()}
        self.write(config)
        self.lb: Lb

    def render(self, config: str) -> str:
        text = dedent(config)
        for key, default in (
            ("workers", "workers: 1\n"),
            ("admin", 'admin: {bind: "$admin"}\n'),
            ("access_log", 'access_log: {path: "$log", format: json}\n'),
        ):
            if not any(line.startswith(key + ":") for line in text.splitlines()):
                text = default + text
        return Template(text).safe_substitute(self.names)

    def write(self, config: str) -> None:
        """Put a configuration in place, at once, as an editor or a deployment does."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.render(config))
        os.replace(fresh, self.file)

    def begin(self) -> Lb:
        return Lb(self.file, self.names["admin"])

    def __enter__(self) -> Scenario:
        try:
            self.lb = self.begin()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.lb.kill()
        self._release()
        if kind is not None:
            print(f"--- lb said:\n{self.lb.said()[-6000:]}")  # pytest shows it with the failure
            return
        for name, origin in self.servers.items():
            assert not origin.errors, f"server {name}: {origin.errors!r}"
        if not self.quiet:
            assert "Traceback" not in self.lb.said(), self.lb.said()[-6000:]
            assert "signal 11" not in self.lb.said(), f"a worker crashed:\n{self.lb.said()[-6000:]}"
        shutil.rmtree(self.directory, ignore_errors=True)  # after a failure it stays, for a look at it

    def _release(self) -> None:
        for origin in self.servers.values():
            origin.close()
        for held in self._held:
            held.close()

    # -- clients
    def __getattr__(self, name: str) -> Origin:
        try:
            return self.__dict__["servers"][name]
        except KeyError:
            raise AttributeError(name) from None

    def client(self, name: str = "example.test", listener: str = "web", receive_buffer: int = 0) -> Client:
        return Client(self.names[listener], name, receive_buffer)

    def get(
        self, target: str = "/", headers: dict[str, str] | None = None, host: str = "example.test"
    ) -> Response:
        return self.request("GET", target, headers, host=host)

    def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        host: str = "example.test",
    ) -> Response:
        """One request on a connection of its own."""
        with self.client(host) as c:
            return c.request(method, target, headers, body)

    # -- observation
    def reset(self) -> None:
        for origin in self.servers.values():
            origin.reset()

    def log_text(self) -> str:
        """Its whole lines: a write that is under way may be seen up to the end of a page."""
        text = self.log.read_text() if self.log.exists() else ""
        return text[: text.rfind("\n") + 1]

    def log_entry(self, path: str) -> dict[str, object]:
        """The access log's entry for this path (a test uses a path once)."""

        def find() -> dict[str, object] | None:
            for line in self.log_text().splitlines():
                if path in line:
                    return json.loads(line)
            return None

        found = eventually(find, within=5, because=f"no access log entry for {path}")
        assert found is not None
        return found

    def generation(self) -> int:
        return int(self.lb.status()["generation"])
