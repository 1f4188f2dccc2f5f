"""More services of a real Consul than there are places to watch them, under load that counts: what Consul says is
traffic of all of them within a second."""

from __future__ import annotations

import pytest

from tests.cluster.real import running
from tests.scenarios.test_consul import SOON, Agent, changed
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually

CONFIG = """
workers: 1
listeners: [{name: web, bind: "$web"}]
services:
  s1: {discover: {consul: {service: app}}}
  s2: {discover: {consul: {service: app}}}
  s3: {discover: {consul: {service: app}}}
  s4: {discover: {consul: {service: app}}}
  s5: {discover: {consul: {service: app}}}
  s6: {discover: {consul: {service: app}}}
discovery:
  consul: {address: ["http://127.0.0.1:%d"], max_watches: 2}
  brake: {grace: 120s, share: 90%%}
routes:
  - name: all
    match: {path_prefix: /}
    split:
      - {service: s1, weight: 1}
      - {service: s2, weight: 1}
      - {service: s3, weight: 1}
      - {service: s4, weight: 1}
      - {service: s5, weight: 1}
      - {service: s6, weight: 1}
"""


@pytest.fixture
def consul():
    for server in running("consul"):
        agent = Agent(server)
        eventually(agent.leads, 20, "Consul has no leader")
        yield agent


def test_services_that_are_polled_change_within_a_second(consul):
    s = Scenario(CONFIG % consul.server.port, **{
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))
        for name in "abc"
    })  # fmt: skip
    for letter in "ab":
        consul.register(s, letter)
    with s, Load(s) as load:
        changed(load, "ab", "start")
        for order, letters, because in (
            (lambda: consul.register(s, "c"), "abc", "registered"),
            (lambda: consul.ask("PUT", "agent/service/deregister/c"), "ab", "deregistered"),
            (lambda: consul.register(s, "c", Check=None), "abc", "registered, without a check"),
            (lambda: consul.ask("PUT", "agent/service/deregister/c"), "ab", "deregistered"),
            (lambda: consul.ask("PUT", "agent/service/maintenance/a?enable=true"), "b", "in maintenance"),
            (lambda: consul.ask("PUT", "agent/service/maintenance/a?enable=false"), "ab", "back"),
            (lambda: consul.ask("PUT", "agent/check/fail/check-b"), "a", "critical"),
            (lambda: consul.ask("PUT", "agent/check/pass/check-b"), "ab", "passing"),
        ):
            order()
            assert changed(load, letters, because) <= SOON, because
        assert not load.failed
