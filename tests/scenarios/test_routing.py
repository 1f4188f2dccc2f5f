"""Every predicate, their precedence, split, redirect, respond, rewrites and header edits of CONFIG.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Head, Origin, Scenario, answer

# Every route answers with its own name, so that a test reads: this request → that route.
PREDICATES = """
listeners:
  - {name: web, bind: "$web", trusted_proxies: [127.0.0.0/8]}
  - {name: other, bind: "$second"}
routes:
  - {name: listener, match: {listener: other}, respond: {body: listener}}
  - {name: host, match: {host: [api.example.com, "*.wild.example.com"]}, respond: {body: host}}
  - {name: deeper, match: {host: "*.deep.wild.example.com"}, respond: {body: deeper}}
  - {name: exact-host, match: {host: a.wild.example.com}, respond: {body: exact-host}}
  - {name: any-host, match: {host: "*.example.com", path_prefix: /}, respond: {body: any-host}}
  - {name: prefix, match: {path_prefix: /v1}, respond: {body: prefix}}
  - {name: longer-prefix, match: {path_prefix: /v1/users}, respond: {body: longer-prefix}}
  - {name: exact, match: {path: /v1/users/me}, respond: {body: exact}}
  - {name: slash, match: {path_prefix: /dir/}, respond: {body: slash}}
  - {name: regex, match: {path_regex: "^/r[0-9]+/"}, respond: {body: regex}}
  - {name: method, match: {path: /m, method: [PUT, PATCH]}, respond: {body: method}}
  - {name: no-method, match: {path: /m}, respond: {body: no-method}}
  - {name: header, match: {path: /h, header: {x-beta: "1"}}, respond: {body: header}}
  - {name: header-regex, match: {path: /h, header: {x-version: {regex: "^2[.]"}}}, respond: {body: header-regex}}
  - {name: header-present, match: {path: /h, header: {x-there: {present: true}}}, respond: {body: header-present}}
  - {name: header-absent, match: {path: /absent, header: {x-there: {present: false}}}, respond: {body: header-absent}}
  - {name: query, match: {path: /q, query: {debug: "1"}}, respond: {body: query}}
  - {name: query-present, match: {path: /q, query: {trace: {present: true}}}, respond: {body: query-present}}
  - {name: cookie, match: {path: /c, cookie: {group: beta}}, respond: {body: cookie}}
  - {name: client, match: {path: /ip, client_ip: [10.0.0.0/8, "2001:db8::/32"]}, respond: {body: client}}
  - {name: local, match: {path: /ip, client_ip: 127.0.0.1/32}, respond: {body: local}}
  - {name: two, match: {path: /n, method: GET}, respond: {body: two}}
  - {name: three, match: {path: /n, method: GET, header: {x-a: "1"}}, respond: {body: three}}
  - {name: first, match: {path: /same}, respond: {body: first}}
  - {name: second, match: {path: /same}, respond: {body: second}}
  - {name: important, match: {path_prefix: /}, priority: -1, respond: {body: last}}
  - {name: urgent, match: {path_prefix: /v1/urgent}, priority: 5, respond: {body: urgent}}
  - {name: not-urgent, match: {path: /v1/urgent/now}, respond: {body: not-urgent}}
