"""What a service does about servers that fail beside answering checks: outlier detection from what
requests meet, circuit breakers, and a limit of concurrent requests that follows their latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lb.config.order import in_order
from lb.config.problems import wrong
from lb.config.section import Finding, Section
from lb.config.shares import percent
from lb.config.values import choice, duration, whole

Mode = Annotated[Literal["off", "shadow", "enforce"], choice("off", "shadow", "enforce")]


class OutlierSpec(Section):
    """Servers that do worse than the others get no requests for a while."""

    consecutive_failures: Annotated[int, whole(0, 10_000)] = Field(
        default=5, description="Failures in a row after which a server is ejected; 0: never."
    )
    ejection: Annotated[float, duration()] = Field(
        default=30.0,
        description="How long the first ejection lasts; the n-th in a row lasts n times as long.",
    )
    max_ejection: Annotated[float, duration()] = Field(default=300.0, description="The longest ejection.")
    max_ejected: Annotated[float, percent()] = Field(
        default=0.5, description="Of the servers, how many may be ejected at a time."
    )
    interval: Annotated[float, duration()] = Field(
        default=10.0, description="How often servers are compared, and over what time."
    )
    success_rate: Mode = Field(
        default="shadow",
        description="off, shadow (only counted and shown) or enforce: fewer successes than the others.",
    )
    latency: Mode = Field(
        default="shadow",
        description="off, shadow (only counted and shown) or enforce: slower than the others.",
    )
    min_requests: Annotated[int, whole(1, 1_000_000)] = Field(
        default=50, description="A server with fewer requests in an interval is not compared."
    )
    min_servers: Annotated[int, whole(2, 10_000)] = Field(
        default=3, description="With fewer servers to compare, none is."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        return in_order(cls, given, "ejection", "max_ejection")


class BreakerSpec(Section):
    """Stops requests where too many fail, and lets a few try after a while."""

    failures: Annotated[float, percent(1)] = Field(
        default=0.5, description="Share of failures at which it opens."
    )
    min_requests: Annotated[int, whole(1, 1_000_000)] = Field(
        default=20, description="With fewer requests in the window it stays closed."
    )
    window: Annotated[float, duration()] = Field(default=10.0, description="The time that it looks back.")
    open: Annotated[float, duration()] = Field(
        default=5.0, description="How long it is open before a few requests try again."
    )


class BreakersSpec(Section):
    """Circuit breakers, for each server by itself, for the service as a whole, or both."""

    server: BreakerSpec | None = Field(
        default=None, description="For each server: open, it gets no requests; others do."
    )
    service: BreakerSpec | None = Field(
        default=None, description="For the whole service: open, requests get 503 at once."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if not given:
            yield (), wrong("found an empty mapping; expected server: {}, service: {} or both")


class AdaptiveSpec(Section):
    """A limit of concurrent requests to a server that follows its latency."""

    least: Annotated[int, whole(1, 1_000_000)] = Field(default=4, description="The limit is never lower.")
    most: Annotated[int, whole(1, 1_000_000)] = Field(default=1000, description="The limit is never higher.")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        return in_order(cls, given, "least", "most")


def _adaptive(value: object) -> object:
    return {True: AdaptiveSpec(), False: None}[value] if isinstance(value, bool) else value


AdaptiveItem = Annotated[
    AdaptiveSpec | None, BeforeValidator(_adaptive, json_schema_input_type=AdaptiveSpec | bool)
]
