"""One lb with two workers in front of one asyncio server, for every kind of client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from ..scenarios.harness import Origin, Scenario
from .site import Site

CONFIG = """
workers: 2
listeners: [{name: web, bind: "$web"}]
services: {site: ["%s"]}
routes: {"/": site}
"""


def program(*names: str) -> str:
    """The path of a program; skips where it is missing, but fails in CI, where it has to be there."""
    for name in names:
        if found := shutil.which(name):
            return found
    message = f"{names[0]} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


@pytest.fixture(scope="session")
def front(site: Site) -> Iterator[Scenario]:
    with Scenario(CONFIG % site.address, unused=Origin()) as s:
        yield s


@pytest.fixture
def url(front: Scenario) -> str:
    return "http://" + front.names["web"]
