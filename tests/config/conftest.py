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


def service(text, servers="a:1"):
    """The Spec of a service with one server, written as a flow mapping without its braces."""
    return loads(_with_service(text, servers), "f", {}).services["s"]


def service_problems(text, servers="a:1"):
    return problems_of(_with_service(text, servers))


def _with_service(text, servers):
    """`servers`: the address of its only server; "" where `text` has the key itself."""
    own = f"servers: ['{servers}'], " if servers else ""
    return f"listeners: [':1']\nservices:\n  s: {{{own}{text}}}\n"
