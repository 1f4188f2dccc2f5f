"""Spans as OpenTelemetry's own protobuf reads them."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from lb.outcomes import Outcome
from lb.telemetry.decision import Attempt, Decision, Kept
from lb.telemetry.spans import count, encode, lacking, rejected

ONE = Decision(
    9.0, 8.0, "id", "192.0.2.7", "web", "api", "app", "10.0.0.1:80", "GET", "example.com:8080", "/p?a=1",
    "HTTP/1.0", 200, 0, 2, 1.0, 0.5, -1.0, -1.0, "--", 0, 1, 7, 0, int(Kept.TRACE),
    attempts=(Attempt("10.0.0.1:80", 0.25, 0.5, 200, "--", 1, span_id="02" * 8),), trace_id="0a" * 16,
    span_id="01" * 8, parent_id="", trace_flags="03", scheme="https", sent="/v1/p?a=1",
)  # fmt: skip


def spans(*decisions: Decision):
    request = ExportTraceServiceRequest.FromString(encode(decisions, {"service.name": "lb"}))
    (whole,) = request.resource_spans
    assert [(one.key, one.value.string_value) for one in whole.resource.attributes] == [
        ("service.name", "lb")
    ]
    return whole.scope_spans[0].spans


def attributes(span):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_an_exchange_and_its_attempt():
    server, client = spans(ONE)
    assert count(ONE) == 2
    assert (server.trace_id, server.span_id, server.parent_span_id) == (b"\n" * 16, b"\1" * 8, b"")
    assert (client.trace_id, client.span_id, client.parent_span_id) == (b"\n" * 16, b"\2" * 8, b"\1" * 8)
    assert (server.start_time_unix_nano, server.end_time_unix_nano) == (8 * 10**9, 9 * 10**9)
    assert (client.start_time_unix_nano, client.end_time_unix_nano) == (825 * 10**7, 875 * 10**7)
    assert (server.kind, client.kind, server.flags, client.flags) == (2, 3, 0x103, 0x103)
    said = attributes(server)
    assert (said["url.scheme"], said["server.address"], said["server.port"]) == ("https", "example.com", 8080)
    assert said["network.protocol.version"] == "1.0" and "error.type" not in said
    said = attributes(client)
    assert said["url.full"] == "http://10.0.0.1:80/v1/p?a=1" and said["lb.connection.reused"] is False
    assert "lb.connect.duration" not in said and "http.request.resend_count" not in said


def test_a_parent_of_another_process():
    server, _ = spans(replace(ONE, parent_id="03" * 8))
    assert server.parent_span_id == b"\3" * 8 and server.flags == 0x303


@pytest.mark.parametrize(
    ("changes", "server_error", "client_error"),
    [
        ({}, "", ""),
        ({"status": 404, "attempts": 404}, "", "404"),  # a client's fault, but an error of who asked
        ({"status": 500, "attempts": 500}, "500", "500"),
        ({"status": 499, "outcome": Outcome.CLIENT_GONE}, "", ""),
        ({"status": 200, "outcome": Outcome.SERVER_BROKE_OFF}, "server_broke_off", ""),
        ({"status": 503, "outcome": Outcome.NO_SERVER}, "no_server", ""),
    ],
)
def test_what_is_an_error(changes, server_error, client_error):
    if "attempts" in changes:
        changes = {**changes, "attempts": (replace(ONE.attempts[0], status=changes["attempts"]),)}
    server, client = spans(replace(ONE, **changes))
    for span, error in ((server, server_error), (client, client_error)):
        assert attributes(span).get("error.type", "") == error and span.status.code == (2 if error else 0)


@pytest.mark.parametrize("flag", ["SC", "ST"])
def test_an_attempt_without_an_answer(flag):
    failed = Attempt("unix:/run/x", 0.0, 0.1, 0, flag, 1, "hedge", span_id="04" * 8)
    _, first, second = spans(replace(ONE, attempts=(failed, replace(ONE.attempts[0], began=0.3))))
    said = attributes(first)
    assert first.status.code == 2 and first.status.message and "http.response.status_code" not in said
    assert (said["server.address"], said["lb.word"]) == ("/run/x", "hedge") and "server.port" not in said
    assert attributes(second)["http.request.resend_count"] == 1


def test_names_are_few_whatever_clients_send():
    server, client = spans(replace(ONE, method="GETT", route=""))
    assert (server.name, client.name) == ("HTTP", "HTTP")
    assert attributes(server)["http.request.method"] == "_OTHER"
    assert attributes(server)["http.request.method_original"] == "GETT"
    assert [span.name for span in spans(ONE)] == ["GET api", "GET"]


@pytest.mark.parametrize("host", ["", "[::1", "a:99999", "a:b", "é:1", "[::1]:80", "@:"])
def test_any_host_can_be_encoded(host):
    spans(replace(ONE, host=host, target="*", sent="*"))


def test_what_a_collector_refused():
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans, answer.partial_success.error_message = 3, "why"
    assert rejected(answer.SerializeToString()) == (3, "why")
    answer.partial_success.rejected_spans = -5
    assert rejected(answer.SerializeToString()) == (0, "why")
    assert rejected(b"") == (0, "") and rejected(b"\xff not protobuf") == (0, "")


def test_without_the_package_it_says_what_to_do(monkeypatch):
    assert lacking() is None
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    assert "pip install 'lb[otel]'" in lacking()
