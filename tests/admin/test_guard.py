"""Browsers that other sites send are refused; people, tools and the own page are not."""

import pytest

from lb.admin.view import Reload


@pytest.mark.parametrize("host", ["127.0.0.1:9900", "localhost", "lb.localhost:1", "[::1]:9900", "10.0.0.1"])
def test_host_that_cannot_be_rebound(ask, host):
    assert ask("GET", "/api/v1/config", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "localhost.attacker.example:9900", "[bad", "127.0.0.1.x"]
)
def test_host_that_can_be_rebound_is_refused_on_loopback(ask, host):
    for path in ("/api/v1/config", "/metrics", "/nowhere"):
        reply = ask("GET", path, headers={"Host": host})
        assert reply.status == 403
        assert reply.json()["error"] == "forbidden"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_change_nothing(control, ask, headers):
    before = control.last_reload
    assert ask("POST", "/api/v1/reload", headers=headers).status == 403
    assert control.last_reload is before
    assert ask("GET", "/api/v1/status", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:9900", "Origin": "http://localhost:9900", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_own_page_and_tools_may(control, ask, headers):
    control.next_reload = Reload(True, 9, 1.0, "api")
    assert ask("POST", "/api/v1/reload", headers=headers).status == 200
    assert control.last_reload.generation == 9
