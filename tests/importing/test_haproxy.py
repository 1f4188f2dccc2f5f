"""haproxy.cfg through `lb import`: the result loads, and requests go where HAProxy sends them."""

from __future__ import annotations

import pytest

from lb.importing.haproxy import import_haproxy
from lb.importing.haproxylines import words_of
from lb.importing.result import UnreadableError
from tests.importing.routed import SAMPLES, Routed, directives


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Routed(import_haproxy(SAMPLES / "shop.haproxy.cfg"), tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    return Routed(import_haproxy(SAMPLES / "edge.haproxy.cfg"), tmp_path_factory.mktemp("edge"))


OFFICE = {"client": "10.1.1.1"}
# HAProxy: http-request in order, then redirect, then use_backend in order: the first that holds.
ROUTED = [
    ("GET", "http://www.example.com/", {}, ("app", "/")),
    ("GET", "http://www.example.com/admin/x", {}, (403, "")),
    ("GET", "http://www.example.com/administrator", {}, (403, "")),  # path_beg refuses more than segments
    ("GET", "http://www.example.com/admin/x", OFFICE, ("app", "/admin/x")),
    ("GET", "http://www.example.com/admin/x.png", OFFICE, ("static", "/admin/x.png")),
    ("GET", "http://example.com/admin", OFFICE, (301, "https://www.example.com${uri}")),
    ("GET", "http://example.com/admin", {}, (403, "")),  # refused before it is sent elsewhere
    ("GET", "http://old.example.com/ping", {}, (200, "")),
    ("GET", "http://api.example.com/v1/users", {}, ("api", "/api/v1/users")),
    ("GET", "http://api.example.com/v2", {}, ("app", "/v2")),
    ("GET", "http://api.example.com/img/a", {}, ("static", "/img/a")),
    ("POST", "http://www.example.com/img/a", {}, ("app", "/img/a")),
    ("HEAD", "http://www.example.com/x.css", {}, ("static", "/x.css")),
    ("GET", "http://www.example.com/", {"cookie": "group=beta"}, ("next", "/")),
    ("GET", "http://www.example.com/", {"x_canary": "1"}, ("next", "/")),
    ("GET", "http://www.example.com/", {"x_canary": "0"}, ("app", "/")),
]


@pytest.mark.parametrize(("method", "url", "more", "expected"), ROUTED)
def test_requests_go_where_haproxy_sends_them(shop, method, url, more, expected):
    assert shop.ask(method, url, **more) == expected


def test_servers_checks_and_limits_are_those_of_the_file(shop):
    app = shop.spec.services["app"]
    assert [(one.address, one.weight, one.backup) for one in app.servers] == [
        ("10.0.0.11:8080", 3, False),
        ("10.0.0.12:8080", 1, False),
        ("10.0.0.13:8080", 1, True),
    ]
    check = app.health_check
    assert (check.http, check.interval, check.rise, check.fall) == ("/healthz", 3, 2, 4)
    assert app.algorithm.name == "least_connections" and app.sticky.cookie == "SRV"
    assert (app.connections.max_per_server, app.connections.queue_timeout) == (300, 4)
    assert shop.spec.services["api"].health_check.tcp is True
    (listener,) = shop.spec.listeners
    assert listener.limits.max_connections == 8000
    assert (listener.limits.header_timeout, listener.limits.idle_timeout) == (10, 15)
    route = shop.route("GET", "http://www.example.com/", cookie="group=beta")
    assert (route.timeout.connect, route.timeout.response, route.retry.attempts) == (3, 120, 2)
    assert shop.route("GET", "http://api.example.com/v1").response_headers.remove == ("server",)


def test_what_did_not_map_is_named_with_its_place(shop, edge):
    assert directives(shop.draft.lost) == [
        (34, "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100 }"),
        (61, "compression algo gzip"),
    ]
    assert [line for line, _ in directives(edge.draft.lost)] == [12, 19, 29, 33, 34, 42, 47]
    for gap in edge.draft.gaps:
        assert f"# - {gap}" in edge.draft.text()


EDGE = [
    ("http://a.shop.example.com/x?y", "edge", {}, (308, "https://${host}${uri}")),
    ("http://a.shop.example.com/x", "edge-tls", {}, ("shop", "/x")),
    ("http://a.shop.example.com/legacy/x", "edge-tls", {}, ("site", "/legacy/x")),
    ("http://a.shop.example.com/closed", "edge-tls", {}, (503, "")),
    ("http://example.org/a/1", "edge-tls", {}, ("known", "/b/1")),
    ("http://www.example.org/c", "edge-tls", {}, ("known", "/c")),
    ("http://example.net/closed", "edge-tls", {}, ("site", "/closed")),
    ("http://example.net/gone", "edge-tls", {}, (410, "")),
    ("http://example.net/", "edge-tls", {"user_agent": "The Evil Bot 1"}, (410, "")),
]


@pytest.mark.parametrize(("url", "listener", "headers", "expected"), EDGE)
def test_conditions_and_negations(edge, url, listener, headers, expected):
    assert edge.ask("GET", url, listener=listener, **headers) == expected


def made(tmp_path, text):
    file = tmp_path / "haproxy.cfg"
    file.write_text(text)
    return import_haproxy(file)


def test_a_refusal_that_does_not_map_closes_what_comes_after_it(tmp_path):
    text = """frontend f
  mode http
  bind :80
  http-request return status 200 if { path /ping }
  http-request deny unless { req.body_len gt 1 }
  default_backend b
backend b
  mode http
  server s 10.0.0.1:80
"""
    draft = made(tmp_path, text)
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://x/") == (403, "")
    assert routed.ask("GET", "http://x/ping") == (200, "")
    assert [gap.line for gap in draft.lost] == [5]


def test_a_refusal_of_rates_alone_is_left_out_and_named(tmp_path):
    text = """defaults web
  mode http
defaults tcp
  mode tcp
frontend f from web
  bind :80
  acl abuse sc0_http_req_rate gt 10
  http-request deny if abuse
  default_backend b
backend b from web
  server s 10.0.0.1:80
"""
    draft = made(tmp_path, text)
    assert Routed(draft, tmp_path).ask("GET", "http://x/") == ("b", "/")
    assert directives(draft.lost) == [(8, "http-request deny if abuse")]


def ruled(tmp_path, *rules):
    """What an import makes of a frontend with these rules before one backend."""
    lines = "\n".join(f"  {rule}" for rule in rules)
    text = f"frontend f\n  mode http\n  bind :80\n{lines}\n  default_backend b\n"
    return made(tmp_path, f"{text}backend b\n  mode http\n  server s 10.0.0.1:80\n")


DENIED = [
    ("path,lower -m beg /admin", ["/admin", "/ADMIN/x"], {}),
    ("path_beg,lower /admin", ["/Admin"], {}),
    ("path,lower /admin", ["/ADMIN"], {}),
    ("hdr(x-a),lower bad", ["/"], {"x_a": "BAD"}),
    ("hdr(x-a) bad", ["/"], {"x_a": "bad"}),
    ("hdr(x-a) bad", ["/"], {"x_a": "good, bad"}),
    ("hdr(x-a) worse bad", ["/"], {"x_a": "a ,bad , b"}),
    ("req.fhdr(x-a) bad", ["/"], {"x_a": "good, bad"}),  # two lines, as lb joins them
    ("hdr_beg(x-a) bad", ["/"], {"x_a": "good, badly"}),
    ("hdr_end(x-a) bad", ["/"], {"x_a": "very-bad , good"}),
    ("hdr_dir(x-a) bad", ["/"], {"x_a": "/a/bad, /good"}),
    ("hdr_reg(x-a) -i ^b[$^,]?ad$|^x", ["/"], {"x_a": "good, BAD, good"}),
    ("cook(a),lower bad", ["/"], {"cookie": "a=BAD"}),
    ("url_param(a),lower bad", ["/?a=BAD"], {}),
]
PASSED = [
    ("path,lower -m beg /admin", "/a/admin", {}),
    ("hdr(x-a) bad", "/", {"x_a": "BAD, worse, not bad, badly"}),
    ("hdr_beg(x-a) bad", "/", {"x_a": "good, abad"}),
    ("hdr_end(x-a) bad", "/", {"x_a": "good, badly"}),
    ("hdr_reg(x-a) ^bad$", "/", {"x_a": "good, abad, badly"}),
]


@pytest.mark.parametrize(("condition", "paths", "headers"), DENIED)
def test_what_haproxy_denies_is_denied(tmp_path, condition, paths, headers):
    routed = Routed(ruled(tmp_path, f"http-request deny if {{ {condition} }}"), tmp_path)
    assert [routed.ask("GET", f"http://x{path}", **headers) for path in paths] == [(403, "")] * len(paths)


@pytest.mark.parametrize(("condition", "path", "headers"), PASSED)
def test_what_it_does_not_deny_is_not(tmp_path, condition, path, headers):
    routed = Routed(ruled(tmp_path, f"http-request deny if {{ {condition} }}"), tmp_path)
    assert routed.ask("GET", f"http://x{path}", **headers) == ("b", path)


@pytest.mark.parametrize(
    "condition",
    [
        "path,lower -m beg /Admin",  # never holds
        "path,host_only /a",
        "path,url_dec -m beg /a",
        "hdr(x-a),field(1,:) bad",
        "src,lower 10.0.0.1",
        "hdr(x-forwarded-for,-1) 10.0.0.1",
        "url_param(a,;) b",
    ],
)
def test_a_converter_or_argument_without_counterpart_does_not_map(tmp_path, condition):
    draft = ruled(tmp_path, f"http-request deny if {{ {condition} }}")
    assert Routed(draft, tmp_path).ask("GET", "http://x/") == (403, "")
    assert [gap.line for gap in draft.lost] == [4]


@pytest.mark.parametrize("part", ["cook(a)", "url_param(a)"])
def test_that_the_first_of_a_name_counts_is_said(tmp_path, part):
    draft = ruled(tmp_path, f"http-request deny if {{ {part} bad }}", f"use_backend b if {{ {part} x }}")
    assert [gap.line for gap in draft.lost] == [4]
    assert [gap.line for gap in draft.notes] == [5]
    assert {"lb looks at the first of that name, HAProxy at all"} == {gap.why for gap in draft.gaps}
    there = ruled(tmp_path, f"http-request deny if {{ {part} -m found }}")
    assert there.gaps == []


def test_that_a_header_is_compared_as_a_whole_is_said_where_it_only_routes(tmp_path):
    draft = ruled(tmp_path, "use_backend b if { hdr(x-a) 1 }", "use_backend b if { hdr_sub(x-a) 1 }")
    assert [(gap.line, gap.why) for gap in draft.gaps] == [
        (4, "lb compares the whole header, HAProxy each of its values between commas")
    ]
    assert draft.routes[0]["match"] == {"header": {"x-a": ["1"]}}


def test_a_return_that_refuses_is_a_refusal(tmp_path):
    draft = ruled(tmp_path, "http-request return status 404 if { path_beg /admin }")
    assert Routed(draft, tmp_path).ask("GET", "http://x/administrator") == (404, "")
    draft = ruled(tmp_path, "http-request return status 404 if { req.body_len gt 1 }")
    assert Routed(draft, tmp_path).ask("GET", "http://x/") == (403, "")
    draft = ruled(tmp_path, "http-request return status 503 errorfile /down.http if { path /a }")
    routed = Routed(draft, tmp_path)
    assert (routed.ask("GET", "http://x/a"), routed.ask("GET", "http://x/")) == ((503, ""), ("b", "/"))
    assert [gap.line for gap in draft.lost] == [4]


def edited(draft):
    """The keys of the route to the servers that change what they get, and the lines that are named."""
    route = next(one for one in draft.routes if "service" in one)
    named = [gap.line for gap in draft.lost], [int(one.split(":")[1]) for one in draft.left_out]
    assert draft.problems() == []
    return {key: route[key] for key in ("rewrite", "request_headers", "retry") if key in route}, *named


@pytest.mark.parametrize(
    "rule",
    [
        "set-header X-Forwarded-For %[src]",
        "set-header X-Forwarded-Host %[req.hdr(host)]",
        "set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
        "add-header X-Forwarded-Proto https if { ssl_fc }",
        "set-header X-Forwarded-Proto http if !{ ssl_fc }",
        "set-header X-Forwarded-Proto http unless { ssl_fc }",
        "del-header X-Forwarded-For",
    ],
)
def test_what_lb_says_to_servers_by_itself_is_left_out(tmp_path, rule):
    assert edited(ruled(tmp_path, f"http-request {rule}")) == ({}, [], [4])


def test_an_acl_that_asks_for_tls_says_as_much(tmp_path):
    rules = ("acl tls ssl_fc", "http-request set-header X-Forwarded-Proto https if tls")
    assert edited(ruled(tmp_path, *rules)) == ({}, [], [5])


def test_what_lb_does_not_say_by_itself_is_mapped_or_named(tmp_path):
    rules = (
        "http-request set-header X-Forwarded-Proto https",
        "http-request set-header X-Forwarded-Port 443",
        "http-request set-header X-Forwarded-Port %[dst_port]",
        "http-request set-header X-Forwarded-Proto https if { dst_port 443 }",
        "http-request set-header X-Forwarded-Host %[hdr(host)] if { path /a }",
    )
    assert edited(ruled(tmp_path, *rules)) == (
        {"request_headers": {"set": {"x-forwarded-proto": "https", "x-forwarded-port": "443"}}},
        [6, 7, 8],
        [],
    )


def test_edits_are_done_in_their_order(tmp_path):
    rules = (
        "http-request del-header X-A",
        "http-request set-header X-A one",
        "http-request set-header X-A two",
        "http-request add-header X-A three",
        "http-request add-header X-A four",
        "http-request set-header X-B one",
        "http-request del-header X-B",
        "http-request add-header X-B two",
        "http-request add-header X-C one",
        "http-request set-header X-C two",
    )
    assert edited(ruled(tmp_path, *rules)) == (
        {
            "request_headers": {
                "set": {"x-a": "two", "x-c": "two"},
                "add": {"x-a": "three", "x-b": "two"},
                "remove": ["x-b"],
            }
        },
        [8],
        [4, 5, 9, 12],
    )


def test_what_cannot_be_edited_is_named(tmp_path):
    rules = (
        "http-request del-header Host",
        "http-request set-header Connection close",
        "http-request set-header X-A %[path,lower]",
        "http-request set-header X-B %[hdr(host),lower]",
    )
    expected = {"request_headers": {"set": {"x-b": "${host}"}}}
    assert edited(ruled(tmp_path, *rules)) == (expected, [4, 5, 6], [])


def test_a_path_is_rewritten_once(tmp_path):
    rules = (
        "http-request replace-path ^/a(.*) /b\\1",
        "http-request replace-path ^/b(.*) /c\\1",
        "http-request set-path /d%[path]",
    )
    assert edited(ruled(tmp_path, *rules)) == (
        {"rewrite": {"regex": "^/a(.*)", "to": r"/b\1"}},
        [5, 6],
        [],
    )


@pytest.mark.parametrize(
    ("lines", "retry", "named"),
    [
        (["retries 20"], {"attempts": 10}, [4]),
        (["retries 3"], {"attempts": 3}, []),
        (
            ["retry-on all-retryable-errors"],
            {"on": ["connect", "reset", "timeout", 500, 502, 503, 504]},
            [],
        ),
        (["retry-on conn-failure junk-response 0rtt-rejected"], {"on": ["connect"]}, [4, 4]),
        (["retry-on none"], {"attempts": 0}, []),
        (["retry-on 404 503"], {"on": [404, 503]}, []),
    ],
)
def test_retries(tmp_path, lines, retry, named):
    text = "\n".join(lines)
    draft = made(
        tmp_path,
        f"defaults\n  mode http\n  timeout connect 1s\n{text}\nlisten l\n  bind :80\n"
        "  server a 10.0.0.1:80\n",
    )
    assert edited(draft)[:2] == ({"retry": retry}, named)


@pytest.mark.parametrize(
    "rule",
    [
        "http-request deny status 429 hdr retry-after 1 if { path /a }",
        "http-request deny deny_status 429 string slow if { path /a }",
        "http-request return status 200 string a hdr x-a b if { path /a }",
    ],
)
def test_what_an_answer_has_besides_is_named(tmp_path, rule):
    draft = ruled(tmp_path, rule)
    assert Routed(draft, tmp_path).ask("GET", "http://x/a")[0] in (200, 429)
    assert [gap.line for gap in draft.lost] == [4]


@pytest.mark.parametrize(
    "line",
    [
        "option forwardfor header X-Client",
        "balance uri depth 3",
        "balance url_param a check_post",
        "cookie S insert postonly",
        "option httpchk GET /a HTTP/1.1\\r\\nX-A:\\ b",
        "http-check send meth GET uri /a body x",
    ],
)
def test_what_a_line_has_besides_is_named(tmp_path, line):
    text = f"listen l\n  mode http\n  bind :80\n  {line}\n  option httpchk\n  server a 10.0.0.1:80 check\n"
    draft = made(tmp_path, text)
    assert 4 in [gap.line for gap in draft.lost]
    assert draft.problems() == []


@pytest.mark.parametrize(
    "condition",
    [
        " || ".join(f"!{{ hdr(h{number}) v }}" for number in range(40)),
        " ".join(f"{{ hdr(h{number}) a b c }}" for number in range(40)),
        " ".join(f"!{{ hdr(h{number}) a b c }}" for number in range(40)),
    ],
    ids=["alternatives", "all", "none"],
)
def test_conditions_that_multiply_are_refused_before_they_do(tmp_path, condition):
    allows = [f"http-request return status 200 if {{ hdr(x) {number} }}" for number in range(20)]
    draft = ruled(tmp_path, f"http-request deny if {condition}", *allows)
    assert Routed(draft, tmp_path).ask("GET", "http://x/") == (403, "")
    assert [gap.why for gap in draft.lost] == [
        "it would take more than 500 routes; so what comes after it refuses with 403"
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "tcp-request connection reject if { src 10.0.0.0/8 }",
        "tcp-request content reject if { src 10.0.0.0/8 }",
        "tcp-request content silent-drop unless { src 192.168.0.0/16 }",
        "block if { src 10.0.0.0/8 }",
    ],
)
def test_what_refuses_connections_refuses_requests(tmp_path, rule):
    draft = ruled(tmp_path, "http-request return status 200 if { path /a }", rule)
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://x/a", client="10.1.1.1") == (403, "")
    assert routed.ask("GET", "http://x/a", client="192.168.1.1") == (200, "")
    assert draft.lost == []


