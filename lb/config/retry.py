"""Further tries of a request in the configuration: when, how often, how many in all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lb.config.fields import Method
from lb.config.order import in_order
from lb.config.problems import nearest, one_of, shown, wrong
from lb.config.section import Finding, Section
from lb.config.shares import percent
from lb.config.values import LIST, Checked, Written, duration, fraction, size, whole

IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")  # RFC 9110 9.2.2
RETRY_ON = ("connect", "reset", "timeout")


def _on(value: object) -> str:
    if isinstance(value, str) and value in RETRY_ON:
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
        return str(value)
    if isinstance(value, str) and value.isdigit() and 400 <= int(value) <= 599:
        return str(value)
    raise wrong(
        f"found {shown(value)}; expected connect, reset, timeout or a status from 400 to 599"
        f"{nearest(str(value), RETRY_ON)}"
    )


_ON_SCHEMA = {"anyOf": [{"enum": list(RETRY_ON)}, {"type": "integer", "minimum": 400, "maximum": 599}]}
RetryOn = Annotated[str, Checked(_on, _ON_SCHEMA)]


def _on_text(value: tuple[str, ...]) -> list[int | str]:
    return [int(item) if item.isdigit() else item for item in value]


def _methods(value: object) -> object:
    if value == "idempotent":
        return IDEMPOTENT
    if isinstance(value, str):
        raise wrong(f"found {shown(value)}; expected idempotent or a list such as [GET, HEAD, POST]")
    return value


def _methods_text(value: tuple[str, ...]) -> str | list[str]:
    return "idempotent" if value == IDEMPOTENT else list(value)


class RetrySpec(Section):
    """When a request is tried again, at another server where there is one."""

    attempts: Annotated[int, whole(0, 10)] = Field(
        default=1, description="Further tries after the first; 0: none."
    )
    on: Annotated[tuple[RetryOn, ...], LIST, Written(_on_text)] = Field(
        default=("connect", "reset"), description="connect, reset, timeout, or a status of the response."
    )
    methods: Annotated[
        tuple[Method, ...],
        LIST,
        BeforeValidator(_methods, json_schema_input_type=list[Method] | str),
        Written(_methods_text),
    ] = Field(
        default=IDEMPOTENT, description="idempotent (" + one_of(IDEMPOTENT) + "), or a list of methods."
    )
    budget: Annotated[float, percent()] = Field(
        default=0.2,
        description="The most retries, as a share of the route's requests in the last ten seconds.",
    )
    budget_floor: Annotated[float, fraction(0, 100_000)] = Field(
        default=3.0, description="Retries per second that are allowed whatever the share says."
    )
    backoff: Annotated[float, duration(zero="none")] = Field(
        default=0.025,
        description="The longest wait before the first retry, doubled for each further one; 0: none. A retry "
        "at another server after connect or reset does not wait.",
    )
    backoff_max: Annotated[float, duration(zero="none")] = Field(
        default=0.25, description="The longest wait before a retry."
    )
    replay: Annotated[int, size(zero="none")] = Field(
        default=64 * 1024, description="The largest request body that is kept to be sent again; 0: none."
    )
    hedge: Annotated[float, duration(zero="never")] = Field(
        default=0.0,
        description="After this time without a response the request goes to a second server too, and the "
        "first answer counts; 0: never.",
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        yield from in_order(cls, given, "backoff", "backoff_max")
        if given.get("hedge") and given.get("attempts") == 0:
            yield ("hedge",), wrong('no effect beside "attempts: 0": a second server is a further try')
