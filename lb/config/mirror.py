"""Mirroring in the configuration: a second service that gets a share of a route's requests too."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lb.config.fields import HeaderName, Name
from lb.config.section import Section, always
from lb.config.shares import percent
from lb.config.values import LIST, Truth, size


class CompareSpec(Section):
    """What of the two answers must be the same."""

    status: Truth = Field(default=True, description="The status.")
    headers: Annotated[tuple[HeaderName, ...], LIST] = Field(
        default=("content-type",), description="These headers."
    )
    body: Truth = Field(default=True, description="The body.")


class MirrorSpec(Section):
    """A copy of requests for a second service. Its answers are compared, counted and dropped."""

    service: Name = Field(description="The service that gets the copies.")
    share: Annotated[float, percent()] = Field(
        default=1.0, description="Of the requests, how many are copied."
    )
    compare: CompareSpec = Field(default_factory=always(CompareSpec()), description="What must be the same.")
    max_body: Annotated[int, size(zero="no bodies")] = Field(
        default=64 * 1024,
        description="A request with a larger body is not copied, a longer answer not compared; 0: no bodies.",
    )
