"""The loads: what the generator does, against which site, and which figure of it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["keep-alive", "close", "idle", "websocket"]
KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Load:
    """One load. `paced_by` names the load whose saturated rates set this one's fixed rate."""

    name: str
    title: str
    path: str = "/1k"
    length: int = KIB  # bytes of every response body
    connections: int = 64
    upload: int = 0  # bytes of every request body
    kind: Kind = "keep-alive"
    routes: int = 0  # 0: one route for everything
    servers: int = 2
    least_connections: bool = False
    paced_by: str = ""


_ALL = (
    Load("keepalive-1k", "1 KiB, keep-alive, 64 connections"),
    Load("keepalive-1k-1000c", "1 KiB, keep-alive, 1,000 connections", connections=1000),
    Load("large-64k", "64 KiB, keep-alive", path="/64k", length=64 * KIB),
    Load("large-1m", "1 MiB, keep-alive", path="/1m", length=MIB),
    Load("upload-1m", "1 MiB upload", path="/upload", length=113, upload=MIB),
    Load("chunked", "16 KiB in 16 chunks", path="/chunked", length=16 * KIB),
    Load("new-connection", "1 KiB, one new connection per request", kind="close"),
    Load("idle-10000", "10,000 idle keep-alive connections", connections=10_000, kind="idle"),
    Load("routes-10", "1 KiB, 10 routes", routes=10),
    Load("routes-5000", "1 KiB, 5,000 routes", routes=5000),
    Load("servers-500", "1 KiB, 500 servers, least connections", servers=500, least_connections=True),
    Load("websocket", "WebSocket echo of 64 bytes", path="/ws", length=0, kind="websocket"),
    Load("equal-1k", "1 KiB at an equal rate, 64 connections", paced_by="keepalive-1k"),
    Load(
        "equal-1k-1000c",
        "1 KiB at an equal rate, 1,000 connections",
        connections=1000,
        paced_by="keepalive-1k-1000c",
    ),
    Load("equal-64k", "64 KiB at an equal rate", path="/64k", length=64 * KIB, paced_by="large-64k"),
)
LOADS = {load.name: load for load in _ALL}
