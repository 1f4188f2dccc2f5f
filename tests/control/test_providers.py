"""Providers: what tells one source from another, for lb and for people."""

from __future__ import annotations

import pytest

from lb.config import loads
from lb.control.providers import catalog_told_apart, described, told_apart

BASE = 'listeners: [":1"]\nroutes: {"/": app}\n'


def spec(discover, discovery="{}"):
    return loads(f"{BASE}services: {{app: {{discover: {{{discover}}}}}}}\ndiscovery: {discovery}\n")


def digest(discover, discovery="{}"):
    found = spec(discover, discovery)
    return told_apart(found.services["app"].discover, found.discovery)


ONE = "consul: {service: api, tags: [v2], node_meta: {a: x, b: y}}"
OTHERS = [
    "consul: {service: api, tags: [v2]}",
    "consul: {service: api, tags: [v2], node_meta: {a: x, b: z}}",
    "consul: {service: api, tags: [v2], node_meta: {a: x, b: y}, filter: Service.Port == 80}",
    "consul: {service: api, tags: [v2], node_meta: {a: x, b: y}, namespace: other}",
    "consul: {service: api, tags: [v2], node_meta: {a: x, b: y}, partition: other}",
    "consul: {service: api, tags: [v2], node_meta: {a: x, b: y}, warning: down}",
    "dns: {name: api.test, port: 80}",
    "dns: {name: api.test, port: 81}",
    "dns: {name: api.test, port: 80, servers: [10.0.0.2]}",
    "file: /a",
    "provider: 'a:B'",
    "provider: 'a:B', options: {url: x}",
    "provider: 'a:B', options: {url: y}",
]


def test_whatever_is_followed_tells_sources_apart():
    assert len({digest(one) for one in (ONE, *OTHERS)}) == 1 + len(OTHERS)


@pytest.mark.parametrize("key", ["datacenter", "namespace", "partition"])
def test_so_does_what_the_connection_says_of_it(key):
    there = f"{{consul: {{{key}: other}}}}"
    assert digest(ONE) != digest(ONE, there)
    assert digest("file: /a") == digest("file: /a", there)


def test_the_way_to_it_and_the_order_of_keys_do_not():
    other = "consul: {node_meta: {b: y, a: x}, tags: [v2], service: api, warning: up}"
    assert digest(ONE) == digest(other, "{consul: {address: 'http://10.0.0.1:8500'}, brake: {grace: 3s}}")


def test_a_secret_stands_in_neither():
    discover = "provider: 'a:B', options: {password: hunter2}"
    assert "hunter2" not in digest(discover) + described(spec(discover).services["app"].discover)


def catalog(consul):
    return catalog_told_apart(spec("file: /a", f"{{consul: {{{consul}}}}}").discovery)


def test_catalogues_are_told_apart_by_what_is_read_and_where():
    others = ("datacenter: other", "namespace: other", "partition: other", "address: 'http://10.0.0.1:8500'")
    found = [catalog("catalog: {tags: [a]}"), catalog("catalog: {tags: [b]}")]
    found += [catalog(f"catalog: {{tags: [a]}}, {one}") for one in others]
    assert len(set(found)) == len(found) - 1, "the way to it is no part of it"