"""


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    with Scenario(PREDICATES) as scenario:
        yield scenario


@pytest.mark.parametrize(
    ("host", "target", "route"),
    [
        ("api.example.com", "/", "host"), ("API.Example.COM", "/", "host"), ("api.example.com:8080", "/", "host"),
        ("b.wild.example.com", "/", "host"), ("b.c.wild.example.com", "/", "host"), ("wild.example.com", "/", "any-host"),
        ("x.deep.wild.example.com", "/", "deeper"), ("a.wild.example.com", "/", "exact-host"), ("example.com", "/", "last"),
        ("xwild.example.com", "/", "any-host"), ("evilexample.com", "/", "last"),
        ("h", "/v1", "prefix"), ("h", "/v1/", "prefix"), ("h", "/v1/x", "prefix"), ("h", "/v1?x", "prefix"), ("h", "/v10", "last"),
        ("h", "/v1/users", "longer-prefix"), ("h", "/v1/users/7", "longer-prefix"), ("h", "/v1/usersx", "prefix"),
        ("h", "/v1/users/me", "exact"), ("h", "/v1/users/me?x=1", "exact"), ("h", "/v1/users/me/", "longer-prefix"),
        ("h", "/V1", "last"), ("h", "/dir/", "slash"), ("h", "/dir/x", "slash"), ("h", "/dirx", "last"),
        ("h", "/r12/", "regex"), ("h", "/rx/", "last"), ("h", "/same", "first"), ("h", "/v1/urgent/now", "urgent"),
        ("api.example.com", "/v1/users/me", "host"),
        ("h", "/q?debug=1", "query"), ("h", "/q?a=b&debug=1&c", "query"), ("h", "/q?debug=2", "last"), ("h", "/q?xdebug=1", "last"),
        ("h", "/q?d%65bug=%31", "query"), ("h", "/q?trace", "query-present"), ("h", "/q?trace=", "query-present"), ("h", "/q", "last"),
    ],
)  # fmt: skip
def test_host_path_and_query(s: Scenario, host: str, target: str, route: str) -> None:
    assert s.get(target, host=host).text == route


@pytest.mark.parametrize(
    ("method", "target", "headers", "route"),
    [
        ("PUT", "/m", {}, "method"), ("PATCH", "/m", {}, "method"), ("GET", "/m", {}, "no-method"), ("put", "/m", {}, "no-method"),
        ("GET", "/h", {"X-Beta": "1"}, "header"), ("GET", "/h", {"x-beta": "2"}, "last"), ("GET", "/h", {"x-beta": "11"}, "last"),
        ("GET", "/h", {"X-Version": "2.7"}, "header-regex"), ("GET", "/h", {"X-Version": "12.7"}, "last"),
        ("GET", "/h", {"X-There": ""}, "header-present"), ("GET", "/h", {}, "last"),
        ("GET", "/absent", {}, "header-absent"), ("GET", "/absent", {"X-There": "1"}, "last"),
        ("GET", "/c", {"Cookie": "group=beta"}, "cookie"), ("GET", "/c", {"Cookie": "a=b; group=beta; c=d"}, "cookie"),
        ("GET", "/c", {"Cookie": "group=alpha"}, "last"), ("GET", "/c", {"Cookie": "xgroup=beta"}, "last"), ("GET", "/c", {}, "last"),
        ("GET", "/ip", {}, "local"), ("GET", "/ip", {"X-Forwarded-For": "10.1.2.3"}, "client"),
        ("GET", "/ip", {"X-Forwarded-For": "11.1.2.3"}, "last"), ("GET", "/ip", {"X-Forwarded-For": "2001:db8::7"}, "client"),
        ("GET", "/n", {}, "two"), ("GET", "/n", {"X-A": "1"}, "three"), ("POST", "/n", {}, "last"),
    ],
)  # fmt: skip
def test_method_header_cookie_and_address(
    s: Scenario, method: str, target: str, headers: dict[str, str], route: str
) -> None:
    assert s.request(method, target, headers).text == route


def test_listener(s: Scenario) -> None:
    with s.client(listener="second") as c:
        assert c.get("/v10").text == "listener"
    assert s.get("/v10").text == "last"


def test_the_host_of_an_absolute_target_routes(s: Scenario) -> None:
    assert s.get("http://api.example.com/", host="other.test").text == "host"


def test_the_route_is_in_the_log(s: Scenario) -> None:
    s.get("/v1/users/logged")
    assert s.log_entry("/v1/users/logged")["route"] == "longer-prefix"


ACTIONS = """
listeners: [{name: web, bind: "$web"}]
services: {a: ["$a"], b: ["$b"]}
routes:
  - {name: split, match: {path: /split}, split: [{service: a, weight: 3}, {service: b, weight: 1}]}
  - {name: never, match: {path: /never}, split: [{service: a, weight: 1}, {service: b, weight: 0}]}
  - {name: old, match: {host: www.old.example.com}, redirect: {to: "https://www.example.com${path}", status: 308}}
  - {name: see, match: {path_prefix: /see}, redirect: {to: "${scheme}://${host}/seen${path}?${query}", status: 303}}
  - {name: uri, match: {path_prefix: /uri}, redirect: {to: "https://new.test${uri}"}}
  - {name: teapot, match: {path: /teapot}, respond: {status: 418, body: "short and stout", headers: {content-type: text/plain, x-a: b}}}
  - {name: empty, match: {path: /empty}, respond: {status: 204}}
  - {name: strip, match: {path_prefix: /v1}, service: a, rewrite: {strip_prefix: /v1, add_prefix: /api}}
  - {name: strip-only, match: {path_prefix: /only}, service: a, rewrite: {strip_prefix: /only}}
  - {name: add-only, match: {path_prefix: /add}, service: a, rewrite: {add_prefix: /x}}
  - {name: regex, match: {path_prefix: /user}, service: a, rewrite: {regex: "^/user/([0-9]+)/(.*)", to: '/u/\\2/\\1'}}
  - {name: host-server, match: {path: /host-server}, service: a, rewrite: {host: server}}
  - {name: host-name, match: {path: /host-name}, service: a, rewrite: {host: inner.test}}
  - name: edits
    match: {path: /edits}
    service: a
    request_headers: {set: {x-env: prod, x-ip: "${client_ip}", x-id: "${request_id}"}, add: {x-list: mine}, remove: [x-debug, cookie]}
    response_headers: {set: {x-frame-options: DENY, cache-control: no-store}, add: {set-cookie: lb=1}, remove: [server, x-powered-by]}
  - {name: edits-respond, match: {path: /er}, respond: {status: 200, body: hi}, response_headers: {set: {x-set: "1"}}}
  - {name: all, match: {path_prefix: /}, service: a}
