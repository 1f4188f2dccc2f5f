"""Liveness, readiness, metrics."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lb.admin.view import Condition
from lb.telemetry.metrics import PROTOBUF, TEXT
from tests.telemetry.wire import families

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


def test_live_and_ready(ask):
    assert ask("GET", "/livez").body == b"ok\n"
    reply = ask("GET", "/readyz")
    assert (reply.status, reply.body) == (200, b"ready\n")


def test_not_ready_while_draining(control, ask):
    control.all_conditions.append(Condition("draining", False, "SIGTERM was received"))
    reply = ask("GET", "/readyz")
    assert (reply.status, reply.body) == (503, b"not ready\n")
    assert ask("GET", "/livez").status == 200
    assert ask("GET", "/api/v1/status").json()["ready"] is False


def test_verbose_names_every_condition(control, ask):
    control.all_conditions.append(Condition("draining", False, "SIGTERM was received"))
    assert ask("GET", "/readyz?verbose").body.decode() == (
        "not ready\n[+] configuration\n[+] workers: 1 of 2 run\n[-] draining: SIGTERM was received\n"
    )


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;q=0.1, text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=x", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_metrics_are_negotiated_and_parse(ask, accept, content_type):
    reply = ask("GET", "/metrics", headers={"Accept": accept} if accept else {})
    assert reply.headers["Content-Type"] == content_type
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    names = {family.name for family in parse(reply.body.decode())}
    assert {"lb_requests_in_flight", "lb_config_generation", "process_resident_memory_bytes"} <= names


@pytest.mark.parametrize(
    ("parameters", "protobuf"),
    [
        ("proto=io.prometheus.client.MetricFamily;encoding=delimited", True),
        ("proto=io.prometheus.client.MetricFamily; encoding=delimited;q=0.9", True),
        ("proto=io.prometheus.client.MetricFamily;encoding=text", False),
        ("encoding=compact-text", False),
    ],
)
def test_protobuf_is_given_to_who_wants_it_delimited(ask, parameters, protobuf):
    accept = f"application/vnd.google.protobuf;{parameters},text/plain;q=0.5"
    reply = ask("GET", "/metrics", headers={"Accept": accept})
    assert reply.headers["Content-Type"] == (PROTOBUF if protobuf else TEXT)
    if protobuf:
        assert {"lb_requests_in_flight", "lb_config_generation"} <= {one.name for one in families(reply.body)}


def test_metrics_are_compressed_for_who_can(ask):
    reply = ask("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert b"lb_requests_in_flight" in reply.body  # the client has unpacked it
    assert "Content-Encoding" not in ask("GET", "/metrics", headers={"Accept-Encoding": "identity"}).headers
