# ruff: noqa: E501 - tables of messages read better unbroken
"""From a Spec to a Plan: every key arrives, in the units of the Plan, with its counters."""

import pytest

from lb.config import loads
from lb.control.planning import make_plan
from lb.plan import (
    AccessLogPlan,
    AdaptivePlan,
    AlgorithmPlan,
    BreakerPlan,
    ConnectionsPlan,
    HeaderEditsPlan,
    LimitsPlan,
    ListenerPlan,
    MatchPlan,
    MirrorPlan,
    RedirectPlan,
    RespondPlan,
    RetryPlan,
    RewritePlan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    StickyPlan,
    TimeoutPlan,
    ValuePlan,
    WeightedService,
)


class Slots:
    """Numbers identities from 100 in the order in which they are asked for."""

    def __init__(self):
        self.given = {}

    def slot(self, *identity):
        return self.given.setdefault(identity, 100 + len(self.given))

    def listener(self, name):
        return self.slot("listener", name)

    def route(self, route, service):
        return self.slot("route", route, service)

    def mirror(self, route, service):
        return self.slot("mirror", route, service)

    def server(self, service, address):
        return self.slot("server", service, address)


KEY = "ab" * 32  # what control keeps for services whose sticky has no secret


def plan_of(text):
    slots = Slots()
    return make_plan(loads(text, environment={}), 7, slots, KEY), slots.given


def test_defaults_are_those_of_the_plan():
    plan, slots = plan_of('listeners: [":80"]\nservices: {app: ["a:1"]}\nroutes: {/: app}\n')
    assert plan.generation == 7
    assert plan.shutdown_grace == 30.0
    assert plan.access_log == AccessLogPlan("stdout", "json")
    assert plan.listeners == (ListenerPlan(":80", ("0.0.0.0:80",), slot=slots["listener", ":80"]),)
    route = RoutePlan(
        "/", MatchPlan(path_prefix=("/",)), services=(WeightedService("app", 1, slots["route", "/", "app"]),)
    )
    assert plan.routes == (route,)
    assert plan.services == (
        ServicePlan("app", servers=(ServerPlan("a:1", slot=slots["server", "app", "a:1"]),)),
    )
    # The defaults of the records are the ones of the configuration, too.
    assert (plan.listeners[0].limits, plan.routes[0].timeout) == (LimitsPlan(), TimeoutPlan())
    assert (plan.routes[0].retry, plan.services[0].connections) == (RetryPlan(), ConnectionsPlan())


