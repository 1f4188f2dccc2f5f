# ruff: noqa: E501 - tables of messages read better unbroken
"""Outlier detection, breakers, adaptive limits, retries, mirrors, sticky sessions: values and messages."""

import pytest

from lb.config import loads
from lb.config.resilience import AdaptiveSpec, BreakerSpec, OutlierSpec
from tests.config.conftest import BASE, problems_of, route, route_problems, service, service_problems


def test_defaults_are_off():
    found = service("servers: [a:1]", servers="")
    assert (found.outlier, found.sticky, found.breaker, found.adaptive_concurrency) == (
        None,
        None,
        None,
        None,
    )
    assert (found.slow_start, found.panic_threshold, found.servers[0].priority) == (0.0, 0.0, 0)


def test_outlier():
    found = service("outlier: {}").outlier
    assert found == OutlierSpec()
    assert (found.consecutive_failures, found.ejection, found.max_ejection, found.max_ejected) == (
        5,
        30.0,
        300.0,
        0.5,
    )
    assert (found.success_rate, found.latency, found.min_requests, found.min_servers) == (
        "shadow",
        "shadow",
        50,
        3,
    )
    other = service(
        "outlier: {consecutive_failures: 0, success_rate: off, latency: enforce, max_ejected: 10%}"
    ).outlier
    assert (other.consecutive_failures, other.success_rate, other.latency, other.max_ejected) == (
        0,
        "off",
        "enforce",
        0.1,
    )


def test_breakers_and_adaptive():
    breaker = service("breaker: {server: {}, service: {failures: 90%, open: 1s}}").breaker
    assert breaker.server == BreakerSpec()
    assert (breaker.service.failures, breaker.service.min_requests, breaker.service.open) == (0.9, 20, 1.0)
    assert service("breaker: {server: {}}").breaker.service is None
    assert service("adaptive_concurrency: true").adaptive_concurrency == AdaptiveSpec()
    assert service("adaptive_concurrency: false").adaptive_concurrency is None
    assert service("adaptive_concurrency: {least: 1, most: 9}").adaptive_concurrency.most == 9


def test_slow_start_panic_threshold_and_priority():
    found = service(
        "slow_start: 30s, panic_threshold: 50%, servers: [{address: a:1, priority: 3}]", servers=""
    )
    assert (found.slow_start, found.panic_threshold, found.servers[0].priority) == (30.0, 0.5, 3)


def test_sticky(tmp_path):
    found = service("sticky: lb_server").sticky
    assert (found.cookie, found.ttl, found.path, found.domain) == ("lb_server", 0.0, "/", None)
    assert (found.secure, found.http_only, found.same_site, found.secret) == (False, True, "lax", None)
    (tmp_path / "s").write_text("0123456789abcdef\n")
    found = service(
        f"sticky: {{cookie: __Host-c, ttl: 1h, secure: true, same_site: none, secret: {{file: {tmp_path}/s}}}}"
    ).sticky
    assert (found.ttl, found.secret.value.get_secret_value()) == (3600.0, "0123456789abcdef")
    assert "0123456789abcdef" not in repr(found) + found.model_dump_json()


def test_retries():
    retry = route(
        "service: app, timeout: {attempt: 2s}, retry: {on: [timeout, 503], budget: 10%, budget_floor: 0.5, backoff: 0, backoff_max: 1s, replay: 0, hedge: 300ms}"
    )
    found = retry.retry
    assert retry.timeout.attempt == 2.0
    assert (found.on, found.budget, found.budget_floor, found.backoff) == (("timeout", "503"), 0.1, 0.5, 0.0)
    assert (found.backoff_max, found.replay, found.hedge) == (1.0, 0, 0.3)


def test_mirror():
    found = route("service: app, mirror: {service: app}").mirror
    assert (found.service, found.share, found.max_body) == ("app", 1.0, 65536)
    assert (found.compare.status, found.compare.headers, found.compare.body) == (
        True,
        ("content-type",),
        True,
    )
    found = route(
        "service: app, mirror: {service: app, share: 10%, compare: {headers: [X-A], body: false}, max_body: 0}"
    ).mirror
    assert (found.share, found.compare.headers, found.compare.body, found.max_body) == (
        0.1,
        ("x-a",),
        False,
        0,
    )


