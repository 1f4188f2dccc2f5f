"""nginx.conf through `lb import`: the result loads, and requests go where nginx sends them."""

from __future__ import annotations

import sys

import pytest

from lb.importing.nginx import import_nginx
from lb.importing.result import MissingPackageError, UnreadableError
from tests.importing.routed import SAMPLES, Routed, directives

SHOP = "http://shop.example.com"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Routed(import_nginx(SAMPLES / "shop.nginx.conf"), tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Routed(import_nginx(SAMPLES / "site.nginx.conf"), tmp_path_factory.mktemp("site"))


# nginx: the server by its name, else the default one; then =, ^~, ~ and ~* in order, the longest prefix.
ROUTED = [
    (f"{SHOP}/", {}, ("shop", "/")),
    (f"{SHOP}/cart/7", {}, ("shop", "/cart/7")),
    (f"{SHOP}/healthz", {}, (200, "")),
    (f"{SHOP}/healthz/x", {}, ("shop", "/healthz/x")),
    (f"{SHOP}/admin/users", {"client": "10.9.8.7"}, ("shop", "/admin/users")),
    (f"{SHOP}/admin/users", {"client": "192.168.1.9"}, ("shop", "/admin/users")),
    (f"{SHOP}/admin/users", {"client": "192.168.2.9"}, (403, "")),
    (f"{SHOP}/a/b.PNG", {}, ("api", "/a/b.PNG")),  # ~* before the prefix /
    (f"{SHOP}/ws/a.css", {}, ("api", "/ws/a.css")),  # and before a longer one
    (f"{SHOP}/raw/a.css", {}, ("shop", "/a.css")),  # but not before ^~
    (f"{SHOP}/private/x", {}, (403, "")),  # auth_basic did not map: closed, not open
    ("http://www.shop.example.com/a", {}, (301, "http://shop.example.com${uri}")),
    ("http://api.example.com/v1/users", {}, ("api", "/users")),
    ("http://eu.api.example.com/v1/users", {}, ("api", "/users")),
    ("http://api.example.com/v2", {}, (404, "")),  # not the default server's
    ("http://other.example.com/v1/users", {}, (404, "")),
]


@pytest.mark.parametrize(("url", "more", "expected"), ROUTED)
def test_requests_go_where_nginx_sends_them(shop, url, more, expected):
    assert shop.ask("GET", url, **more) == expected


def test_servers_limits_and_headers_are_those_of_the_file(shop):
    service = shop.spec.services["shop"]
    assert [(one.address, one.weight, one.backup) for one in service.servers] == [
        ("10.0.0.11:8080", 3, False),
        ("10.0.0.12:8080", 1, False),
        ("10.0.0.13:8080", 1, True),
    ]
    assert service.algorithm.name == "least_connections"
    assert (service.outlier.consecutive_failures, service.outlier.ejection) == (2, 15)
    api = shop.spec.services["api"]
    assert (api.algorithm.key, api.algorithm.method) == ("header:x-tenant", "ketama")
    assert api.connections.max_per_server == 200
    (listener,) = shop.spec.listeners
    assert listener.bind == ("0.0.0.0:80", "[::]:80")
    assert listener.limits.max_body == 20 * 2**20
    route = shop.route("GET", f"{SHOP}/")
    assert (route.timeout.connect, route.timeout.response, route.timeout.idle) == (3, 90, 90)
    assert route.retry.attempts == 2 and "503" in route.retry.on
    assert route.request_headers.set == {"x-real-ip": "${client_ip}"}
    assert shop.route("GET", f"{SHOP}/raw/x").rewrite.host == "shop"  # nginx' Host where nothing sets it


def test_what_did_not_map_is_named_with_its_place(shop):
    assert directives(shop.draft.lost) == [
        (15, "gzip on"),
        (95, "auth_basic staff"),
        (109, "limit_req zone=perip burst=20"),
    ]
    for gap in shop.draft.gaps:
        assert f"# - {gap}" in shop.draft.text()


SITE = [
    ("http://example.com/a?b=1", "0.0.0.0:80", (301, "https://${host}${uri}")),
    ("http://example.com/a", "0.0.0.0:443", ("app", "/a")),
    ("http://example.com/blog/x", "0.0.0.0:443", ("10.0.5.1:2368", "/ghost/x")),
    ("http://example.com/old", "0.0.0.0:443", (308, "/new")),
    ("http://example.com/legacy/a/b", "0.0.0.0:443", ("app", "/v0/a/b")),
    ("http://example.com/php/x", "0.0.0.0:443", (404, "")),
    ("http://example.com/secure/x", "0.0.0.0:443", (502, "")),
    ("http://example.com/internal", "0.0.0.0:443", (403, "")),
]


@pytest.mark.parametrize(("url", "listener", "expected"), SITE)
def test_a_file_of_conf_d_alone(site, url, listener, expected):
    assert site.ask("GET", url, listener=listener) == expected


def test_tls_is_never_served_in_the_clear_to_others(site):
    listener = site.spec.listeners[1]
    assert listener.bind == ("127.0.0.1:8443",)
    assert any("does not end TLS yet" in gap.why and gap.line == 16 for gap in site.draft.lost)
    assert [(one.address, one.weight) for one in site.spec.services["app"].servers] == [
        ("app1.internal:80", 1),
        ("unix:/run/app.sock", 2),
        ("10.0.0.9:8080", 0),
    ]


def made(tmp_path, text):
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    return import_nginx(file)


def test_a_rule_of_access_that_does_not_map_closes_the_location(tmp_path):
    draft = made(
        tmp_path,
        "server { location /a/ { deny 10.0.0.1; allow 10.0.0.0/8; deny all; proxy_pass http://10.0.0.9; } }",
    )
    assert Routed(draft, tmp_path).ask("GET", "http://x/a/b", client="10.0.0.5") == (403, "")
    assert [gap.line for gap in draft.lost] == [1]


def test_an_inner_rule_of_access_replaces_all_outer_ones(tmp_path):
    text = """server { allow 10.0.0.0/8; deny all;
        location / { proxy_pass http://10.0.0.9; }
        location /shut/ { deny all; proxy_pass http://10.0.0.9; }
        location /read/ { limit_except GET { deny all; } proxy_pass http://10.0.0.9; }
        location /app/ { proxy_pass http://10.0.0.9; location ~ \\.php$ { return 404; } } }"""
    routed = Routed(made(tmp_path, text), tmp_path)
    inside = {"client": "10.1.1.1"}
    assert routed.ask("GET", "http://x/", **inside) == ("10.0.0.9", "/")
    assert routed.ask("GET", "http://x/") == (403, "")
    assert routed.ask("GET", "http://x/shut/a", **inside) == (403, "")
    assert routed.ask("HEAD", "http://x/read/a", **inside) == ("10.0.0.9", "/read/a")
    assert routed.ask("POST", "http://x/read/a", **inside) == (403, "")
    assert routed.ask("GET", "http://x/app/a.php", **inside) == (404, "")
    assert routed.ask("GET", "http://x/a.php", **inside) == ("10.0.0.9", "/a.php")


def test_what_try_files_ends_with_gets_all_requests(tmp_path):
    text = """server { server_name a; location / { try_files $uri @app; }
            location @app { proxy_pass http://10.0.0.9; } }
        server { server_name b; try_files $uri @app; location @app { proxy_pass http://10.0.0.8; } }
        server { server_name c; location / { try_files $uri @none; } }"""
    draft = made(tmp_path, text)
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://a/x") == ("10.0.0.9", "/x")
    assert routed.ask("GET", "http://b/x") == ("10.0.0.8", "/x")
    assert routed.ask("GET", "http://c/x") == (404, "")
    assert [gap.directive for gap in draft.lost] == [*["try_files $uri @app"] * 2, "try_files $uri @none"]


ASK = "auth_basic staff;"
OFFICE = "allow 10.0.0.0/8; deny all;"
LEADING = "location / { %s try_files $uri @app; } location @app { %s proxy_pass http://10.0.0.9; }"
CONDITION = "if ($arg_a) { return 403; }"


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (f"{ASK} try_files $uri @app; location @app {{ proxy_pass http://10.0.0.9; }}", "auth_basic staff"),
        (f"try_files $uri @app; location @app {{ {ASK} proxy_pass http://10.0.0.9; }}", "auth_basic staff"),
        (LEADING % ("", ASK), "auth_basic staff"),
        (LEADING % (ASK, ""), "auth_basic staff"),
        (LEADING % ("", CONDITION), "if $arg_a"),
        (LEADING % ("", "limit_except GET { allow 10.0.0.1; deny all; }"), "limit_except GET"),
        (LEADING % (OFFICE, "allow 10.1.0.0/16; deny all;"), "allow 10.1.0.0/16; deny all"),
        (f"location / {{ {CONDITION} return 200; }}", "if $arg_a"),
    ],
)
def test_what_guards_the_way_to_a_named_location_and_does_not_map_closes_it(tmp_path, inside, why):
    draft = made(tmp_path, f"server {{ {inside} }}")
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://x/a", client="10.1.1.1") == (403, "")
    assert [gap.directive for gap in draft.lost if "refuses with 403" in gap.why] == [why]


