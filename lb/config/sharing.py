"""A configuration out of two: a node's own file, and the document that its cluster shares.

Lives here: which keys a node has for itself. Must not live here: where the shared document comes from
(lb.cluster), putting it in force (lb.control).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from lb.config.document import Document, parse
from lb.config.environment import Environment
from lb.config.problems import Problem

OWN_KEYS = ("workers", "state_dir", "admin", "cluster", "discovery")


class SharedText(NamedTuple):
    """The shared document; `file`: its name in messages."""

    file: str
    text: str


def own_part(document: Document) -> Document:
    """What a node's own file gives beside a shared document: its own keys; the rest serves until there is
    one."""
    if not isinstance(document.data, dict):
        return document
    return replace(document, data={key: document.data[key] for key in document.data if key in OWN_KEYS})


def shared_part(shared: SharedText, environment: Environment) -> Document:
    """The shared document; a key that nodes have for themselves is a problem of it."""
    document = parse(shared.text, shared.file, environment)
    if isinstance(document.data, dict):
        for key in OWN_KEYS:
            if key in document.data:
                line, column = (document.place.keys or {}).get(key, (0, 0))
                message = "each node has its own: write it in the node's own file, not in the shared document"
                document.problems.append(Problem(shared.file, line, column, key, message))
    return document