def test_every_key_arrives():
    plan, slots = plan_of(
        r"""
shutdown_grace: 2m
access_log: {path: /tmp/x.log, format: combined, sample: 5%, slow: 2s, redact: {client: subnet, query: [a], omit: [host]}}
listeners:
  - name: web
    bind: [":80", "unix:/tmp/s"]
    trusted_proxies: [10.0.0.0/8]
    forwarded_headers: [forwarded]
    proxy_status: true
    limits: {max_connections: 1, header_timeout: 2s, idle_timeout: 3s, body_timeout: 4s, max_header_bytes: 5KiB,
             max_headers: 6, max_body: 7MiB, max_age: 8s}
services:
  app:
    algorithm: {name: consistent_hash, key: "header:X-User", method: ketama, bounded_load: 1.5}
    servers: ["a:1", {address: "b:1", weight: 3, backup: true}, {address: "c:1", priority: 2}]
    connections: {max_idle: 1, idle_timeout: 2s, max_age: 3s, max_per_server: 4, queue: 5, queue_timeout: 6s}
    health_check: {http: /}
    outlier: {consecutive_failures: 7}
    sticky: {cookie: c, ttl: 90s, path: /a, domain: x.example, secure: true, http_only: false, same_site: none}
    slow_start: 8s
    panic_threshold: 9%
    breaker: {server: {failures: 10%, min_requests: 11, window: 12s, open: 13s}, service: {open: 14s}}
    adaptive_concurrency: {least: 15, most: 16}
  hash: {algorithm: consistent_hash, servers: ["a:1"]}
  mine: {algorithm: {name: "my.own:Class", key: path, options: {a: 1, b: x}}, servers: ["a:1"]}
routes:
  - name: api
    priority: 3
    match:
      listener: web
      host: [A.example, "*.b.example"]
      path: [/a, /b]
      method: GET
      header: {X-A: "1"}
      query: {q: {regex: "^a"}}
      cookie: {c: {present: false}}
      client_ip: 10.0.0.1
    split: [{service: app, weight: 9}, {service: hash, weight: 1}]
    rewrite: {strip_prefix: /a, add_prefix: /b, host: server}
    request_headers: {set: {X-A: b}, add: {X-C: "${path}"}, remove: [X-D]}
    response_headers: {remove: [server]}
    timeout: {connect: 1s, attempt: 1500ms, response: 2s, total: 3s, idle: 4s}
    retry: {attempts: 2, on: [reset, timeout, 503], methods: [GET], budget: 30%, budget_floor: 4, backoff: 5ms,
            backoff_max: 6ms, replay: 7KiB, hedge: 8ms}
    mirror: {service: mine, share: 9%, compare: {status: false, headers: [X-A], body: false}, max_body: 10KiB}
  - {name: prefix, match: {path_prefix: /p}, service: mine, rewrite: {regex: "^/(.*)", to: '/\1'}}
  - {name: regex, match: {path_regex: "^/r"}, redirect: {to: "https://x${uri}", status: 301}}
  - {name: answer, respond: {status: 418, body: short, headers: {X-A: b}}, response_headers: {set: {x-b: c}}}
"""
    )
    assert plan.shutdown_grace == 120.0
    assert plan.access_log == AccessLogPlan("/tmp/x.log", "combined", 0.05, 2.0, True, ("a",), ("host",))
    assert plan.listeners == (
        ListenerPlan(
            "web", ("0.0.0.0:80", "unix:/tmp/s"), ("10.0.0.0/8",), ("forwarded",), True,
            LimitsPlan(1, 2.0, 3.0, 4.0, 5120, 6, 7 * 2**20, 8.0), slots["listener", "web"],
        ),
    )  # fmt: skip
    api, prefix, regex, answer = plan.routes
    assert api == RoutePlan(
        name="api",
        match=MatchPlan(
            ("web",), ("a.example", "*.b.example"), ("/a", "/b"), (), (), ("GET",), (ValuePlan("x-a", ("1",)),),
            (ValuePlan("q", regex="^a"),), (ValuePlan("c", present=False),), ("10.0.0.1/32",),
        ),
        priority=3,
        services=(
            WeightedService("app", 9, slots["route", "api", "app"]),
            WeightedService("hash", 1, slots["route", "api", "hash"]),
        ),
        rewrite=RewritePlan("/a", "/b", host="server"),
        request_headers=HeaderEditsPlan((("x-a", "b"),), (("x-c", "${path}"),), ("x-d",)),
        response_headers=HeaderEditsPlan(remove=("server",)),
        timeout=TimeoutPlan(1.0, 1.5, 2.0, 3.0, 4.0),
        retry=RetryPlan(2, ("reset", "timeout", "503"), ("GET",), 0.3, 4.0, 0.005, 0.006, 7168, 0.008),
        mirror=MirrorPlan("mine", 0.09, False, ("x-a",), False, 10240, slots["mirror", "api", "mine"]),
    )  # fmt: skip
    assert prefix.rewrite == RewritePlan(regex="^/(.*)", to=r"/\1")
    assert prefix.match == MatchPlan(path_prefix=("/p",))
    assert regex.redirect == RedirectPlan("https://x${uri}", 301)
    assert regex.match == MatchPlan(path_regex=("^/r",))
    assert regex.slot == slots["route", "regex", ""]
    assert answer.respond == RespondPlan(418, "short", (("x-a", "b"),))
    assert answer.slot == slots["route", "answer", ""]
    app, hashed, mine = plan.services
    assert app.algorithm == AlgorithmPlan(
        "consistent_hash", "header:x-user", {"method": "ketama", "bounded_load": 1.5}
    )
    assert app.servers == (
        ServerPlan("a:1", 1, False, 0, slots["server", "app", "a:1"]),
        ServerPlan("b:1", 3, True, 0, slots["server", "app", "b:1"]),
        ServerPlan("c:1", 1, False, 2, slots["server", "app", "c:1"]),
    )
    assert app.connections == ConnectionsPlan(1, 2.0, 3.0, 4, 5, 6.0)
    assert app.suspect_after == 7
    assert app.sticky == StickyPlan(
        "c", KEY, 90.0, "; Path=/a; Domain=x.example; Max-Age=90; Secure; SameSite=None"
    )
    assert (app.slow_start, app.panic_threshold) == (8.0, 0.09)
    assert app.server_breaker == BreakerPlan(0.1, 11, 12.0, 13.0)
    assert app.service_breaker == BreakerPlan(open=14.0)
    assert app.adaptive == AdaptivePlan(15, 16)
    assert hashed.algorithm == AlgorithmPlan("consistent_hash", "client_ip")
    assert mine.algorithm == AlgorithmPlan("my.own:Class", "path", {"a": 1, "b": "x"})


def test_a_secret_arrives_as_its_text(tmp_path):
    (tmp_path / "t").write_text("s3cret\n")
    plan, _ = plan_of(
        'listeners: [":80"]\nservices: {app: ["a:1"]}\nroutes:\n'
        f"  - {{name: r, service: app, request_headers: {{add: {{x-a: {{file: {tmp_path}/t}}}}}}}}\n"
    )
    assert plan.routes[0].request_headers == HeaderEditsPlan(add=(("x-a", "s3cret"),))


def test_the_defaults_of_what_is_switched_on():
    plan, slots = plan_of(
        'listeners: [":80"]\nservices: {app: {servers: ["a:1"], outlier: {}, sticky: lb, breaker: {server: {}}, '
        "adaptive_concurrency: true}}\nroutes: [{name: r, service: app, mirror: {service: app}}]\n"
    )
    (app,), (route,) = plan.services, plan.routes
    assert app.sticky == StickyPlan("lb", KEY)
    assert (app.server_breaker, app.service_breaker) == (BreakerPlan(), None)
    assert (app.adaptive, app.suspect_after) == (AdaptivePlan(), 5)
    assert route.mirror == MirrorPlan("app", slot=slots["mirror", "r", "app"])


def test_the_secret_of_sticky_sessions_becomes_a_key(tmp_path):
    (tmp_path / "t").write_text("0123456789abcdef\n")
    text = f'listeners: [":80"]\nservices: {{s: {{servers: ["a:1"], sticky: {{cookie: c, secret: {{file: {tmp_path}/t}}}}}}}}'
    plan, _ = plan_of(text)
    # printf 0123456789abcdef | sha256sum
    assert plan.services[0].sticky.key == "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"


@pytest.mark.parametrize("text", ["access_log: off", "access_log:"])
def test_no_access_log(text):
    assert plan_of(f'listeners: [":80"]\n{text}\n')[0].access_log is None
