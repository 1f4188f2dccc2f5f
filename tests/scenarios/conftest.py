"""One lb for the many cases that need nothing special of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Scenario

# A route without a path predicate: only such a route gets `OPTIONS *` (docs/routing.md).
PLAIN = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: [{name: all, service: app}]
"""


@pytest.fixture(scope="session")
def shared_front() -> Iterator[Scenario]:
    with Scenario(PLAIN) as s:
        yield s


@pytest.fixture
def front(shared_front: Scenario) -> Iterator[Scenario]:
    """lb with one service of one server `a`, everything at its defaults; the server echoes."""
    shared_front.reset()
    yield shared_front
    shared_front.reset()