@pytest.mark.parametrize("word", ["||", "or"])
def test_of_a_refusal_that_asks_for_rates_too_the_rest_stays(tmp_path, word):
    rule = f"http-request deny if {{ sc0_http_req_rate gt 9 }} {word} {{ src 10.0.0.0/8 }} {{ path /a }}"
    draft = ruled(tmp_path, rule)
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://x/a", client="10.1.1.1") == (403, "")
    assert routed.ask("GET", "http://x/a") == ("b", "/a")
    assert [gap.line for gap in draft.lost] == [4]
    draft = ruled(tmp_path, f"http-request deny if {{ sc0_http_req_rate gt 9 }} {word} {{ src -f /bad }}")
    assert Routed(draft, tmp_path).ask("GET", "http://x/a") == (403, "")


def test_what_refuses_connections_and_does_not_map_closes_what_comes_after_it(tmp_path):
    rate = "tcp-request connection reject if { src_conn_rate gt 10 }"
    draft = ruled(tmp_path, "tcp-request connection reject if { src -f /bad }", rate)
    assert Routed(draft, tmp_path).ask("GET", "http://x/") == (403, "")
    assert [gap.line for gap in draft.lost] == [5, 4]
    draft = ruled(tmp_path, rate, "tcp-request content accept if { src 10.0.0.1 }")
    assert Routed(draft, tmp_path).ask("GET", "http://x/") == ("b", "/")
    assert [gap.line for gap in draft.lost] == [4, 5]


