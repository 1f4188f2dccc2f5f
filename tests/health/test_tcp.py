"""The TCP probe, and TLS for it and for HTTP: whose certificate is believed."""

from __future__ import annotations

import asyncio
import os
import ssl

import pytest

from lb.health.plan import HttpProbe, TcpProbe, TlsSettings
from tests.health.servers import certificate, gone, hang, play, probed, refusing, saying, serving, sockets


def server_side(cert, key):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    return made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("app.example", "other.example")}


@pytest.fixture(scope="module")
def secure(certificates):
    return server_side(*certificates["app.example"])


def test_who_accepts_is_up():
    async def test():
        async with serving(hang) as address:
            before = sockets()
            assert await probed(address, TcpProbe()) == (True, "connected", None)
            await gone(before)
        assert await probed(refusing(), TcpProbe()) == (False, "connection refused", None)

    play(test())


def test_the_right_certificate(certificates, secure):
    async def test():
        ca = str(certificates["app.example"][0])
        async with serving(hang, ssl=secure) as address:
            for tls in (
                TlsSettings(server_name="app.example", ca=ca),
                TlsSettings(verify=False),
            ):
                assert await probed(address, TcpProbe(tls=tls)) == (True, "connected, TLS agreed", None)

    play(test())


def test_a_certificate_of_somebody_else(certificates, secure):
    async def test():
        app, other = (str(certificates[name][0]) for name in ("app.example", "other.example"))
        async with serving(hang, ssl=secure) as address:
            wrong = {
                TlsSettings(server_name="other.example", ca=app): "TLS: Hostname mismatch",
                TlsSettings(ca=app): "TLS: IP address mismatch",
                TlsSettings(server_name="app.example", ca=other): "TLS: self-signed certificate",
                TlsSettings(server_name="app.example"): "TLS: self-signed certificate",
                TlsSettings(ca="/nowhere/ca.pem"): "no such file or directory: /nowhere/ca.pem",
            }
            for tls, why in wrong.items():
                before = sockets()
                outcome = await probed(address, TcpProbe(tls=tls))
                assert not outcome.ok
                assert outcome.why.startswith(why)
                await gone(before)

    play(test())


def test_a_new_file_of_certificates_is_read(certificates, secure, tmp_path):
    async def test():
        ca = tmp_path / "ca.pem"
        probe = TcpProbe(tls=TlsSettings(server_name="app.example", ca=str(ca)))
        async with serving(hang, ssl=secure) as address:
            ca.write_bytes(certificates["other.example"][0].read_bytes())
            os.utime(ca, (0, 0))
            assert not (await probed(address, probe)).ok
            new = tmp_path / "new.pem"
            new.write_bytes(certificates["app.example"][0].read_bytes())
            os.utime(new, (0, 0))  # `cp -p`, some layers of images, or the same tick of the file's clock
            new.replace(ca)
            assert (await probed(address, probe)).ok

    play(test())


def test_a_server_without_tls_and_one_that_hangs_in_the_handshake():
    async def test():
        tls = TlsSettings(verify=False)
        async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
            assert not (await probed(address, TcpProbe(tls=tls), timeout=0.3)).ok
        async with serving(hang) as address:
            before = sockets()
            outcome = await probed(address, TcpProbe(tls=tls), timeout=0.2)
            assert outcome == (False, "no TLS connection within 0.2s", None)
            await gone(before)

    play(test())


def test_http_over_tls(secure):
    async def test():
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        probe = HttpProbe("/", body="ok", tls=TlsSettings(verify=False))
        async with serving(saying(answer), ssl=secure) as address:
            before = sockets()
            assert await probed(address, probe) == (True, "HTTP 200", None)
            await gone(before)
            plain = await probed(address, HttpProbe("/"))
            assert not plain.ok

    play(test())


def test_tls_on_a_unix_socket_has_to_be_told_the_name(certificates, secure, tmp_path):
    async def test():
        path = str(tmp_path / "app.sock")
        server = await asyncio.start_unix_server(hang, path, ssl=secure)
        ca = str(certificates["app.example"][0])
        named = TcpProbe(tls=TlsSettings(server_name="app.example", ca=ca))
        assert (await probed(f"unix:{path}", named)).ok
        unnamed = await probed(f"unix:{path}", TcpProbe(tls=TlsSettings(ca=ca)))
        assert "server_name" in unnamed.why
        assert (await probed(f"unix:{path}", TcpProbe(tls=TlsSettings(verify=False)))).ok
        server.close()

    play(test())
