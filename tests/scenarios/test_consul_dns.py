"""A real name server, Consul's, which leaves out of a datagram what it likes: what it says over TCP is where
requests go."""

from __future__ import annotations

import time

import pytest

from tests.cluster.real import running
from tests.scenarios.test_consul import Agent, changed
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually
from .test_consul_selection import sources

CONFIG = """
workers: 1
listeners: [{name: web, bind: "$web"}]
services:
  app: {discover: {dns: {name: app.service.consul, records: srv, servers: ["127.0.0.1:%(dns)s"]}}}
  many: {discover: {dns: {name: many.service.consul, records: a, port: 1, servers: ["127.0.0.1:%(dns)s"]}}}
routes: {"/": app, "/many": many}
"""
MANY = 30


@pytest.fixture
def consul():
    for server in running("consul"):
        agent = Agent(server)
        eventually(agent.leads, 20, "Consul has no leader")
        yield agent


def test_all_servers_of_a_name_with_their_weights(consul):
    s = Scenario(CONFIG % {"dns": consul.server.others[0]}, **{
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode())) for name in "abcd"
    })  # fmt: skip
    for number in range(MANY):
        consul.ask(
            "PUT",
            "agent/service/register",
            {"ID": f"m{number}", "Name": "many", "Address": f"10.0.0.{number}"},
        )
    for letter, weight in zip("abcd", (6, 2, 1, 1), strict=True):
        consul.register(s, letter, Weights={"Passing": weight, "Warning": 1})
    with s, Load(s) as load:
        changed(load, "abcd", "start")
        eventually(lambda: sources(s)["many"]["members"] == MANY)  # a question of its own, once a second
        load.counts.clear()
        eventually(lambda: sum(load.counts.values()) >= 200)
        assert 2.4 < load.counts["a"] / load.counts["b"] < 3.6, load.counts
        consul.ask("PUT", "agent/service/maintenance/d?enable=true")
        assert (
            changed(load, "abc", "in maintenance") <= 2.5
        )  # Consul's records expire at once: a second is the least
        before = sources(s)["many"]["updates"]
        time.sleep(2.5)  # two more answers, in an order of their own
        assert sources(s)["many"]["updates"] == before, "it is other servers each time"
        consul.server.stop()
        eventually(lambda: not sources(s)["app"]["answered"], 20, "it is not told")
        assert load.now() == {"a", "b", "c"}
        consul.server.start()
        eventually(consul.leads, 20)
        consul.ask("PUT", "agent/service/maintenance/d?enable=false")
        for letter in "abcd":  # a check of time is critical after a restart
            consul.ask("PUT", f"agent/check/pass/check-{letter}")
        changed(load, "abcd", "it answers again", within=40)
        assert not load.failed
