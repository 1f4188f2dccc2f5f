"""What lb says by itself: small, correct, in the client's language, with its reason where asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .harness import Scenario

CONFIG = """
listeners:
  - {name: web, bind: "$web", proxy_status: true}
  - {name: quiet, bind: "$second"}
services: {app: ["$a"], dead: ["$closed"]}
routes:
  - {name: app, match: {path_prefix: /app}, service: app}
  - {name: dead, match: {path_prefix: /dead}, service: dead}
"""


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    with Scenario(CONFIG) as scenario:
        yield scenario


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("application/json", "json"), ("text/html", "html"), ("text/html,application/xhtml+xml,*/*;q=0.8", "html"),
     ("application/json, text/html;q=0.5", "json"), ("text/html;q=0.5, application/json;q=0.9", "json"),
     ("application/problem+json", "json"), ("application/json;q=0, text/html", "html")],
)  # fmt: skip
def test_html_or_json_by_accept(s: Scenario, accept: str, kind: str) -> None:
    response = s.get("/nowhere", {"Accept": accept})
    assert response.status == 404
    assert kind in str(response.get("content-type")), response.head.raw
    assert response.framing == len(response.body)
    if kind == "json":
        assert "404" in json.dumps(json.loads(response.body))
    else:
        assert b"<" in response.body and b"404" in response.body


@pytest.mark.parametrize("accept", [None, "*/*", "image/png", "nonsense;;,", "text/*"])
def test_any_accept_gets_an_answer(s: Scenario, accept: str | None) -> None:
    response = s.get("/nowhere", {"Accept": accept} if accept else None)
    assert response.status == 404
    assert response.framing == len(response.body)


def test_no_route_keeps_the_connection(s: Scenario) -> None:
    with s.client() as c:
        for _ in range(3):
            assert c.get("/nowhere").status == 404
        assert c.get("/app").status == 200


def test_an_error_before_the_body_was_read_stays_in_step(s: Scenario) -> None:
    """nginx CVE-2019-20372: the body of a refused request must never be taken for a request."""
    smuggled = b"GET /app/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with s.client() as c:
        response = c.request("POST", "/nowhere", None, smuggled)
        assert response.status == 404
        if "close" not in response.head.tokens("connection"):
            assert c.get("/app/next").seen_by_server().start == b"GET /app/next HTTP/1.1"
        else:
            assert c.closed()
    assert all(x.target != "/app/smuggled" for x in s.a.exchanges)


def test_head_gets_no_body(s: Scenario) -> None:
    with s.client() as c:
        for path, status in (("/nowhere", 404), ("/dead", 502)):
            assert c.request("HEAD", path).status == status
        assert c.request("HEAD", "/app").status == 200
        assert c.pending == b""


def test_a_server_that_is_not_there_is_502(s: Scenario) -> None:
    with s.client() as c:
        for _ in range(3):
            response = c.get("/dead")
            assert response.status == 502
            assert response.framing == len(response.body)
        assert c.get("/app").status == 200, "a failure of a server does not cost the client its connection"


@pytest.mark.parametrize(
    ("path", "reason"), [("/nowhere", "destination_not_found"), ("/dead", "connection_refused")]
)
def test_the_reason_in_proxy_status(s: Scenario, path: str, reason: str) -> None:
    """RFC 9209 2: a list of proxies, each with parameters."""
    value = str(s.get(path).get("proxy-status"))
    assert value.split(";", maxsplit=1)[0].strip()
    assert f"error={reason}" in value.replace(" ", ""), value


def test_proxy_status_of_a_malformed_request(s: Scenario) -> None:
    with s.client() as c:
        c.send(b"GET / HTTP/1.1\r\n\r\n")
        response = c.recv_response()
    assert response.status == 400
    assert "error=http_request_error" in str(response.get("proxy-status"))


def test_no_proxy_status_unless_switched_on(s: Scenario) -> None:
    with s.client(listener="second") as c:
        assert c.get("/nowhere").get("proxy-status") is None
        assert c.get("/dead").get("proxy-status") is None


def test_an_error_page_does_not_repeat_what_the_client_sent(s: Scenario) -> None:
    response = s.get("/<script>alert(1)</script>".replace("<", "%3C"), {"Accept": "text/html", "X-A": "<b>"})
    assert b"<script" not in response.body and b"alert" not in response.body


def test_http_1_0_gets_an_error_too(s: Scenario) -> None:
    with s.client() as c:
        c.send(b"GET /nowhere HTTP/1.0\r\n\r\n")
        assert c.recv_response().status == 404
        assert c.closed()


def test_the_date_is_there(s: Scenario) -> None:
    """RFC 9110 6.6.1: an origin of a 4xx should say the date."""
    date = s.get("/nowhere").get("date")
    assert date is None or str(date).endswith(" GMT")
