"""`lb demo`: small servers, and lb in front of them, until Ctrl-C.

Lives here: starting the servers that a configuration names, and what to tell the user. Must not live here:
what they answer (lb.cli.demo_server).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from lb.cli.run import CANNOT_BIND, OK, guarded
from lb.cli.terminal import complain, paint, say
from lb.config import Spec
from lb.control.control import Control
from lb.worker import journal

BUILT_IN = """\
listeners: ["127.0.0.1:8080"]
routes: {"/": app}
services:
  app: ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"]
"""
LOOPBACK = ("127.", "[::1]", "unix:")


def demo(config: Path | None) -> int:
    """Returns the exit code."""
    journal.start()
    life = Demo()
    if config is not None:
        return guarded(config, life.live) or life.code
    with tempfile.TemporaryDirectory(prefix="lb-demo-") as folder:
        built_in = Path(folder, "demo.yaml")
        built_in.write_text(f"{BUILT_IN}state_dir: {folder}/state\n")
        return guarded(built_in, life.live) or life.code


class Demo:
    """One demo. `code` is the exit code where the servers, not lb, were the reason."""

    def __init__(self) -> None:
        self.code = OK
        self.servers: list[Process] = []

    async def live(self, control: Control) -> None:
        """Start servers, then lb; end with lb."""
        try:
            for name, address in servers_of(control.spec):
                if not await self._start(name, address):
                    self.code = CANNOT_BIND
                    return
            running = asyncio.create_task(control.run())
            ready = asyncio.create_task(control.ready.wait())
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                welcome(control)
            ready.cancel()
            await running
        finally:
            for server in self.servers:
                with contextlib.suppress(ProcessLookupError):
                    server.kill()
                await server.wait()

    async def _start(self, name: str, address: str) -> bool:
        # Its standard input is our promise to be there: it ends when this process does, however that ends.
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "lb.cli.demo_server", name, address, stdin=PIPE, stdout=PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        )  # fmt: skip
        self.servers.append(server)
        said = (await server.stdout.readline()).decode().strip() if server.stdout is not None else ""
        if said == "listening":
            return True
        complain(f"the demo server {name} cannot listen on {address}: {said}; end what listens there")
        return False


def servers_of(spec: Spec) -> list[tuple[str, str]]:
    """Names and addresses of the servers on this machine, each address once."""
    found: dict[str, str] = {}
    for name, service in spec.services.items():
        for number, server in enumerate(service.servers, 1):
            if server.address.startswith(LOOPBACK):
                found.setdefault(server.address, f"{name}-{number}")
    return [(name, address) for address, name in found.items()]


def welcome(control: Control) -> None:
    """What runs, and three things to try."""
    url = next((url_of(bound.shown) for bound in control.listeners.bound.values()), "")
    say()
    say(f"  {paint('lb', 'bold')}       {paint(url, 'cyan')}")
    for name, address in servers_of(control.spec):
        say(f"  {name:<8} {address}")
    if control.admin is not None:
        admin = url_of(control.admin.shown)
        say(f"  admin    {paint(admin + '/', 'cyan')} is the dashboard, {paint(admin + '/metrics', 'cyan')}")
    say()
    say("  Three things to try in another terminal:")
    say(f"    curl {url}/            # again and again: the servers take turns")
    say(f"    curl {url}/headers     # what a server gets from lb")
    say(f"    curl -N {url}/events   # server-sent events, one by one")
    say()
    say(f"  Edit {control.path} and lb goes over to it. Ctrl-C ends the demo.")
    say()
    sys.stdout.flush()


def url_of(address: str) -> str:
    """An address to listen on, as a URL to ask."""
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{host}:{port}"
