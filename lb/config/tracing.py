"""The section `tracing`.

Lives here: whose traces go on, how many begin here, who gets the spans. Must not live here: the fields of a
trace (lb.proxy.tracing), spans (lb.telemetry.spans), sending them (lb.control.tracing).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from lb.config.fields import MAPPING, SECRET_SCHEMA, EditableName, Secret, header_value, secret
from lb.config.problems import shown, wrong, wrong_key
from lb.config.section import Finding, Section
from lb.config.shares import percent
from lb.config.values import Checked, Truth, plain_text, text
from lb.plan import TracingPlan

_EXAMPLE = "http://127.0.0.1:4318/v1/traces"


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise wrong(f"found something that is no URL; expected one such as {_EXAMPLE}") from None
    if parts.username is not None:
        raise wrong('found a user name in the URL; write it to a file that "headers" names')
    if not good or not value.isascii() or not value.isprintable() or " " in value:
        raise wrong(f"found {shown(value)}; expected a URL such as {_EXAMPLE}")
    if parts.path in ("", "/"):
        raise wrong(f"found {shown(value)}, which has no path; collectors take traces at /v1/traces")
    return value


def _header(value: object) -> str | Secret:
    if not isinstance(value, (dict, Secret)):
        return header_value(plain_text(value))
    found = secret(value)
    try:
        header_value(found.value.get_secret_value())
    except ValueError:
        place = shown(found.file or found.env)
        raise wrong(
            f"the secret {place} has line breaks, control characters or white space around it"
        ) from None
    return found


def _name(value: str) -> str:
    if not value or not value.isprintable():
        raise wrong(f"found {shown(value)}; expected a name such as lb")
    return value


class TracingSpec(Section):
    """W3C trace context for every request, and spans of lb's own for an OpenTelemetry collector."""

    endpoint: Annotated[str, text(_endpoint, examples=[_EXAMPLE])] | None = Field(
        default=None,
        description="URL that gets the spans of sampled traces (OTLP over HTTP, protobuf; needs lb[otel]); "
        "absent: none are sent.",
    )
    headers: Annotated[
        dict[
            EditableName,
            Annotated[str | Secret, Checked(_header, {"anyOf": [{"type": "string"}, SECRET_SCHEMA]})],
        ],
        MAPPING,
    ] = Field(default={}, description="Further header fields for the endpoint; a token from a file.")
    sample: Annotated[float, percent()] = Field(
        default=0.01, description="The share of the traces that begin here that is sampled."
    )
    accept: Truth = Field(
        default=True,
        description="Whether a client's trace goes on, sampled or not as it says; false: each request begins "
        "a new one.",
    )
    service_name: Annotated[str, text(_name)] = Field(
        default="lb", description="What this lb is called among the services of a trace."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if "endpoint" not in given:
            for key in ("headers", "service_name"):
                if key in given:
                    yield (key,), wrong_key('has no effect without "endpoint"')

    def sent_headers(self) -> dict[str, str]:
        """The fields with their secrets."""
        return {
            name: value.value.get_secret_value() if isinstance(value, Secret) else value
            for name, value in self.headers.items()
        }


def tracing_plan(tracing: TracingSpec) -> TracingPlan:
    """What a worker needs of it."""
    return TracingPlan(tracing.sample, tracing.accept, tracing.endpoint is not None)
