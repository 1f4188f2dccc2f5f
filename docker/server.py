"""A small server that registers itself in Consul, for docker/compose.yaml: `server.py NAME ADDRESS CONSUL`.

It answers as the servers of `lb demo` do, is there for Consul from the moment that it listens, says so again
where the agent forgot it, and takes itself out on SIGTERM. Only for demos: it is no example of a server for
production.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lb.cli.demo_server import start

SERVICE = "shop"
LOOK = 1.0  # seconds between two looks whether the agent still knows it
CHECK = "1s"
TIMEOUT = 2.0  # seconds


def ask(consul: str, method: str, path: str, body: object = None) -> None:
    """Raises OSError, of which HTTPError is one."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{consul}/v1/agent/{path}", data, method=method), timeout=TIMEOUT) as answer:  # noqa: S310
        answer.read()


def register(consul: str, name: str, host: str, port: int) -> None:
    """Unless it is there. Raises OSError."""
    try:
        ask(consul, "GET", f"service/{name}")
    except HTTPError as error:
        if error.code != 404:
            raise
        check = {
            "HTTP": f"http://{host}:{port}/", "Interval": CHECK, "Status": "passing",
            "DeregisterCriticalServiceAfter": "1m",
        }  # fmt: skip
        service = {"ID": name, "Name": SERVICE, "Address": host, "Port": port, "Check": check}
        ask(consul, "PUT", "service/register", service)
        print(f"{name} is registered at {consul} as {host}:{port}", flush=True)


async def main(name: str, address: str, consul: str) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await start(name, address)
    host, _, port = address.rpartition(":")
    if host == "0.0.0.0":  # noqa: S104
        host = socket.gethostbyname(socket.gethostname())
    while not ended.is_set():
        try:
            await asyncio.to_thread(register, consul, name, host, int(port))
        except OSError as error:
            print(f"{name} cannot be registered: {error}", flush=True)
        try:
            await asyncio.wait_for(ended.wait(), LOOK)
        except TimeoutError:
            continue
    await asyncio.to_thread(ask, consul, "PUT", f"service/deregister/{name}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