"""


@pytest.fixture(scope="module")
def act() -> Iterator[Scenario]:
    with Scenario(ACTIONS, a=Origin(), b=Origin()) as scenario:
        yield scenario


@pytest.fixture(autouse=True)
def fresh(act: Scenario) -> None:
    act.reset()


def at_server(s: Scenario, target: str, headers: dict[str, str] | None = None) -> Head:
    response = s.get(target, headers)
    assert response.status == 200, response.head.raw
    return response.seen_by_server()


def test_split_by_weight(act: Scenario) -> None:
    with act.client() as c:
        for _ in range(400):
            assert c.get("/split").status == 200
    assert 250 < len(act.a.exchanges) < 350
    assert len(act.a.exchanges) + len(act.b.exchanges) == 400


def test_a_weight_of_zero_gets_nothing(act: Scenario) -> None:
    for _ in range(50):
        act.get("/never")
    assert act.b.exchanges == []


@pytest.mark.parametrize(
    ("host", "target", "status", "to"),
    [
        ("www.old.example.com", "/a/b?c=d", 308, "https://www.example.com/a/b"),
        ("h.test", "/see/x?y=z", 303, "http://h.test/seen/see/x?y=z"),
        ("h.test", "/uri/x?y=z", 308, "https://new.test/uri/x?y=z"),
        ("h.test", "//evil.test/uri", 200, None),
    ],
)
def test_redirect(act: Scenario, host: str, target: str, status: int, to: str | None) -> None:
    response = act.get(target, host=host)
    assert (response.status, response.get("location")) == (status, to)


def test_a_redirect_cannot_be_split_by_what_a_client_sends(act: Scenario) -> None:
    """%0d%0a stays as it is: it is never decoded into a header line."""
    response = act.get("/see/%0d%0aSet-Cookie:%20a=b?%0d%0aX:y", host="h.test")
    assert response.get("set-cookie") is None
    assert "%0d%0a" in str(response.get("location")).lower()


def test_respond(act: Scenario) -> None:
    with act.client() as c:
        for _ in range(2):
            response = c.get("/teapot")
            assert (response.status, response.body, response.framing) == (418, b"short and stout", 15)
            assert (response.get("content-type"), response.get("x-a")) == ("text/plain", "b")
            assert c.get("/empty").status == 204
            assert c.request("HEAD", "/teapot").get("content-length") == "15"
            assert c.request("POST", "/teapot", None, b"x" * 1000).status == 418


def test_respond_to_an_upload_says_what_becomes_of_the_connection(act: Scenario) -> None:
    with act.client() as c:
        response = c.request("POST", "/teapot", None, b"x" * 100_000)
        assert response.status == 418
        if "close" in response.head.tokens("connection"):
            assert c.closed()
        else:
            assert c.get("/teapot").status == 418


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/users?x=/v1", "/api/users?x=/v1"), # what remains begins with exactly one slash (docs/routing.md)
        ("/v1", "/api/"), ("/v1/", "/api/"), ("/v1?q", "/api/?q"), ("/v1//x", "/api/x"),
        ("/only/x", "/x"), ("/only", "/"), ("/only?q=1", "/?q=1"), ("/only/", "/"), ("/add/y?z", "/x/add/y?z"),
        ("/user/7/edit?a=b", "/u/edit/7?a=b"), ("/user/x/edit", "/user/x/edit"), ("/v1/%0d%0a", "/api/%0d%0a"),
        # dot segments are gone before a route is looked for (RFC 3986 6.2.2.3), so this is not under /v1
        ("/v1/%2e%2e/x", "/x"), ("/v1/../x", "/x"), ("/only/a/../b", "/b"),
        ("/v1/a%20b%2Fc", "/api/a%20b%2Fc"),
    ],
)  # fmt: skip
def test_rewrites_of_the_path(act: Scenario, target: str, expected: str) -> None:
    assert at_server(act, target).start.split(b" ")[1].decode() == expected


def test_rewrites_of_the_host(act: Scenario) -> None:
    assert at_server(act, "/").all("host") == ["example.test"]
    assert at_server(act, "/host-server").all("host") == [act.a.address]
    head = at_server(act, "/host-name")
    assert head.all("host") == ["inner.test"]
    assert head.get("x-forwarded-host") == "example.test"


def test_edits_of_the_request(act: Scenario) -> None:
    head = at_server(
        act,
        "/edits",
        {"X-Env": "dev", "X-List": "theirs", "X-Debug": "1", "Cookie": "a=b", "X-Ip": "6.6.6.6"},
    )
    assert head.all("x-env") == ["prod"]
    assert head.all("x-ip") == ["127.0.0.1"]
    assert head.all("x-list") == ["theirs", "mine"]
    assert (head.get("x-debug"), head.get("cookie")) == (None, None)
    assert head.get("x-id") == head.get("x-request-id")


def test_edits_of_the_answer(act: Scenario) -> None:
    act.a.behaviour = answer(
        b"HTTP/1.1 200 OK\r\nServer: x\r\nX-Powered-By: y\r\nSet-Cookie: a=b\r\nCache-Control: public\r\nCache-Control: max-age=5\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    response = act.get("/edits")
    assert response.get("x-frame-options") == "DENY"
    assert response.all("cache-control") == ["no-store"]
    assert response.all("set-cookie") == ["a=b", "lb=1"]
    assert (response.get("server"), response.get("x-powered-by")) == (None, None)


def test_edits_of_an_answer_of_our_own(act: Scenario) -> None:
    assert act.get("/er").get("x-set") == "1"


def test_no_route_is_404() -> None:
    with Scenario(
        'listeners: [{name: web, bind: "$web"}]\nservices: {a: ["$a"]}\nroutes: {"/app": a}\n'
    ) as s:
        assert s.get("/app").status == 200
        assert s.get("/other-path").status == 404
        assert s.log_entry("/other-path")["flag"] == "LR"


def test_short_forms_are_enough() -> None:
    with Scenario(
        'listeners: ["$web"]\nservices:\n  app: ["$a", "$b"]\nroutes: {"/": app}\n', a=Origin(), b=Origin()
    ) as s:
        for _ in range(10):
            assert s.get().status == 200
        assert len(s.a.exchanges) == len(s.b.exchanges) == 5
