"""The nine nouns and no synonyms: banned words in what lb defines."""

from __future__ import annotations

import pytest

from tests.architecture.rules import name_complaints, words_of
from tests.architecture.tree import SOURCES


@pytest.mark.parametrize("module", SOURCES)
def test_module_has_no_banned_names(module):
    assert name_complaints(module, SOURCES[module].read_text()) == []


SEEDED = {
    "class": ("lb.proxy.a", "class PoolManager: pass"),
    "class, acronym": ("lb.proxy.a", "class HTTPHandler: pass"),
    "class, noun": ("lb.proxy.a", "class UpstreamServer: pass"),
    "class, target": ("lb.balancing.a", "class Target: pass"),
    "function": ("lb.proxy.a", "def parse_util(): pass"),
    "argument": ("lb.proxy.a", "def f(peer): pass"),
    "keyword-only argument": ("lb.proxy.a", "def f(*, backend_name): pass"),
    "variable": ("lb.proxy.a", "for info in (): pass"),
    "attribute": ("lb.proxy.a", "class A:\n    def f(self): self.backend = 1"),
    "alias": ("lb.proxy.a", "import ssl as context"),
    "annotated field": ("lb.proxy.a", "class A:\n    context: int"),
    "module": ("lb.proxy.utils", ""),
    "module, noun": ("lb.upstream.node", ""),
}


@pytest.mark.parametrize("seed", SEEDED)
def test_a_seeded_name_is_found(seed):
    assert len(name_complaints(*SEEDED[seed])) == 1


ALLOWED = {
    "the request target": ("lb.http1.head", "class RequestHead:\n    target: bytes"),
    "the room": ("lb.upstream", ""),
    "RFC 9112's word": ("lb.http1.target", "class TargetError(ValueError): pass"),
    "names of others": ("lb.control.a", "import logging\nlogging.getLogger('lb').info('x', exc_info=True)"),
    "a word that contains one": ("lb.proxy.a", "peername = informal = 1"),
    "a node of a cluster": ("lb.cluster.node", "class Node: pass"),
}


@pytest.mark.parametrize("seed", ALLOWED)
def test_what_is_allowed_passes(seed):
    assert name_complaints(*ALLOWED[seed]) == []


def test_words_of_every_style():
    assert words_of("HTTPServerPool2") == ["http", "server", "pool"]
    assert words_of("_read_head_at") == ["read", "head", "at"]
    assert words_of("MAX_IDLE") == ["max", "idle"]
