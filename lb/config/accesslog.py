"""The section `access_log`.

Lives here: where lines go, what is in them, which requests get one. Must not live here: the formats
(lb.telemetry.fields), sinks (lb.telemetry.sink).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lb.config.problems import nearest, shown, wrong
from lb.config.section import Section, always
from lb.config.shares import percent
from lb.config.values import LIST, choice, duration, text
from lb.plan import AccessLogPlan
from lb.telemetry.fields import check_omitted, template_parts
from lb.telemetry.syslog import PREFIX, place


def _path(value: str) -> str:
    if value.startswith(PREFIX):
        try:
            place(value)
        except ValueError as error:
            raise wrong(f"found {shown(value)}; {error}") from None
        return value
    if not value or "\0" in value or value.endswith("/"):
        raise wrong(f"found {shown(value)}; expected stdout, stderr, a file or syslog:…")
    if value.lower() in {"stdout", "stderr", "-"} and value not in {"stdout", "stderr"}:
        raise wrong(f'found {shown(value)}; write "{"stdout" if value == "-" else value.lower()}"')
    return value


LOG_FORMATS = ("json", "common", "combined")


def _format(value: str) -> str:
    if value in LOG_FORMATS:
        return value
    if "${" in value:
        try:
            template_parts(value)
        except ValueError as error:
            raise wrong(str(error)) from None
        return value
    raise wrong(
        f"found {shown(value)}; expected json, common, combined or a template with ${{fields}}"
        f"{nearest(value, LOG_FORMATS)}"
    )


def _parameter(value: str) -> str:
    if not value or any(mark in value for mark in "&=?# "):
        raise wrong(f"found {shown(value)}; expected the name of a query parameter, or * for all")
    return value


def _omitted(value: str) -> str:
    try:
        check_omitted(value)
    except ValueError as error:
        raise wrong(str(error)) from None
    return value


class RedactSpec(Section):
    """What the access log does not tell."""

    client: Annotated[Literal["whole", "subnet"], choice("whole", "subnet")] = Field(
        default="whole", description="whole, or subnet: addresses cut to /24 (IPv4) and /48 (IPv6)."
    )
    query: Annotated[tuple[Annotated[str, text(_parameter)], ...], LIST] = Field(
        default=(),
        description="Query parameters whose values are shown as \\*\\*\\*, in target and Referer; \\*: all.",
    )
    omit: Annotated[tuple[Annotated[str, text(_omitted)], ...], LIST] = Field(
        default=(), description="Fields that are left out, `header:NAME` too."
    )


class AccessLogSpec(Section):
    """One line per request."""

    path: Annotated[str, text(_path)] = Field(
        default="stdout",
        description="stdout, stderr or a file, reopened on SIGUSR1; syslog:/dev/log, "
        "syslog:udp://ADDRESS:PORT or syslog:tcp://ADDRESS:PORT.",
    )
    format: Annotated[str, text(_format)] = Field(
        default="json", description="json, common, combined, or a template with ${fields}."
    )
    sample: Annotated[float, percent()] = Field(
        default=1.0,
        description="The share of requests that get a line; failed, retried and slow ones always do.",
    )
    slow: Annotated[float, duration()] = Field(
        default=1.0,
        description="From which duration on a request is slow; counts where `sample` is below 100%.",
    )
    redact: RedactSpec = Field(default_factory=always(RedactSpec()), description="What it does not tell.")


def access_log_plan(log: AccessLogSpec) -> AccessLogPlan:
    """What a worker needs of it."""
    redact = log.redact
    return AccessLogPlan(
        log.path, log.format, log.sample, log.slow, redact.client == "subnet", redact.query, redact.omit
    )