def test_an_address_behind_the_name_of_a_section_is_a_bind(tmp_path):
    text = """defaults
  mode http
frontend main *:5000
  default_backend app
listen app
  server a 10.0.0.1:80 check resolvers dns
  use_backend app if { path /x }
"""
    draft = made(tmp_path, text)
    assert [one["bind"] for one in draft.listeners] == [[":5000"]]
    assert Routed(draft, tmp_path).ask("GET", "http://x/x") == ("app", "/x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acl a path_beg /x # why", ["acl", "a", "path_beg", "/x"]),
        (r"string a\ b\#c", ["string", "a b#c"]),
        (r"""x "a b" 'c "d"' e"f"g """, ["x", "a b", 'c "d"', "efg"]),
        (r"path_reg \.png$ (.*)\1", ["path_reg", r"\.png$", r"(.*)\1"]),
        (r'x "a\"b\.c" ""', ["x", r'a"b\.c', ""]),
        (r"x \x41B", ["x", "AB"]),
        ("  # nothing", []),
    ],
)
def test_words(text, words):
    assert words_of(text, "f:1") == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frontend f\n  bind ':80\n", ":2: the quote ' is not closed"),
        ("bind :80\n", ":1: bind stands in no section"),
        ("# nothing\n", "no section of HAProxy"),
    ],
)
def test_what_is_no_haproxy_cfg_says_where(tmp_path, text, said):
    with pytest.raises(UnreadableError, match=said):
        made(tmp_path, text)
