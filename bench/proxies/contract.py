"""What the benchmark must know of a proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.site import Launch, Site


@dataclass(frozen=True, slots=True)
class Proxy:
    """`configure(site, program)` writes the configuration into the site's folder and says how to start."""

    name: str
    program: str
    source: Literal["checkout", "debian", "pypi"]
    package: str  # what provides it there
    version: tuple[str, ...]  # arguments that print the version
    configure: Callable[[Site, str], Launch]
