"""Engines over TLS: what they trust, and what they show."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess

import pytest

pytest.importorskip("redis")
pytest.importorskip("kazoo")

from lb.cluster.contract import EngineError, Write
from lb.cluster.engines import connect
from lb.config.cluster import ClusterSpec
from tests.cluster.ground import LONG
from tests.cluster.real import running
from tests.cluster.wire import Wire

SECTIONS = {
    "redis": lambda port: {"url": f"rediss://127.0.0.1:{port}"},
    "etcd": lambda port: {"endpoints": f"https://127.0.0.1:{port}"},
    "consul": lambda port: {"address": f"https://127.0.0.1:{port}"},
    "zookeeper": lambda port: {"servers": f"127.0.0.1:{port}"},
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two certificates that vouch for themselves, for 127.0.0.1: good.pem and other.pem, with keys."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("good", "other"):
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/{name}.key",
             "-out", f"{folder}/{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    return folder


@pytest.mark.parametrize("kind", SECTIONS)
def test_tls(kind, certificates, tmp_path):
    for server in running(kind):
        asyncio.run(whole(kind, server, certificates, tmp_path))


async def whole(kind, server, certificates, tmp_path):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "good.pem", certificates / "good.key")
    tls.load_verify_locations(certificates / "other.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    wire = await Wire(server.port, tls).start()

    def engine(**section):
        given = {"engine": kind, "ttl": "12s", kind: {**SECTIONS[kind](wire.port), "tls": section}}
        return connect(ClusterSpec.model_validate(given), tmp_path)

    shown = {"cert": f"{certificates}/other.pem", "key": f"{certificates}/other.key"}
    good = engine(ca=f"{certificates}/good.pem", **shown)
    end = asyncio.get_running_loop().time() + 15  # Consul and ZooKeeper take a while to be ready
    while True:
        try:
            term = await good.acquire("lb-1", LONG)
            break
        except EngineError:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.1)
    await good.commit(term, [Write("a", b"1")])
    unverified = engine(verify=False, **shown)
    assert (await unverified.get("a")).value == b"1"
    for bad in (
        engine(ca=f"{certificates}/other.pem", **shown),  # trusts somebody else
        engine(**shown),  # trusts the system's
        engine(ca=f"{certificates}/good.pem"),  # shows no certificate
    ):
        with pytest.raises(EngineError) as error:
            await bad.get("a")
        assert str(error.value).startswith(kind)
        await bad.close()
    await unverified.close()
    await good.close()
    await wire.stop()
