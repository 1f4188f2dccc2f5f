"""The gRPC probe: grpc.health.v1.Health/Check, with the package grpcio, which lb does not bring along.

Lives here: the call, its two tiny messages (written out, so that no generated code is needed). The package
is loaded by the first such probe, or by `lacking`.
"""

from __future__ import annotations

import importlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from lb.health.attempt import Attempt, Outcome
from lb.health.connect import PlaceError, place, stamp
from lb.health.plan import GrpcProbe, TlsSettings

METHOD = "/grpc.health.v1.Health/Check"
STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
SERVING = 1

# Connections of its own for every probe, and straight to the server.
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
]
_SHOWN = 200


class MissingPackageError(ValueError):
    """grpcio is not installed; the text says what to do."""


def lacking(settings: GrpcProbe) -> str | None:
    """Why such a probe cannot run here, None where it can."""
    try:
        _library()
    except MissingPackageError as error:
        return str(error)
    if settings.tls is not None and not settings.tls.verify:
        return "grpcio cannot leave a certificate unchecked: give tls: {ca: …} in place of verify: false"
    return None


async def probe(attempt: Attempt, settings: GrpcProbe) -> Outcome:
    """Raises MissingPackageError, PlaceError, and OSError where `ca` cannot be read."""
    if problem := lacking(settings):
        raise MissingPackageError(problem)
    grpc = _library()
    attempt.awaits = "answer"
    async with _channel(grpc, _address(attempt.plan.address, settings.port), settings.tls) as channel:
        check = channel.unary_unary(METHOD, request_serializer=None, response_deserializer=None)
        try:
            answer = await check(_question(settings.service))
        except grpc.aio.AioRpcError as error:
            return Outcome(False, _refusal(grpc, error, settings.service))
    status = _status(answer)
    if status == SERVING:
        return Outcome(True, "SERVING")
    return Outcome(False, f"{STATUS.get(status, 'an unknown status')}, expected SERVING")


@lru_cache(maxsize=1)
def _library() -> Any:
    # Its fork hooks crash children that uvloop starts while a call is under way: workers and commands alike.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    try:
        importlib.import_module("grpc.aio")
        return importlib.import_module("grpc")
    except ImportError:
        raise MissingPackageError(
            "a gRPC check needs the package grpcio: pip install 'lb[grpc]', or check with http or tcp"
        ) from None


def _address(address: str, port: int | None) -> str:
    """As grpc writes addresses."""
    where = place(address, port)
    if isinstance(where, str):
        return f"unix:{where}"
    host, number = where
    return f"ipv6:[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _channel(grpc: Any, address: str, tls: TlsSettings | None) -> Any:
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    options = list(_OPTIONS)
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    elif address.startswith("unix:"):
        raise PlaceError("TLS on a Unix socket needs tls: {server_name: …} to know whom to expect")
    roots = None if tls.ca is None else _roots(tls.ca, stamp(tls.ca))
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots), options=options)


@lru_cache(maxsize=64)
def _roots(ca: str, _stamp: tuple[int, int, int]) -> bytes:
    return Path(ca).read_bytes()


def _question(service: str) -> bytes:
    """HealthCheckRequest: field 1, text."""
    name = service.encode()
    return b"" if not name else b"\x0a" + _varint(len(name)) + name


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _status(answer: bytes) -> int:
    """HealthCheckResponse: field 1, a small number; left out where it is 0. -1 for anything else."""
    if not answer:
        return 0
    return answer[1] if len(answer) == 2 and answer[0] == 0x08 and answer[1] < 0x80 else -1


def _refusal(grpc: Any, error: Any, service: str) -> str:
    code = error.code()
    if code is grpc.StatusCode.NOT_FOUND:
        return f"the server does not know the service {service!r}"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "the server has no health service (grpc.health.v1)"
    return f"gRPC {code.name}: {error.details()}"[:_SHOWN]
