"""Short ways to load a text and to see what is said about it."""

import pytest

from lb.config import ConfigError, loads

BASE = 'listeners: [":8080"]\nservices: {app: ["127.0.0.1:9001"]}\n'


def problems_of(text, environment=None):
    """The problems of a text, as lines without the file's name."""
    with pytest.raises(ConfigError) as caught:
        loads(text, "f", environment or {})
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


def route(text):
    """The Spec's only route, written as a flow mapping without its braces."""
    (found,) = loads(f"{BASE}routes:\n  - {{name: r, {text}}}\n", "f", {}).routes
    return found


def route_problems(text):
    return problems_of(f"{BASE}routes:\n  - {{name: r, {text}}}\n")
