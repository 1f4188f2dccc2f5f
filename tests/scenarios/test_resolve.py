"""A running lb and a name server: what this says is where requests go."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Iterator

import dns.rcode
import pytest

from tests.discovery.test_dns import NameServer
from tests.scenarios.test_consul import changed
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually
from .harness.process import Lb

NAME = "app.test."
CONFIG = """
listeners: [{name: web, bind: "$web"}]
services: {app: {servers: [{address: "app.test:%s", resolve: 1s}]}}
routes: {"/": app}
"""
SRV = """
listeners: [{name: web, bind: "$web"}]
services: {app: {discover: {dns: %s}}}
routes: {"/": app}
"""
# The name server of the system, for this lb alone: a mount of its own over the file that names it.
OWN = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'

pytestmark = pytest.mark.skipif(
    not (os.geteuid() == 0 and shutil.which("unshare")) and not os.environ.get("CI"),
    reason="a mount of its own needs root and unshare",
)


@pytest.fixture
def names() -> Iterator[tuple[NameServer, str]]:
    """A name server at port 53, where the system's file has no other, and its address."""
    loop, place = asyncio.new_event_loop(), f"127.53.{os.getpid() % 250}.1"
    transport, server = loop.run_until_complete(loop.create_datagram_endpoint(NameServer, (place, 53)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server, place
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    transport.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def says(name: str) -> Origin:
    return Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))


def source(s: Scenario) -> dict:
    return json.loads(s.lb.admin("GET", "/api/v1/discovery")[1])["services"][0]


class Resolving(Scenario):
    """Its lb asks a name server of the test's own."""

    def __init__(self, place: str, config: str, **servers: Origin) -> None:
        super().__init__(config, **servers)
        self.resolv = self.directory / "resolv.conf"
        self.resolv.write_text(f"nameserver {place}\n")

    def begin(self) -> Lb:
        return Lb(self.file, self.names["admin"], ("unshare", "--mount", "sh", "-c", OWN, str(self.resolv)))


def test_every_address_of_a_name_is_a_server(names):
    server, place = names
    a = says("a")
    port = a.address.rpartition(":")[2]
    b = Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"), place=("127.0.0.2", int(port)))
    server.records[NAME, "A"] = ["127.0.0.1"]
    with Resolving(place, CONFIG % port, a=a, b=b) as s, Load(s) as load:
        changed(load, "a", "start")
        server.records[NAME, "A"] = ["127.0.0.1", "127.0.0.2"]
        changed(load, "ab", "a new address")
        server.records[NAME, "A"] = ["127.0.0.2"]
        changed(load, "b", "an address that is gone")
        server.rcode = dns.rcode.SERVFAIL
        eventually(lambda: not source(s)["answered"], because="a failure is not told")
        changed(load, "b", "what was said last stays in force")
        server.rcode = None
        server.records[NAME, "A"] = []
        eventually(lambda: source(s)["held"], because="an empty answer is believed")
        changed(load, "b", "it is held")
        server.records[NAME, "A"] = ["127.0.0.1", "127.0.0.2"]
        changed(load, "ab", "it comes back", within=20)
        assert "dns app.test" in source(s)["source"] and not load.failed


def test_services_of_dns_have_ports_weights_and_priorities(names):
    server, place = names
    origins = {name: says(name) for name in "abc"}
    ports = {name: origin.address.rpartition(":")[2] for name, origin in origins.items()}
    server.ttl = 1
    server.records["host.test.", "A"] = ["127.0.0.1"]
    name = ("_http._tcp.app.test.", "SRV")
    server.records[name] = [
        f"0 3 {ports['a']} host.test.",
        f"0 1 {ports['b']} host.test.",
        f"1 1 {ports['c']} host.test.",
    ]
    query = f'{{name: _http._tcp.app.test, records: srv, servers: ["{place}:53"]}}'
    with Scenario(SRV % query, **origins) as s, Load(s) as load:
        changed(load, "ab", "those of the first priority")
        eventually(lambda: sum(load.counts.values()) >= 200)
        counts = load.counts.copy()
        assert 2.5 <= counts["a"] / counts["b"] <= 3.5, counts
        server.records[name] = [f"0 3 {ports['b']} host.test.", f"1 1 {ports['c']} host.test."]
        changed(load, "b", "one is gone", within=10)
        server.records[name] = [f"1 1 {ports['c']} host.test."]
        changed(load, "c", "the next priority", within=10)
        assert not load.failed
