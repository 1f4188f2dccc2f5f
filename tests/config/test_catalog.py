"""Route tags: what they mean, that they pass the checks of the file, who counts where two want the same."""

from __future__ import annotations

import pytest

from lb.config import catalog as module
from lb.config import loads
from lb.config.catalog import extended

TEXT = """
listeners: [":1"]
services: {app: ["a:1"]}
routes:
  - {name: mine, match: {host: [a.test, b.test], path_prefix: /v1/}, service: app}
  - {name: part, match: {path_prefix: /part, method: GET}, service: app}
  - {name: "consul:web:/named", match: {path: /x}, service: app}
discovery: {consul: {catalog: {tags: [public]}}}
"""


def made(tags, held=(), text=TEXT, **more):
    spec = loads(text)
    found = extended(spec, {"web": tuple(f"lb.route={tag}" for tag in tags), **more}, held)
    assert found.spec.routes[: len(spec.routes)] == spec.routes
    return found


@pytest.mark.parametrize(
    ("tag", "host", "prefix", "strip"),
    [
        ("/", None, "/", None),
        ("Shop.test/", ("shop.test",), "/", None),
        ("*.shop.test/v2/x strip=/v2", ("*.shop.test",), "/v2/x", "/v2"),
        ("/part", None, "/part", None),
        ("b.test/v1/more", ("b.test",), "/v1/more", None),
    ],
)
def test_a_tag_is_a_route(tag, host, prefix, strip):
    found = made([tag])
    route = found.spec.routes[-1]
    assert route.name == f"consul:web:{tag.split(' ')[0]}"
    assert (route.match.host, route.match.path_prefix) == (host, (prefix,))
    assert (route.rewrite and route.rewrite.strip_prefix) == strip
    assert route.service == "consul:web" and route.priority == 0
    assert [(one.service, one.tag) for one in found.routes] == [("web", f"lb.route={tag}")]
    query = found.spec.services["consul:web"].discover.consul.query()
    assert (query.service, query.tags, query.marked) == ("web", ("public",), "lb.route=")


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("", "expected HOST/PATH"),
        ("shop.test", "expected HOST/PATH"),
        ("sh_p!.test/", "expected a host"),
        ("*.*.test/", "*"),
        ("/a?b", "no query"),
        ("/a#b", "path"),
        ("/ä", "printable ASCII"),
        ("/a\r\nx", "name"),
        ('/"', "name"),
        ("/a/" + "b" * 200, "128"),
        ("/a strip=b", "path"),
        ("/a strip=/a strip=/b", "once"),
        ("/a weight=3", "strip=/PREFIX"),
        ("a.test/v1", 'the route "mine" of the file'),
        ("b.test/v1/", 'the route "mine" of the file'),
        ("/named", 'there is a route "consul:web:/named" already'),
    ],
)
def test_a_tag_that_makes_no_sense_hurts_no_other(tag, reason):
    found = made([tag, "/good"])
    assert [one.route for one in found.routes] == ["consul:web:/good"]
    (bad,) = found.unusable
    assert reason in bad.reason, bad
    assert bad.entry.startswith("web: lb.route=") and bad.entry.isprintable()


def test_a_service_whose_name_makes_no_sense_has_no_routes():
    found = made([], **{'a"b': ("lb.route=/x",)})
    assert not found.routes and len(found.unusable) == 1 and list(found.spec.services) == ["app"]


def test_of_two_services_the_first_by_name_counts_and_one_that_is_there_before_one_that_is_gone():
    both = {"abc": ("lb.route=/x",)}
    assert [one.service for one in made(["/x/"], **both).routes] == ["abc"]
    found = made(["/x/"], held={"abc"}, **both)
    assert [one.service for one in found.routes] == ["web"]
    assert 'the service "web" of Consul has this host and path' in found.unusable[0].reason


def test_a_service_of_the_file_stands_for_the_one_that_would_be_made():
    text = TEXT.replace("services: {", 'services: {"consul:web": ["b:1"], ')
    found = made(["/x"], text=text)
    assert found.spec.services["consul:web"].servers[0].address == "b:1"


def test_routes_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROUTES", 2)
    found = made(["/a", "/b", "/c"])
    assert len(found.routes) == 2 and "2 routes" in found.unusable[0].reason


def test_nothing_is_made_where_it_is_not_asked_for():
    text = TEXT.replace("{catalog: {tags: [public]}}", "{}")
    assert made(["/x"], text=text).spec == loads(text)
