"""Servers that behave and misbehave, on real sockets in the test's own loop; and what probes them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
from pathlib import Path

import uvloop

from lb.health.plan import AgentState, CheckPlan
from lb.health.probe import run

NOTHING = AgentState()
# An address where nobody listens, nor anybody else can: the port stays ours. From the beginning, since tests
# count the sockets that a probe leaves.
_KEPT = socket.socket()
_KEPT.bind(("127.0.0.1", 0))


def play(coroutine):
    """Run it in the kind of loop that control has."""
    return uvloop.run(asyncio.wait_for(coroutine, 20))


@contextlib.asynccontextmanager
async def serving(talk, **options):
    """A server that gives each connection to `talk(reader, writer)`; the value is its address."""

    async def accept(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def hang(reader, writer):
    """Accepts, and says nothing until the other side has gone."""
    await reader.read()


async def reset(reader, writer):
    """RST instead of an answer."""
    await reader.readuntil(b"\r\n\r\n")
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def saying(answer: bytes, keep: list[bytes] | None = None, stay: bool = False):
    """Reads a request, writes `answer`, and closes unless it is to `stay`."""

    async def talk(reader, writer):
        received = await reader.readuntil(b"\r\n\r\n")
        if keep is not None:
            keep.append(received)
        writer.write(answer)
        if stay:
            await reader.read()

    return talk


def dripping(answer: bytes, pause: float):
    """One byte at a time."""

    async def talk(reader, writer):
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


def refusing() -> str:
    """An address where nobody listens."""
    return f"127.0.0.1:{_KEPT.getsockname()[1]}"


async def probed(address, probe, timeout=5.0, before=NOTHING, service="app"):
    return await run(CheckPlan(service, address, probe, timeout=timeout), before)


def sockets() -> set[str]:
    """The sockets and pipes that this process has open."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{entry}"))
    return {name for name in found if name.startswith(("socket:", "pipe:"))}


async def gone(before):
    """Until no socket is left but those of before: also those that the server had for us."""
    for _ in range(200):
        if not sockets() - before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(sockets() - before)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for `name` and 127.0.0.2: (certificate, key)."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "1", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.2",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return cert, key