@pytest.mark.parametrize(
    "inside",
    [
        f"{OFFICE} try_files $uri @app; location @app {{ proxy_pass http://10.0.0.9; }}",
        f"try_files $uri @app; location @app {{ {OFFICE} proxy_pass http://10.0.0.9; }}",
        LEADING % ("", OFFICE),
        LEADING % (OFFICE, ""),
        LEADING % (OFFICE, OFFICE),
    ],
)
def test_who_may_come_to_a_named_location(tmp_path, inside):
    routed = Routed(made(tmp_path, f"server {{ {inside} }}"), tmp_path)
    assert routed.ask("GET", "http://x/a", client="10.1.1.1") == ("10.0.0.9", "/a")
    assert routed.ask("GET", "http://x/a") == (403, "")


def test_methods_and_addresses_of_two_locations_hold_together(tmp_path):
    text = LEADING % ("limit_except GET { deny all; }", OFFICE)
    routed = Routed(made(tmp_path, f"server {{ {text} }}"), tmp_path)
    assert routed.ask("GET", "http://x/a", client="10.1.1.1") == ("10.0.0.9", "/a")
    assert routed.ask("POST", "http://x/a", client="10.1.1.1") == (403, "")
    assert routed.ask("GET", "http://x/a") == (403, "")


def test_try_files_is_of_its_own_block_alone_and_comes_before_proxy_pass(tmp_path):
    text = """server { try_files $uri @app; location @app { proxy_pass http://10.0.0.9; }
        location /in/ { }
        location /both/ { try_files $uri @app;
        proxy_pass http://10.0.0.8; }
        location /answer/ { try_files $uri @answer; }
        location @answer { return 410;
        if ($arg_a) { set $b 1; } } }"""
    draft = made(tmp_path, text)
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://x/a") == ("10.0.0.9", "/a")
    assert routed.ask("GET", "http://x/in/a") == (404, "")
    assert routed.ask("GET", "http://x/both/a") == ("10.0.0.9", "/both/a")
    assert routed.ask("GET", "http://x/answer/a") == (410, "")
    assert {(4, "proxy_pass http://10.0.0.8"), (7, "if $arg_a")} <= {*directives(draft.lost)}


