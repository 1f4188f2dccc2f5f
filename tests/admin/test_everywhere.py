"""The endpoints of orders everywhere: who may order what over which, and what is said where it fails."""

from __future__ import annotations

import pytest

from lb.admin.view import ClusterAnswer, Ordered
from lb.upstream.status import Mode, Override

PATH = "/api/v1/services/app/servers/127.0.0.1:9001/override/everywhere"
DRAIN = b'{"mode": "drain", "author": "ann"}'


@pytest.mark.parametrize(("given", "base"), [('"7"', 7), ("0", 0), ("*", None)])
def test_an_order_names_the_one_that_it_takes_the_place_of(ask, control, given, base):
    found = ask("PUT", PATH, data=DRAIN, headers={"If-Match": given})
    assert found.status == 200
    assert control.everywhere.asked == [("order", "app", "127.0.0.1:9001", Mode.DRAIN, "ann", base)]
    layers = found.json()["layers"]
    assert (layers["everywhere"]["mode"], layers["everywhere"]["number"]) == ("drain", 8)
    assert layers["override"] is None and control.overrides == {}
    assert ask("DELETE", f"{PATH}?author=ben", headers={"If-Match": given}).status == 200
    assert control.everywhere.asked[-1] == ("lift", "app", "127.0.0.1:9001", "ben", base)


@pytest.mark.parametrize(("given", "status"), [("", 428), ("seven", 400), ('"-1"', 400), ("W/1", 400)])
def test_without_it_nothing_is_ordered(ask, control, given, status):
    for method in ("PUT", "DELETE"):
        headers = {"If-Match": given} if given else {}
        found = ask(method, PATH, data=DRAIN, headers=headers)
        assert (found.status, found.json()["error"]) == (status, "base_needed")
    assert control.everywhere.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [("conflict", 409), ("no_override", 404), ("too_large", 413), ("engine_away", 503), ("no_leader", 503),
     ("corrupt", 503), ("late", 503)],
)  # fmt: skip
def test_what_the_leader_says_is_told(ask, control, error, status):
    control.everywhere.said = ClusterAnswer(error, "because", 9)
    found = ask("PUT", PATH, data=DRAIN, headers={"If-Match": "*"})
    assert found.status == status
    assert found.json() == {"error": error, "message": "because", "number": 9}


def test_bad_bodies_and_servers_do_not_reach_the_leader(ask, control):
    for body in (b"", b"[]", b'{"mode": "off"}', b'{"mode": "auto"}', b'{"weight": "0%"}'):
        assert ask("PUT", PATH, data=body, headers={"If-Match": "*"}).status == 400
    found = ask("PUT", PATH.replace("9001", "1"), data=DRAIN, headers={"If-Match": "*"})
    assert (found.status, found.json()["error"]) == (404, "unknown_server")
    control.everywhere = None
    found = ask("PUT", PATH, data=DRAIN, headers={"If-Match": "*"})
    assert (found.status, found.json()["error"]) == (404, "no_cluster")
    assert ask("GET", "/api/v1/servers").json()["everywhere"] is None


def test_the_list_shows_the_layer_its_age_and_servers_that_are_not_there(ask, control):
    drain = Ordered(Override(Mode.DRAIN, None, "ben", "disk", 5.0), 7)
    control.everywhere.all = {("app", "127.0.0.1:9002"): drain, ("gone", "x:1"): drain}
    found = ask("GET", "/api/v1/servers").json()
    assert found["everywhere"]["age"] == 0.5
    layers = {one["address"]: one["layers"]["everywhere"] for one in found["servers"]}
    assert layers["127.0.0.1:9001"] is None
    assert layers["127.0.0.1:9002"]["author"] == layers["x:1"]["author"] == "ben"
