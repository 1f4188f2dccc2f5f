"""The gRPC probe: against a server of grpcio where that is installed; without it, what it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import pytest

from lb.health import grpc as probing
from lb.health.plan import CommandProbe, GrpcProbe, HttpProbe, TlsSettings
from lb.health.probe import lacking
from tests.health.servers import certificate, hang, play, probed, refusing, serving


def answer(status: int) -> bytes:
    return bytes([8, status]) if status else b""


def installed():
    """grpcio as the probe loads it, or the test is skipped."""
    try:
        return probing._library()
    except probing.MissingPackageError:
        pytest.skip("grpcio is not installed")


@contextlib.asynccontextmanager
async def health_service(statuses, credentials=None):
    """A server that knows the services of `statuses`: name → what it answers."""
    library = installed()

    async def check(request, context):
        name = request[2:].decode()
        if name not in statuses:
            await context.abort(library.StatusCode.NOT_FOUND, "unknown")
        return statuses[name]

    methods = {"Check": library.unary_unary_rpc_method_handler(check)}
    server = library.aio.server()
    if statuses is not None:
        service = library.method_handlers_generic_handler("grpc.health.v1.Health", methods)
        server.add_generic_rpc_handlers((service,))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


CASES = [
    ("", answer(1), True, "SERVING"),
    ("app", answer(1), True, "SERVING"),
    ("a" * 120, answer(1), True, "SERVING"),
    ("app", answer(2), False, "NOT_SERVING, expected SERVING"),
    ("app", answer(0), False, "UNKNOWN, expected SERVING"),
    ("app", answer(3), False, "SERVICE_UNKNOWN, expected SERVING"),
    ("app", b"\xff\xff\xff", False, "an unknown status, expected SERVING"),
]


@pytest.mark.parametrize(("service", "said", "ok", "why"), CASES)
def test_what_the_health_service_says(service, said, ok, why):
    async def test():
        async with health_service({service: said}) as address:
            assert await probed(address, GrpcProbe(service)) == (ok, why, None)

    play(test())


def test_who_cannot_say():
    async def test():
        async with health_service({"": answer(1)}) as address:
            unknown = await probed(address, GrpcProbe("app"))
            assert unknown == (False, "the server does not know the service 'app'", None)
        async with health_service(None) as address:
            none = await probed(address, GrpcProbe())
            assert none == (False, "the server has no health service (grpc.health.v1)", None)
        refused = await probed(refusing(), GrpcProbe())
        assert not refused.ok and "refused" in refused.why
        async with serving(hang) as address:
            assert not (await probed(address, GrpcProbe(), timeout=0.3)).ok

    installed()
    play(test())


def test_over_tls(tmp_path):
    grpc = installed()
    cert, key = certificate(tmp_path, "app.example")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])

    async def test():
        async with health_service({"": answer(1)}, credentials) as address:
            tls = TlsSettings("app.example", str(cert))
            assert (await probed(address, GrpcProbe(tls=tls))).ok
            assert not (await probed(address, GrpcProbe(tls=TlsSettings(ca=str(cert))))).ok
            ca, new, other = tmp_path / "ca.pem", tmp_path / "new.pem", tmp_path / "other"
            other.mkdir()
            ca.write_bytes(certificate(other, "app.example")[0].read_bytes())
            new.write_bytes(cert.read_bytes())
            for one in (ca, new):
                os.utime(one, (0, 0))  # as in test_tcp
            tls = TlsSettings("app.example", str(ca))
            assert not (await probed(address, GrpcProbe(tls=tls))).ok
            new.replace(ca)
            assert (await probed(address, GrpcProbe(tls=tls))).ok
        assert "verify: false" in lacking(GrpcProbe(tls=TlsSettings(verify=False)))

    play(test())


def test_children_started_beside_it_do_not_crash():
    async def test():
        async with health_service({"": answer(1)}) as address:

            async def repeated(probe):
                return [await probed(address, probe) for _ in range(30)]

            kinds = (GrpcProbe(), CommandProbe(("/bin/true",)))
            calls, commands = await asyncio.gather(*map(repeated, kinds))
        assert [outcome.why for outcome in [*calls, *commands] if not outcome.ok] == []

    play(test())


def test_without_the_package_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    probing._library.cache_clear()
    try:
        assert "pip install 'lb[grpc]'" in lacking(GrpcProbe())
        assert lacking(HttpProbe("/")) is None
        outcome = asyncio.run(probed("127.0.0.1:1", GrpcProbe()))
        assert not outcome.ok and "pip install 'lb[grpc]'" in outcome.why
    finally:
        probing._library.cache_clear()


@pytest.mark.parametrize(
    ("address", "port", "grpc"),
    [("a:1", None, "a:1"), ("[::1]:1", 2, "ipv6:[::1]:2"), ("unix:/run/x", None, "unix:/run/x")],
)
def test_addresses_as_grpc_writes_them(address, port, grpc):
    assert probing._address(address, port) == grpc


def test_the_package_is_loaded_only_when_asked_for():
    import subprocess

    script = "import sys, lb.health.probe; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=30, check=False).returncode == 0