PLAIN = "location / { proxy_pass http://10.0.0.9; }"


@pytest.mark.parametrize("inside", ["return 403;", "return 404;", "root /srv;", "deny all;"])
def test_the_same_place_in_other_words_is_refused_too(tmp_path, inside):
    draft = made(tmp_path, f"server {{ {PLAIN} location /admin {{ {inside} }} }}")
    routed = Routed(draft, tmp_path)
    refused = routed.ask("GET", "http://x/admin/a")
    assert refused in ((403, ""), (404, ""))
    for path in ("//admin/a", "/%61dmin/a", "/admin%2fa"):
        assert routed.ask("GET", f"http://x{path}") == (403, "")
    assert routed.ask("GET", "http://x/a") == ("10.0.0.9", "/a")


def test_priorities_are_where_the_order_of_lb_is_another_alone(tmp_path):
    draft = made(tmp_path, f"server {{ server_name a *.a; {PLAIN} location = /a {{ return 200; }} }}")
    assert not any("priority" in route for route in draft.routes)


def test_a_rewrite_of_a_server_comes_before_its_locations(tmp_path):
    draft = made(tmp_path, f"server {{ rewrite ^/old$ http://new.test/ permanent; {PLAIN} }}")
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://x/old") == (301, "http://new.test/")
    assert routed.ask("GET", "http://x/a") == ("10.0.0.9", "/a")


