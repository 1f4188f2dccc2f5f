"""The C load generator against the C servers, without a proxy: every kind of load, and every wrong answer."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from bench import install
from bench.loads import LOADS
from bench.places import OTHER_CORE
from bench.site import Site, route_prefixes
from bench.traffic import Generator, fetch, origins

pytestmark = [
    pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler"),
    pytest.mark.skipif(OTHER_CORE not in os.sched_getaffinity(0), reason="needs two cores"),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    install.compile_traffic()
    with origins(tmp_path_factory.mktemp("origins")) as running:
        yield running


def run(servers, folder, load, *, seconds=0.05, rate=0.0):
    routes = route_prefixes(min(load.routes, 20))
    site = Site(folder, servers.ports[0], 0, servers.addresses(2), routes)
    generator = Generator(replace(load, connections=4), site, seconds, rate)
    try:
        generator.ready()
        return generator.measure()
    finally:
        generator.close()


@pytest.mark.parametrize("name", LOADS)
def test_every_load_is_answered_without_a_failure(servers, tmp_path, name):
    seen = run(servers, tmp_path, LOADS[name])
    assert seen["requests"] >= 4
    assert seen["bytes"] >= seen["requests"] * LOADS[name].length
    assert not any(seen["failures"].values())
    latency = seen["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p999"] <= latency["max"] * 1.01


def test_a_body_of_another_length_is_a_failure(servers, tmp_path):
    seen = run(servers, tmp_path, replace(LOADS["keepalive-1k"], length=1025))
    assert seen["requests"] == 0
    assert seen["failures"]["bad_length"] > 0


def test_another_status_is_a_failure(servers, tmp_path):
    seen = run(servers, tmp_path, replace(LOADS["keepalive-1k"], path="/absent", length=0))
    assert seen["requests"] == 0
    assert seen["failures"]["bad_status"] > 0


def test_a_pace_is_kept(servers, tmp_path):
    seen = run(servers, tmp_path, LOADS["equal-1k"], seconds=0.5, rate=1000.0)
    assert 350 < seen["requests"] + seen["unsent"] < 650  # a Poisson count around 500


def test_each_request_has_its_own_connection_where_the_load_says_so(servers, tmp_path):
    before = servers.connections()
    seen = run(servers, tmp_path, LOADS["new-connection"])
    assert servers.connections() - before >= seen["requests"]
    before = servers.connections()
    run(servers, tmp_path, LOADS["keepalive-1k"])
    assert servers.connections() - before == 4


def test_the_servers_have_five_hundred_addresses(servers):
    addresses = servers.addresses(500)
    assert len(set(addresses)) == 500
    for address in (addresses[0], addresses[-1]):
        assert b'"requests"' in fetch(f"http://{address}/counts")
