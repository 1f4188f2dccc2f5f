"""The scenario harness: scripted servers, raw clients, a real `lb run`, so that tests read like a script."""

from .client import Client, Response
from .origin import Exchange, Origin, answer, echo
from .process import Lb, eventually, free_address
from .scenario import Scenario
from .wire import Broken, Head, Malformed, Wire, chunked

__all__ = [
    "Broken",
    "Client",
    "Exchange",
    "Head",
    "Lb",
    "Malformed",
    "Origin",
    "Response",
    "Scenario",
    "Wire",
    "answer",
    "chunked",
    "echo",
    "eventually",
    "free_address",
]
