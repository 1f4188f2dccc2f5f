"""Every proxy's configuration, for every load: all servers, all routes, the access log, the metrics."""

from __future__ import annotations

import pytest

from bench.install import version_number
from bench.loads import LOADS
from bench.proxies import PROXIES
from bench.site import REQUEST_FIELDS, Site, request_fields, request_paths, route_prefixes
from lb.config.load import load as load_configuration


def a_site(folder, load):
    return Site(
        folder=folder,
        port=18080,
        admin_port=18081,
        servers=tuple(
            f"127.0.1.{number % 250 + 1}:{19000 + number // 250}" for number in range(load.servers)
        ),
        routes=route_prefixes(min(load.routes, 50)),
        least_connections=load.least_connections,
    )


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("load", LOADS)
def test_a_configuration_has_all_that_the_load_needs(tmp_path, name, load):
    site = a_site(tmp_path, LOADS[load])
    launch = PROXIES[name].configure(site, str(tmp_path))
    written = "\n".join(path.read_text() for path in tmp_path.iterdir())
    assert "18080" in written
    assert "18081" in written
    assert launch.metrics.startswith("http://127.0.0.1:18081/")
    assert launch.log_is_stdout or str(launch.access_log) in written
    for address in site.servers:
        host, _, port = address.rpartition(":")
        assert host in written
        assert port in written
    for prefix in site.routes:
        assert prefix in written


@pytest.mark.parametrize("load", LOADS)
def test_lb_accepts_its_configuration(tmp_path, load):
    site = a_site(tmp_path, LOADS[load])
    launch = PROXIES["lb"].configure(site, str(tmp_path))
    spec = load_configuration(tmp_path / "lb.yaml")
    assert launch.command[-2:] == ("run", str(tmp_path / "lb.yaml"))
    assert len(spec.routes) == max(1, len(site.routes))


def test_least_connections_is_asked_for_where_the_load_says_so(tmp_path):
    words = {"lb": '"algorithm": "least_connections"', "nginx": "least_conn;", "haproxy": "balance leastconn"}
    words |= {"envoy": "LEAST_REQUEST", "traefik": "p2c", "caddy": "lb_policy least_conn"}
    for name, word in words.items():
        for load in ("servers-500", "keepalive-1k"):
            folder = tmp_path / f"{name}-{load}"
            folder.mkdir()
            PROXIES[name].configure(a_site(folder, LOADS[load]), str(folder))
            written = "".join(path.read_text() for path in folder.iterdir())
            assert (word in written) == (load == "servers-500")


def test_ten_request_fields():
    assert len(REQUEST_FIELDS) == 10
    assert request_fields().count("\r\n") == 10


def test_requests_are_spread_over_all_routes_the_same_way_each_time():
    paths = request_paths(route_prefixes(5000), "/1k")
    assert sorted(paths) == [f"/route-{number:04d}/1k" for number in range(5000)]
    assert paths != sorted(paths)
    assert paths == request_paths(route_prefixes(5000), "/1k")
    assert request_paths((), "/64k") == ["/64k"]


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("nginx version: nginx/1.22.1", "1.22.1"),
        ("envoy  version: 9e5580933739775e8b/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
        ("v2.11.7 h1:yj0Y4fYZGPk", "2.11.7"),
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17", "2.6.12-1+deb12u4"),
        ("", "unknown"),
    ],
)
def test_version_numbers_are_found(said, number):
    assert version_number(said) == number
