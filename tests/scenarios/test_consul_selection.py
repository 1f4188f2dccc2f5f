"""What is chosen of a real Consul: tags, filters and prepared queries, weights by status, zones; bursts, and
who comes and goes."""

from __future__ import annotations

import json

import pytest

from tests.cluster.real import running
from tests.scenarios.test_consul import Agent, changed
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually

CONFIG = """
workers: 1
listeners: [{name: web, bind: "$web"}]
services:
  app: {discover: {consul: {service: app, tags: [v2], filter: 'Service.Meta.canary != "yes"'}}}
  asked: {discover: {consul: {prepared_query: of-app}}}
discovery:
  consul: {address: ["http://127.0.0.1:%d"], stale: true, max_stale: 5s}
  brake: {share: 100%%, grace: 0}
routes: {"/": app, "/asked": asked}
"""


@pytest.fixture(scope="module")
def agent():
    for server in running("consul"):
        found = Agent(server)
        eventually(found.leads, 20, "Consul has no leader")
        yield found


@pytest.fixture
def consul(agent):
    agent.ask("PUT", "agent/service/register", {"Name": "keep"})
    yield agent
    for letter in agent.ask("GET", "agent/services"):
        agent.ask("PUT", f"agent/service/deregister/{letter}")


def scenario(consul):
    return Scenario(CONFIG % consul.server.port, **{
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode())) for name in "abcd"
    })  # fmt: skip


def sources(s):
    return {one["service"]: one for one in json.loads(s.lb.admin("GET", "/api/v1/discovery")[1])["services"]}


def discovered(s, letter):
    _, text = s.lb.admin("GET", f"/api/v1/servers?service=app&address={s.names[letter]}")
    return json.loads(text)["servers"][0]["layers"]["discovery"]


def test_tags_filters_and_queries_weights_and_zones(consul):
    s = scenario(consul)
    consul.ask("POST", "query", {"Name": "of-app", "Service": {"Service": "app", "Tags": ["v1"]}})
    consul.register(s, "a", Tags=["v2"], Meta={"zone": "north"}, Weights={"Passing": 9, "Warning": 1})
    consul.register(s, "b", Tags=["v2", "x"], Weights={"Passing": 3, "Warning": 1})
    consul.register(s, "c", Tags=["v1"])
    consul.register(s, "d", Tags=["v2"], Meta={"canary": "yes"})
    with s, Load(s) as load:
        changed(load, "ab", "tags and filter")
        eventually(lambda: s.get("/asked").body == b"c", 5, "the prepared query")
        assert sources(s)["asked"]["source"] == "consul prepared query of-app"
        assert discovered(s, "a")["zone"] == "north"
        load.counts.clear()
        eventually(lambda: sum(load.counts.values()) >= 120)
        assert 2.4 < load.counts["a"] / load.counts["b"] < 3.6, load.counts
        consul.ask("PUT", "agent/check/warn/check-a")
        eventually(lambda: discovered(s, "a")["weight"] == 1, 5)

        def shared() -> bool:  # the workers have the weight a moment after control
            load.counts.clear()
            eventually(lambda: sum(load.counts.values()) >= 120)
            return 2.4 < load.counts["b"] / load.counts["a"] < 3.6

        eventually(shared, 5, "one in warning has not the weight for it")
        assert s.lb.metric(r'lb_discovery_age_seconds\{service="app"') == 0
        assert not load.failed


def test_a_burst_is_a_few_generations_and_who_comes_and_goes_is_kept_out(consul):
    s = scenario(consul)
    consul.register(s, "a", Tags=["v2"])
    with s, Load(s) as load:
        changed(load, "a", "start")
        before = s.generation()
        host = s.names["b"].rsplit(":", 1)[0]
        for number in range(40):
            consul.ask("PUT", "agent/service/register", {
                "ID": f"n{number}", "Name": "app", "Address": host, "Port": 20_000 + number, "Tags": ["v2"],
                "Weights": {"Passing": 1, "Warning": 1}, "Check": {"TTL": "600s", "Status": "critical"},
            })  # fmt: skip
        eventually(lambda: sources(s)["app"]["members"] == 41, 10)
        assert s.generation() - before <= 10, "40 changes"
        for _ in range(3):
            consul.register(s, "b", Tags=["v2"])
            changed(load, "ab", "it comes", within=10)
            consul.ask("PUT", "agent/service/deregister/b")
            changed(load, "a", "it goes", within=10)
        consul.register(s, "b", Tags=["v2"])
        eventually(lambda: s.names["b"] in sources(s)["app"]["kept_out"], 10)
        assert not load.failed