def test_a_return_of_a_server_comes_after_what_stands_before_it(tmp_path):
    text = """server { server_name a;
        if ($host = a) { return 301 https://$host$request_uri; } return 404; }
        server { server_name b; if ($arg_a) { return 403; } rewrite ^/x$ http://c/; return 200 open;
        if ($host = b) { return 301 https://$host$request_uri; } }"""
    draft = made(tmp_path, text)
    routed = Routed(draft, tmp_path)
    assert routed.ask("GET", "http://a/x") == (301, "https://${host}${uri}")
    assert routed.ask("GET", "http://b/x") == (403, "")
    assert [gap.line for gap in draft.lost] == [3, 4]


@pytest.mark.parametrize(
    ("inside", "named", "expected"),
    [
        ("add_header Link a;\nadd_header Link b;", [2], {"response_headers": {"set": {"link": "b"}}}),
        (
            "proxy_set_header X-A a;\nproxy_set_header x-a b;",
            [2],
            {"request_headers": {"set": {"x-a": "b"}}},
        ),
        ("proxy_set_header X-A a;\nproxy_set_header x-a '';", [2], {"request_headers": {"remove": ["x-a"]}}),
        ("proxy_hide_header X-A;\nproxy_hide_header x-a;", [], {"response_headers": {"remove": ["x-a"]}}),
        ("proxy_set_header Host a.test;\nproxy_set_header Host $host;", [2], {}),
    ],
)
def test_the_first_of_two_headers_of_a_name_is_named(tmp_path, inside, named, expected):
    draft = made(tmp_path, f"server {{ location / {{ proxy_pass http://10.0.0.9;\n{inside} }} }}")
    assert draft.problems() == []
    assert [gap.line for gap in draft.lost] == named
    (route,) = draft.routes
    assert {key: route[key] for key in ("request_headers", "response_headers") if key in route} == expected


def test_the_first_of_two_headers_of_an_answer_is_named(tmp_path):
    text = "add_header X-A a;\nadd_header X-A b;\nadd_header X-B c;\nadd_header X-B d always;"
    draft = made(tmp_path, f"server {{ location / {{ return 404;\n{text} }} }}")
    assert draft.routes[0]["response_headers"] == {"set": {"x-b": "d"}}
    assert [gap.line for gap in draft.lost] == []
    draft = made(tmp_path, f"server {{ location / {{ return 200;\n{text} }} }}")
    assert draft.routes[0]["response_headers"] == {"set": {"x-a": "b", "x-b": "d"}}
    assert [gap.line for gap in draft.lost] == [2, 4]


def test_what_a_line_has_besides_is_named(tmp_path):
    text = """http { access_log /a combined;
        access_log /b combined;
        upstream u { random two least_time=header;
        server 10.0.0.1 fail_timeout=5s; }
        server { listen 80 http2;
        listen 81 reuseport;
        location / { proxy_pass http://u; } } }"""
    draft = made(tmp_path, text)
    assert [gap.line for gap in draft.lost] == [2, 3, 5]
    assert [int(one.split(":")[1]) for one in draft.left_out] == [6]
    outlier = Routed(draft, tmp_path).spec.services["u"].outlier
    assert (outlier.consecutive_failures, outlier.ejection) == (1, 5)


def test_an_include_without_files_is_named(tmp_path):
    draft = made(tmp_path, "http { include conf.d/*.conf; }")
    assert (1, "include conf.d/*.conf") in directives(draft.lost)


def test_nothing_of_tls_is_dropped_in_silence(tmp_path):
    text = """server { listen 443 ssl http2;
        ssl_certificate a.pem;
        ssl_protocols TLSv1.3;
        location / { proxy_pass http://10.0.0.9;
        proxy_ssl_verify on; } }"""
    assert [gap.line for gap in made(tmp_path, text).lost] == [1, 2, 3, 5]


def test_no_text_of_the_source_leaves_its_comment(tmp_path):
    draft = made(
        tmp_path, """server { location / { return 200 "$x\nworkers: 9"; error_page 404 "a\nworkers: 8"; } }"""
    )
    assert Routed(draft, tmp_path).spec.workers == "auto"
    assert len(draft.lost) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http { server { listen 80; }\n", ":1: unexpected end of file"),
        ("server { listen 80; client_max_body_size lots; }", "lots is no size"),
    ],
)
def test_what_is_no_nginx_conf_says_where(tmp_path, text, said):
    with pytest.raises(UnreadableError, match=said):
        made(tmp_path, text)


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "crossplane", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'lb\[import\]'"):
        made(tmp_path, "events {}")
