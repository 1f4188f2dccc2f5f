"""Routes out of the tags of a real Consul, under load that counts: they come, change and go with their
services, and what Consul cannot say takes none away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.cluster.real import running
from tests.scenarios.test_consul import READ, SOON, Agent, Guarded, changed
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually
from .harness.process import ROOT
from .test_overrides import restart

CONFIG = """
workers: 1
listeners: [{name: web, bind: "$web"}]
services: {own: ["$c"]}
routes: [{name: own, match: {path_prefix: /own}, service: own}]
discovery:
  consul: {address: ["http://127.0.0.1:%d"], catalog: {tags: [public]}}
  brake: {grace: %s}
"""


@pytest.fixture(scope="module")
def agent():
    for server in running("consul"):
        found = Agent(server)
        eventually(found.leads, 20, "Consul has no leader")
        yield found


@pytest.fixture
def consul(agent):
    yield agent
    for letter in agent.ask("GET", "agent/services"):
        agent.ask("PUT", f"agent/service/deregister/{letter}")


def scenario(consul, grace="120s"):
    return Scenario(CONFIG % (consul.server.port, grace), **{
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode())) for name in "abc"
    })  # fmt: skip


def put(consul, s, letter, *tags, name="app"):
    consul.register(s, letter, Name=name, Tags=["public", *(f"lb.{tag}" for tag in tags)])


def catalog(s):
    return json.loads(s.lb.admin("GET", "/api/v1/discovery")[1])["catalog"]


def routes(s):
    return [made["route"] for made in catalog(s)["routes"]]


def status(s, path, host="lb.test"):
    got = s.get(path, host=host)
    return got.body.decode() if got.status == 200 else got.status


def command(s, *words):
    return subprocess.run(
        [sys.executable, "-m", "lb", *words, "--admin", f"http://{s.lb.admin_address}"],
        capture_output=True, text=True, cwd=ROOT, timeout=30, check=False,
    )  # fmt: skip


def test_tags_are_routes_within_a_second(consul):
    s = scenario(consul)
    put(consul, s, "a", "route=/")
    with s, Load(s) as load:
        changed(load, "a", "there at the start")
        consul.register(s, "c", Tags=["public"])  # it asks for nothing, and gets nothing
        put(consul, s, "b", "route=/")
        assert changed(load, "ab", "another instance") <= SOON
        consul.ask("PUT", "agent/service/deregister/b")
        assert changed(load, "a", "it goes") <= SOON
        put(consul, s, "b", "route=shop.test/x strip=/x", name="shop")
        eventually(lambda: status(s, "/x", "shop.test") == "b", SOON, "a new service")
        assert status(s, "/x", "shop.test") == "b"
        assert s.b.last().head.start.startswith(b"GET / ")
        put(consul, s, "b", "route=/own", "rotue=/", "route=nonsense", "route=shop.test/x", name="shop")
        eventually(lambda: len(catalog(s)["unusable"]) == 3, 5)
        assert [bad["reason"] for bad in catalog(s)["unusable"] if "/own" in bad["entry"]] == [
            'the route "own" of the file has this host and path'
        ]
        assert (status(s, "/own"), status(s, "/x", "shop.test")) == ("c", "b"), "one bad tag hurts no other"
        assert s.lb.metric("lb_catalog_routes") == 2 and s.lb.metric("lb_catalog_unusable") == 3
        said = command(s, "discovery", "list").stdout
        assert "route consul:shop:shop.test/x: service shop, tag lb.route=shop.test/x" in said
        assert "set aside: shop: lb.rotue=/: lb does not know this tag" in said
        explained = command(s, "explain", "GET", "http://shop.test/x/y").stdout
        assert "consul:shop:shop.test/x" in explained and "Consul, service shop, tag lb.route=" in explained
        assert not load.failed


def test_a_route_outlives_its_servers_for_a_grace(consul):
    s = scenario(consul, "1s")
    put(consul, s, "a", "route=/")
    with s, Load(s) as load:
        changed(load, "a", "start")
        consul.ask("PUT", "agent/service/deregister/a")
        eventually(lambda: "consul:app" in catalog(s)["held"], 5)
        eventually(lambda: load.counts["404"], 10, "its route stays for ever")
        order = list(load.counts)
        assert order == ["a", "503", "404"], order
        put(consul, s, "a", "route=/")
        eventually(lambda: load.now() == {"a"}, 5)
        said = s.lb.said()
        assert "has app no more" in said and "no route of app is held" in said


def test_an_operator_lets_go(consul):
    s = scenario(consul)
    put(consul, s, "a", "route=/")
    with s:
        eventually(lambda: status(s, "/") == "a", 5)
        consul.ask("PUT", "agent/service/deregister/a")
        eventually(lambda: "consul:app" in catalog(s)["held"], 5)
        assert status(s, "/") == "a" and s.lb.metric("lb_catalog_held") == 1
        assert command(s, "discovery", "accept", "consul:app").returncode == 0
        eventually(lambda: status(s, "/") == 404, 5)
        assert routes(s) == [] and not catalog(s)["held"]


def test_an_agent_that_is_away_or_lost_all_takes_no_route(consul):
    s = scenario(consul)
    put(consul, s, "a", "route=/")
    with s:
        with Load(s) as load:
            changed(load, "a", "start")
            consul.server.end()
            eventually(lambda: not catalog(s)["answered"], 20, "it is not told")
            assert catalog(s)["error"] and s.lb.metric("lb_catalog_errors_total") > 0
            eventually(lambda: s.lb.metric("lb_catalog_age_seconds") > 0)
            shutil.rmtree(consul.server.folder / "data")
            eventually(lambda: sum(load.counts.values()) > 100)
            assert not load.failed
        restart(s)  # a start while it is away begins with what was known
        with Load(s) as load:
            changed(load, "a", "without Consul")
            consul.server.start()
            eventually(consul.leads, 20)
            eventually(lambda: "consul:app" in catalog(s)["held"], 40, "an empty catalogue is believed")
            put(consul, s, "b", "route=/")
            changed(load, "ab", "one is registered again, the other is held", within=10)
            eventually(lambda: not catalog(s)["held"])  # routes and members are heard of one by one
            assert not load.failed


def test_a_token_that_loses_its_rights_or_is_gone_takes_no_route(agent, tmp_path):
    """A token without rights gets an empty catalogue with 200, a deleted one 403."""
    server = Guarded("consul")
    try:
        guarded = Agent(server, "root")
        eventually(guarded.leads, 20, "Consul has no leader")
        eventually(lambda: guarded.may("acl/policies"), 10, "no tokens yet")
        guarded.ask("PUT", "acl/policy", {"Name": "read", "Rules": READ})
        token = guarded.ask("PUT", "acl/token", {"Policies": [{"Name": "read"}]})
        file = tmp_path / "token"
        file.write_text(token["SecretID"])
        s = scenario(guarded)
        s.write(
            (CONFIG % (server.port, "120s")).replace(
                "catalog: {tags", f"token: {{file: {file}}}, wait: 1s, catalog: {{tags"
            )
        )
        put(guarded, s, "a", "route=/")
        with s, Load(s) as load:
            changed(load, "a", "start")
            accessor = token["AccessorID"]
            guarded.ask("PUT", f"acl/token/{accessor}", {"AccessorID": accessor, "Policies": []})
            eventually(lambda: "consul:app" in catalog(s)["held"], 40, "an empty catalogue is believed")
            guarded.ask("DELETE", f"acl/token/{accessor}")
            eventually(lambda: not catalog(s)["answered"], 40, "the refusal is not told")
            assert token["SecretID"] not in s.lb.said() + json.dumps(catalog(s))
            assert routes(s) == ["consul:app:/"], routes(s)
            eventually(lambda: sum(load.counts.values()) > 100)
            assert not load.failed
    finally:
        server.close()
