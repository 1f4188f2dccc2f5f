"""Hop-by-hop fields, what lb tells servers about the client, and whose claims it believes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Scenario, answer

LISTENERS = """
listeners:
  - {name: web, bind: "$web", forwarded_headers: [x-forwarded-for, x-forwarded-proto, x-forwarded-host, forwarded, via]}
  - name: trusting
    bind: "$second"
    trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]
    forwarded_headers: [x-forwarded-for, x-forwarded-proto, x-forwarded-host, forwarded, via]
services: {app: ["$a"]}
routes:
  - {name: office, match: {path_prefix: /, client_ip: [192.0.2.0/24]}, respond: {status: 218, body: office}}
  - {name: all, match: {path_prefix: /}, service: app}
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    with Scenario(LISTENERS) as s:
        yield s


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    yield shared


def seen(s: Scenario, headers: list[tuple[str, str]] | dict[str, str] | None = None, listener: str = "web"):
    with s.client(listener=listener) as c:
        response = c.get("/", headers)
    assert response.status == 200, response.head.raw
    return response.seen_by_server()


# -- hop by hop: RFC 9110 7.6.1
@pytest.mark.parametrize(
    ("name", "value"),
    [("Connection", "keep-alive"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("TE", "gzip"),
     ("Upgrade", "h2c"), ("Trailer", "X-A")],
)  # fmt: skip
def test_hop_by_hop_fields_of_a_request_stay_here(front: Scenario, name: str, value: str) -> None:
    headers = {name: value}
    if name == "Upgrade":
        headers |= {"Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"}
    got = front.get("/", headers).seen_by_server()
    if name == "Trailer":  # RFC 9110 6.6.2: end to end in a sense; it may go with a chunked body only
        assert got.framing() is None
        return
    assert value not in got.all(name), got.raw
    assert got.get("http2-settings") is None


def test_h2c_is_never_passed_on(front: Scenario) -> None:
    """A proxy that passes `Upgrade: h2c` opens a tunnel past its own rules."""
    got = front.get(
        "/", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    ).seen_by_server()
    assert got.get("upgrade") is None
    assert "upgrade" not in got.tokens("connection")


def test_fields_named_in_connection_stay_here(front: Scenario) -> None:
    got = front.get(
        "/", {"Connection": "X-One, x-two ,close", "X-One": "1", "X-TWO": "2", "X-Three": "3"}
    ).seen_by_server()
    assert (got.get("x-one"), got.get("x-two"), got.get("x-three")) == (None, None, "3")


def test_fields_named_in_a_second_connection_line_stay_here(front: Scenario) -> None:
    headers = [
        ("Host", "a"),
        ("X-One", "1"),
        ("Connection", "keep-alive"),
        ("X-Two", "2"),
        ("Connection", "x-one, ,x-two"),
    ]
    with front.client() as c:
        got = c.get("/", headers).seen_by_server()
    assert (got.get("x-one"), got.get("x-two")) == (None, None)


def test_hop_by_hop_fields_of_an_answer_stay_here(front: Scenario) -> None:
    front.a.behaviour = answer(
        b"HTTP/1.1 200 OK\r\nConnection: x-one, Keep-Alive\r\nKeep-Alive: timeout=5\r\nX-One: 1\r\nX-Two: 2\r\n"
        b"Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    )
    response = front.get()
    assert [response.get(n) for n in ("x-one", "proxy-connection", "upgrade")] == [None, None, None]
    assert response.get("x-two") == "2"
    assert "x-one" not in response.head.tokens("connection")


@pytest.mark.parametrize(
    "named",
    ["Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via", "Forwarded", "X-Request-Id"],
)
def test_a_client_cannot_nominate_away_what_lb_says(s: Scenario, named: str) -> None:
    """Apache CVE-2022-31813, Traefik CVE-2024-45410."""
    got = seen(s, {"Connection": f"close, {named}"})
    assert got.all(named), got.raw


@pytest.mark.parametrize("named", ["Content-Length", "Transfer-Encoding"])
def test_a_client_cannot_nominate_away_the_framing(front: Scenario, named: str) -> None:
    headers = {"Connection": f"keep-alive, {named}"}
    if named == "Transfer-Encoding":
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    else:
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello"
    assert headers
    with front.client() as c:
        c.send(raw)
        response = c.recv_response()
        if response.status == 200:
            assert response.body.endswith(b"\r\n\r\nhello")
        else:
            assert response.status == 400


def test_te_trailers_only(front: Scenario) -> None:
    got = front.get("/", {"TE": "gzip;q=0.5, trailers", "Connection": "TE"}).seen_by_server()
    assert got.tokens("te") in ([], ["trailers"])


# -- what lb says
def test_servers_learn_about_the_client(s: Scenario) -> None:
    got = seen(s)
    assert got.get("x-forwarded-for") == "127.0.0.1"
    assert got.get("x-forwarded-proto") == "http"
    assert got.get("x-forwarded-host") == "example.test"
    assert got.get(
        "via",
    ) is not None and str(got.get("via")).startswith("1.1 ")
    forwarded = str(got.get("forwarded")).lower()
    assert "for=127.0.0.1" in forwarded
    assert "proto=http" in forwarded
    assert "host=" in forwarded and "example.test" in forwarded


def test_forwarded_quotes_what_is_not_a_token(s: Scenario) -> None:
    """RFC 7239 4: a host with a port is a quoted string."""
    got = seen(s, {"Host": "example.test:8080"})
    assert 'host="example.test:8080"' in str(got.get("forwarded")).lower()


def test_by_default_forwarded_is_not_sent(front: Scenario) -> None:
    got = front.get().seen_by_server()
    assert got.get("forwarded") is None
    assert got.get("x-forwarded-for") == "127.0.0.1"


def test_the_answer_says_via(s: Scenario) -> None:
    """RFC 9110 7.6.3: a gateway's Via in an answer is optional; when it is there it is right."""
    response = s.get()
    assert response.get("via") is None or str(response.get("via")).startswith("1.1 ")


CLAIMS = [
    ("Host", "example.test"),
    ("X-Forwarded-For", "192.0.2.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "claimed.test"),
    ("Forwarded", "for=192.0.2.1;proto=https;host=claimed.test"),
]


def test_claims_of_anybody_are_replaced(s: Scenario) -> None:
    got = seen(s, CLAIMS)
    assert b"192.0.2.1" not in got.raw
    assert b"claimed.test" not in got.raw
    assert got.get("x-forwarded-proto") == "http"


def test_claims_that_are_not_made_anew_are_removed(front: Scenario) -> None:
    """Forwarded is not configured here: a client's own must not pass for lb's."""
    with front.client() as c:
        got = c.get("/", CLAIMS).seen_by_server()
    assert got.get("forwarded") is None
    assert got.all("x-forwarded-for") == ["127.0.0.1"]


def test_claims_of_a_trusted_proxy_are_believed(s: Scenario) -> None:
    claims = [c for c in CLAIMS if c[0] != "Forwarded"]
    with s.client(listener="second") as c:
        response = c.get("/", claims)
    assert (response.status, response.body) == (218, b"office"), "the claimed address decides about client_ip"
    claims[1] = ("X-Forwarded-For", "198.51.100.7")
    got = seen(s, claims, "second")
    assert got.get("x-forwarded-for") == "198.51.100.7, 127.0.0.1"
    assert got.get("x-forwarded-proto") == "https"
    assert got.get("x-forwarded-host") == "claimed.test"


def test_only_the_part_of_a_chain_that_is_trusted_counts(s: Scenario) -> None:
    """The client wrote 192.0.2.1 itself; the first untrusted address from the right is the client."""
    got = seen(s, {"X-Forwarded-For": "192.0.2.1, 198.51.100.7, 10.0.0.3"}, "second")
    assert str(got.get("x-forwarded-for")).endswith("198.51.100.7, 10.0.0.3, 127.0.0.1")


def test_the_claim_of_anybody_does_not_route(s: Scenario) -> None:
    assert s.get("/", {"X-Forwarded-For": "192.0.2.1"}).status == 200


@pytest.mark.parametrize(
    "claim",
    ["unknown", "not an address", "198.51.100.1:99999", "' OR 1=1", "1.2.3", "[::1", ",,,", "١.1.1.1"],
)
def test_a_trusted_proxy_that_talks_nonsense_does_no_harm(s: Scenario, claim: str) -> None:
    with s.client(listener="second") as c:
        c.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {claim}\r\n\r\n".encode())
        assert c.recv_response().status == 200


def test_underscores_are_not_dashes(s: Scenario) -> None:
    """CVE-2025-64484: CGI servers read X_Forwarded_For as X-Forwarded-For."""
    got = seen(s, {"X_Forwarded_For": "192.0.2.1"})
    assert b"192.0.2.1" not in got.raw


# -- X-Request-Id
def test_a_request_id_is_made_when_missing(front: Scenario) -> None:
    ids = {front.get().seen_by_server().get("x-request-id") for _ in range(20)}
    assert None not in ids
    assert len(ids) == 20
    assert all(len(str(i)) >= 8 for i in ids)


def test_a_request_id_is_kept(front: Scenario) -> None:
    assert front.get("/", {"X-Request-Id": "abc-123"}).seen_by_server().all("x-request-id") == ["abc-123"]


def test_the_request_id_is_in_the_log(front: Scenario) -> None:
    made = front.get("/request-id-in-log").seen_by_server().get("x-request-id")
    assert front.log_entry("/request-id-in-log")["request_id"] == made