def test_the_top_level():
    spec = loads(BASE)
    assert (spec.state_dir, spec.events.webhook, spec.listeners[0].limits.max_age) == (None, None, 0.0)
    spec = loads(
        "state_dir: /tmp/lb\nevents: {webhook: 'http://a:1/b'}\nlisteners: [{bind: ':1', limits: {max_age: 1h}}]\n"
    )
    assert (spec.state_dir, spec.events.webhook, spec.listeners[0].limits.max_age) == (
        "/tmp/lb",
        "http://a:1/b",
        3600.0,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outlier: {latency: on}", 'outlier.latency: found "on"; expected off, shadow, enforce'),
        ("outlier: {latency: true}", "outlier.latency: found true; expected text"),
        ("outlier: {ejection: 10m}", "outlier.ejection: ejection (10m) is above max_ejection (5m)"),
        ("outlier: {ejection: 1m, max_ejection: 10s}", "outlier.max_ejection: ejection (1m) is above max_ejection (10s)"),
        ("outlier: {ejection: 1, max_ejection: 10s}", "outlier.ejection: found 1 without a unit"),
        ("outlier: {max_ejected: 0.5}", "outlier.max_ejected: found 0.5 without %; expected a share such as 20% (did you mean 50%?)"),
        ("outlier: {min_servers: 1}", "expected a whole number from 2"),
        ("outlier: {consecutive_errors: 5}", "unknown key"),
        ("outlier: 5", "expected a mapping with the keys consecutive_failures"),
        ("slow_start: 30", "slow_start: found 30 without a unit"),
        ("panic_threshold: 50", "panic_threshold: found 50 without %"),
        ("breaker: {}", "breaker: found an empty mapping; expected server: {}, service: {} or both"),
        ("breaker: {failures: 50%}", 'breaker.failures: unknown key "failures"; allowed: server, service'),
        ("breaker: {server: {failures: 0%}}", "breaker.server.failures: found \"0%\"; expected a share from 1% to 100%"),
        ("breaker: {server: }", "breaker.server: found nothing"),
        ("adaptive_concurrency: {least: 9, most: 5}", "adaptive_concurrency.most: least (9) is above most (5)"),
        ("adaptive_concurrency: {least: 2000}", "adaptive_concurrency.least: least (2000) is above most (1000)"),
        ("sticky: {}", 'the key "cookie" is missing'),
        ("sticky: 'a b'", "a cookie's name has letters, digits"),
        ("sticky: {cookie: 'a;b'}", "sticky.cookie: found \"a;b\"; a cookie's name has"),
        ("sticky: {cookie: a, same_site: none}", "sticky.same_site: browsers refuse \"none\" without secure: true"),
        ("sticky: {cookie: a, same_site: Lax}", '(did you mean "lax"?)'),
        ("sticky: {cookie: __Secure-a}", 'sticky.cookie: browsers refuse "__Secure-a" without secure: true'),
        ("sticky: {cookie: __Host-a, secure: true, path: /a}", "sticky.path: browsers refuse"),
        ("sticky: {cookie: __Host-a, secure: true, domain: a.b}", "sticky.domain: browsers refuse"),
        ("sticky: {cookie: a, path: '/;x'}", 'the path of a cookie has no ";"'),
        ("sticky: {cookie: a, domain: '*.a.b'}", "expected one host"),
        ("sticky: {cookie: a, secret: s3cret}", "found a secret in the open; write it to a file"),
        ("sticky: {cookie: a, secret: {file: /no/such}}", "sticky.secret: cannot read the secret"),
        ("servers: [{address: b:1, priority: -1}]", "expected a whole number from 0 to 100"),
        ("servers: [{address: b:1, priority: 1, backup: true}]", "priority: no effect beside \"backup\": backups come after all"),
    ],
)  # fmt: skip
def test_services_that_cannot_be(text, message):
    (problem,) = service_problems(text, "" if "servers: [" in text else "a:1")
    assert message in problem
    assert "s3cret" not in problem


def test_a_short_secret_is_refused(tmp_path):
    (tmp_path / "s").write_text("hunter2\n")
    (problem,) = service_problems(f"sticky: {{cookie: a, secret: {{file: {tmp_path}/s}}}}")
    assert "has fewer than 16 bytes; make one: openssl rand -hex 32" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("service: app, retry: {on: [time-out]}", 'found "time-out"; expected connect, reset, timeout or a status from 400 to 599 (did you mean "timeout"?)'),
        ("service: app, retry: {budget: 20}", "retry.budget: found 20 without %"),
        ("service: app, retry: {budget_floor: -1}", "expected a number from 0 to 100000"),
        ("service: app, retry: {backoff: 1s}", "retry.backoff: backoff (1s) is above backoff_max (250ms)"),
        ("service: app, retry: {replay: 5}", "or 0 for none (did you mean 5B?)"),
        ("service: app, retry: {attempts: 0, hedge: 1s}", 'retry.hedge: no effect beside "attempts: 0"'),
        ("service: app, timeout: {attempt: 5}", "timeout.attempt: found 5 without a unit"),
        ("service: app, mirror: {service: ap}", 'mirror.service: there is no service "ap"; there are: app (did you mean "app"?)'),
        ("service: app, mirror: {share: 10%}", 'the key "service" is missing'),
        ("service: app, mirror: app", "expected a mapping with the keys service, share"),
        ("service: app, mirror: {service: app, compare: {headers: content-type}}", "expected a list"),
        ("respond: {}, mirror: {service: app}", 'mirror: no effect beside "respond"'),
    ],
)  # fmt: skip
def test_routes_that_cannot_be(text, message):
    (problem,) = route_problems(text)
    assert message in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("state_dir: var/lb", '3:12: state_dir: found "var/lb"; the path of a folder is absolute: /var/lib/lb'),
        ("events: {webhook: 'ftp://a/'}", "3:19: events.webhook: found \"ftp://a/\"; expected a URL such as"),
        ("events: {webhook: 'http://u:s3cret@a/'}", "3:19: events.webhook: found a user name in the URL"),
        ("events: {webhoook: 'http://a/'}", '3:10: events.webhoook: unknown key "webhoook"; allowed: webhook (did you mean "webhook"?)'),
    ],
)  # fmt: skip
def test_the_top_level_that_cannot_be(text, message):
    (problem,) = problems_of(BASE + text)
    assert problem.startswith(message)
    assert "s3cret" not in problem
