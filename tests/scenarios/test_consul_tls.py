"""A real Consul over TLS that asks for a certificate: two agents to fail over between, and a second datacentre."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.cluster.real import Server
from tests.cluster.test_tls import certificates  # noqa: F401 - a fixture
from tests.scenarios.test_consul import Agent, changed
from tests.scenarios.test_discovery import Load, sources

from .harness import Origin, Scenario, answer, eventually

CONFIG = """
workers: 1
listeners: [{name: web, bind: "$web"}]
services:
  app: {discover: {consul: {service: app}}}
  far: {discover: {consul: {service: app, datacenter: dc2}}}
  enterprise: {discover: {consul: {service: app, namespace: shop}}}
discovery:
  consul:
    address: ["https://127.0.0.1:%(agent)d", "https://127.0.0.1:%(server)d"]
    tls: {ca: %(folder)s/good.pem, cert: %(folder)s/%(shown)s.pem, key: %(folder)s/%(shown)s.key}
    wait: 5s
routes: {"/": app, "/far": far, "/enterprise": enterprise}
"""


class Secure(Server):
    """A server of `datacenter`, or the agent beside `server`, or what `far` is joined to over the wide area."""

    def __init__(self, folder, datacenter, server=None, far=None):
        self.certificates, self.datacenter, self.server, self.far = folder, datacenter, server, far
        super().__init__("consul")

    @property
    def secure(self):
        return self.others[4]

    def _consul(self):
        words = super()._consul()
        if self.server is not None:
            words = [word for word in words if word not in ("-server", "-bootstrap-expect=1")]
            words += ["-retry-join", f"127.0.0.1:{self.server.others[1]}", "-retry-interval", "500ms"]
        if self.far is not None:
            words += ["-retry-join-wan", f"127.0.0.1:{self.far.others[2]}", "-retry-interval-wan", "500ms"]
        shown = f'cert_file = "{self.certificates}/good.pem"\nkey_file = "{self.certificates}/good.key"'
        return [*words, "-node", f"lb-test-{self.secure}", "-datacenter", self.datacenter, "-hcl",
                f'ports {{ https = {self.secure} }}\n{shown}\nca_file = "{self.certificates}/other.pem"\n'
                "verify_incoming_https = true"]  # fmt: skip


@pytest.fixture
def consuls(certificates):  # noqa: F811
    """The server of the first datacentre, the agent beside it, and the server of the second."""
    started = []
    try:
        near = Secure(certificates, "dc1")
        started.append(near)
        started.append(Secure(certificates, "dc1", server=near))
        started.append(Secure(certificates, "dc2", far=near))
        for one in started:
            eventually(Agent(one).leads, 30, "Consul has no leader")
        eventually(lambda: len(Agent(near).ask("GET", "catalog/datacenters")) == 2, 30, "the two do not meet")
        yield started
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"consul: {missing}")
    finally:
        for one in started:
            one.close()


def test_over_tls_with_a_certificate_from_two_agents_and_two_datacentres(consuls, certificates):  # noqa: F811
    server, agent, far = consuls
    origins = {
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))
        for name in "abcz"
    }

    def config(shown):
        return CONFIG % {
            "agent": agent.secure, "server": server.secure, "folder": certificates, "shown": shown
        }  # fmt: skip

    s = Scenario(config("other"), **origins)
    Agent(agent).register(s, "a")
    Agent(server).register(s, "b")
    Agent(far).register(s, "z")
    with s, Load(s) as load:
        changed(load, "ab", "start", within=20)
        with s.client() as c:
            eventually(lambda: c.get("/far").body == b"z", 10, "the other datacentre is not asked")
        # only Consul Enterprise has namespaces: what the server says of it is told
        told = {one["service"]: one for one in _all(s)}["enterprise"]
        assert not told["answered"] and "400" in told["error"] and "namespace" in told["error"].lower(), told
        agent.stop()  # its instance goes with it, as Consul finds out: the other agent says so
        Agent(server).register(s, "c")
        eventually(lambda: "c" in load.now(), 20, "the second agent is not asked")
        assert not load.failed and sources(s)["answered"]
        # a certificate that Consul does not know: what was known stays, and the reason is told
        s.write(config("good"))
        s.lb.signal(signal.SIGHUP)
        eventually(lambda: not sources(s)["answered"], 20, "the refusal is not told")
        assert load.now() >= {"b", "c"} and not load.failed


def _all(s):
    return json.loads(s.lb.admin("GET", "/api/v1/discovery")[1])["services"]
