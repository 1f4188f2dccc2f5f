"""The section `tracing`: what is refused, what a worker gets."""

from __future__ import annotations

import sys

import pytest

from lb.config import lint, resolved
from lb.config.tracing import tracing_plan
from lb.plan import TracingPlan
from tests.config.conftest import BASE, loads, problems_of

URL = "http://127.0.0.1:4318/v1/traces"


@pytest.mark.parametrize(
    ("section", "place", "words"),
    [
        ("endpoint: 127.0.0.1:4318", "tracing.endpoint", "expected a URL such as"),
        ("endpoint: 'http://127.0.0.1:4318'", "tracing.endpoint", "/v1/traces"),
        ("endpoint: 'http://me:x@h/v1/traces'", "tracing.endpoint", "user name"),
        ("endpoint: 'grpc://h:4317/v1/traces'", "tracing.endpoint", "expected a URL such as"),
        ("endpoint: 'http://[::1/v1/traces'", "tracing.endpoint", "no URL"),
        ("sample: 0.1", "tracing.sample", "did you mean 10%?"),
        ("accept: always", "tracing.accept", "true or false"),
        ("service_name: edge", "tracing.service_name", 'no effect without "endpoint"'),
        (f"endpoint: '{URL}', headers: {{Content-Length: '1'}}", "tracing.headers", "cannot be changed"),
        ("sampel: 1%", "tracing.sampel", "sample"),
    ],
)
def test_what_is_refused(section, place, words):
    (problem,) = problems_of(BASE + f"tracing: {{{section}}}\n")
    assert place in str(problem) and words in str(problem)


def test_what_a_worker_gets():
    assert loads(BASE).tracing is None
    assert tracing_plan(loads(BASE + "tracing: {}\n").tracing) == TracingPlan(0.01, True, False)
    spec = loads(BASE + f"tracing: {{endpoint: '{URL}', sample: 50%, accept: false}}\n")
    assert tracing_plan(spec.tracing) == TracingPlan(0.5, False, True)


def test_a_token_is_read_from_a_file_and_shown_nowhere(tmp_path):
    path = tmp_path / "token"
    path.write_text("Bearer s3cret\n")
    spec = loads(
        BASE + f"tracing: {{endpoint: '{URL}', headers: {{Authorization: {{file: {path}}}, X-A: b}}}}\n"
    )
    assert spec.tracing.sent_headers() == {"authorization": "Bearer s3cret", "x-a": "b"}
    assert "s3cret" not in resolved(spec) + repr(spec)
    path.write_text("Bearer\nbroken")
    (problem,) = problems_of(BASE + f"tracing: {{endpoint: '{URL}', headers: {{A: {{file: {path}}}}}}}\n")
    assert "line breaks" in str(problem)


def test_without_the_extra_lint_says_what_to_do(monkeypatch):
    spec = loads(BASE + f"tracing: {{endpoint: '{URL}'}}\n")
    assert [one for one in lint(spec) if "otel" in one.message] == []
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    (problem,) = [one for one in lint(spec) if "otel" in one.message]
    assert problem.severity == "error" and "pip install 'lb[otel]'" in problem.message
