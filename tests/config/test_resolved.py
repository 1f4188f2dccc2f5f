# ruff: noqa: E501 - tables of messages read better unbroken
"""What --resolved prints loads again to an equal Spec."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lb.config import load, loads, resolved
from lb.config.environment import escaped
from tests.config.conftest import BASE

EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_come_back_equal(path):
    spec = load(path, {})
    text = resolved(spec)
    assert loads(text, environment={}) == spec
    assert resolved(loads(text, environment={})) == text


def test_defaults_and_units_are_there():
    text = resolved(loads(BASE + "routes: {/: app}\n"))
    for line in (
        "workers: auto", "shutdown_grace: 30s", "- name: /", "admin: {bind: '127.0.0.1:9900'}",
        "  sample: 100%", "  redact: {client: whole}", "methods: idempotent", "algorithm: {name: round_robin}",
        "timeout: {connect: 2s, attempt: 0, response: 30s, total: 0, idle: 1m}",
    ):  # fmt: skip
        assert line in text
    assert "max_header_bytes: 32KiB" in text


def test_a_secret_stays_a_reference(tmp_path):
    (tmp_path / "t").write_text("s3cret")
    spec = loads(
        f"{BASE}routes: [{{name: r, service: app, request_headers: {{set: {{x-a: {{file: {tmp_path}/t}}}}}}}}]"
    )
    text = resolved(spec)
    assert "s3cret" not in text
    assert loads(text) == spec


texts = st.text(alphabet="aZ09 .:-_/{}$[]'\"#&*!|>%@`~é\tyesno", max_size=12)
names = st.one_of(
    st.sampled_from(["yes", "1e3", "null", "0x1f", "12", "~", "=", "<<", "1:30", "${X}", "a:b", "-", "true"]),
    st.text(alphabet="abcXYZ019:._/${}-", min_size=1, max_size=8),
)
plain = st.one_of(texts, names).filter(lambda text: text == text.strip(" \t"))
exact = st.lists(plain, min_size=1, max_size=2)
value = st.one_of(
    exact.map(lambda v: {"exact": v}),
    st.booleans().map(lambda b: {"present": b}),
    st.just({"regex": "^${X}"}),
)
headers = st.dictionaries(
    st.sampled_from(["x-a", "x-on", "x-1"]), plain.filter(lambda t: "${" not in t), max_size=2
)


def percents(least=0, most=100):
    return st.integers(least * 100, most * 100).map(lambda n: f"{n / 100:g}%")


durations = st.integers(1, 10**9).map(lambda n: f"{n}ms")
routes = st.fixed_dictionaries(
    {"service": st.just("app")},
    optional={
        "match": st.fixed_dictionaries(
            {},
            optional={
                "header": st.dictionaries(st.sampled_from(["x-a", "on"]), value, min_size=1),
                "query": st.dictionaries(names, value, min_size=1, max_size=2),
                "path_prefix": st.lists(st.sampled_from(["/", "/a", "/on"]), min_size=1, unique=True),
                "host": st.sampled_from(["a.b", "*.b"]),
            },
        ),
        "priority": st.integers(-5, 5),
        "request_headers": st.fixed_dictionaries({"set": headers}),
        "timeout": st.fixed_dictionaries({}, optional={"connect": durations, "total": st.just(0)}),
        "retry": st.fixed_dictionaries(
            {},
            optional={
                "on": st.lists(st.sampled_from(["connect", "timeout", 502])),
                "methods": st.just([]),
                "budget": percents(),
                "budget_floor": st.sampled_from([0, 3, 0.5]),
                "replay": st.sampled_from([0, "1KiB", "1500B"]),
                "hedge": st.just(0) | durations,
            },
        ),
        "mirror": st.fixed_dictionaries(
            {"service": st.just("app")},
            optional={
                "share": percents(),
                "compare": st.fixed_dictionaries(
                    {}, optional={"headers": st.sampled_from([[], ["x-a", "on"]]), "body": st.booleans()}
                ),
            },
        ),
    },
)


checks = st.fixed_dictionaries(
    {"http": st.sampled_from(["/", "/h?a=b"])},
    optional={
        "host": st.sampled_from(["a.b", "1:30"]),
        "headers": headers,
        "interval_down": durations,
        "jitter": percents(0, 50),
        "expect": st.fixed_dictionaries(
            {}, optional={"status": st.lists(st.sampled_from([204, "200-299"]), min_size=1), "body": texts}
        ),
        "tls": st.sampled_from([True, False, {"verify": False}, {"server_name": "a.b"}]),
        "agent": st.fixed_dictionaries({"port": st.integers(1, 65535)}, optional={"send": texts}),
    },
) | st.sampled_from([{"tcp": True}, {"grpc": ""}, {"grpc": "no"}, {"command": ["on", "~"]}])
services = st.fixed_dictionaries(
    {
        "servers": st.lists(
            st.sampled_from(["a:1", {"address": "b:1", "priority": 1}]), min_size=1, max_size=1
        )
    },
    optional={
        "health_check": checks,
        "outlier": st.sampled_from(
            [{}, {"latency": "off"}, {"consecutive_failures": 0, "max_ejected": "0.01%"}]
        ),
        "sticky": st.sampled_from(["lb", {"cookie": "no", "ttl": "90s"}, {"cookie": "1", "domain": "a.b"}]),
        "slow_start": st.just(0) | durations,
        "panic_threshold": percents(),
        "breaker": st.sampled_from([{"server": {}}, {"service": {"failures": "1%", "window": "1ms"}}]),
        "adaptive_concurrency": st.sampled_from([True, False, {"least": 1}]),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(names, routes, max_size=3),
    st.dictionaries(names, st.just(["a:1"]) | services, max_size=2),
)
def test_any_configuration_comes_back_equal(named, others):
    data = {
        "listeners": [":80"],
        "services": {"app": ["b:1"]} | others,
        "routes": [{"name": name, **route} for name, route in named.items()],
    }
    spec = loads(written(data), environment={})
    assert list(spec.services) == list(data["services"])
    assert [route.name for route in spec.routes] == list(named)
    assert loads(resolved(spec), environment={}) == spec


def written(data):
    """JSON is YAML; what looks like a reference to the environment is text here."""
    return json.dumps(_escaped(data), ensure_ascii=False)


def _escaped(value):
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return escaped(value) if isinstance(value, str) else value
