"""Who may import whom (docs/architecture.md), read from the sources with ast."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.rules import (
    NOT_IN_WORKERS,
    Import,
    cimports_of,
    import_complaints,
    imports_of,
    room_of,
)
from tests.architecture.tree import DECLARATIONS, ROOT, SOURCES


def read(module):
    path = SOURCES[module]
    found = imports_of(module, path.read_text(), package=path.name == "__init__.py")
    if module in DECLARATIONS:
        found += cimports_of(DECLARATIONS[module].read_text())
    return found


def closure(start):
    """Modules that importing `start` can load, each with the module that asked for it first. Imports
    inside functions count: a worker that loads pydantic later has it all the same."""
    reached = {}
    waiting = [(start, "")]
    while waiting:
        name, by = waiting.pop()
        parts = name.split(".")
        for size in range(1, len(parts) + 1):
            part = ".".join(parts[:size])
            known = part in SOURCES or parts[0] != "lb"
            if known and part not in reached:
                reached[part] = by or name
                if part in SOURCES:
                    waiting += [(one.name, part) for one in read(part) if not one.typing_only]
    return reached


@pytest.mark.parametrize("module", SOURCES)
def test_module_imports_what_its_room_may(module):
    assert import_complaints(module, read(module)) == []


def test_workers_reach_nothing_heavy_in_the_sources():
    starts = [module for module in SOURCES if room_of(module) in ("worker", "proxy")]
    for start in starts:
        found = closure(start)
        heavy = {name: found[name] for name in NOT_IN_WORKERS if name in found}
        assert not heavy, f"{start} reaches {heavy}"


def test_workers_load_nothing_heavy_when_started():
    """What ast cannot see: imports made by the packages that a worker does import."""
    rooms = ("worker", "proxy", "upstream", "routing", "balancing", "http1")
    modules = [module for module in SOURCES if room_of(module) in rooms]
    script = (
        f"import sys\nfor name in {modules!r}: __import__(name)\n"
        f"print(*sorted(set({NOT_IN_WORKERS!r}) & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


SEEDED = {
    "pure room, I/O": ("lb.http1.head", "import asyncio"),
    "pure room, inside a function": ("lb.routing.table", "def f():\n    import socket"),
    "pure room, clock": ("lb.balancing.turn", "from time import monotonic"),
    "pure room, module state of random": ("lb.balancing.turn", "import random"),
    "pure room, random function": ("lb.balancing.turn", "from random import choice"),
    "pure room, logging": ("lb.http1.head", "import logging.config"),
    "pure room, foreign package": ("lb.http1.head", "import httptools"),
    "pure room, another room": ("lb.routing.table", "from lb.upstream.server import Server"),
    "pure room, another pure room": ("lb.routing.table", "from lb.http1 import grammar"),
    "pure room, the package": ("lb.routing.table", "import lb"),
    "pure room, relative": ("lb.routing.table", "from ..proxy import exchange"),
    "pure room, part of urllib": ("lb.routing.table", "import urllib.request"),
    "proxy, config": ("lb.proxy.exchange", "from lb.config.spec import Spec"),
    "proxy, dynamic": ("lb.proxy.exchange", "import importlib\nimportlib.import_module('lb.admin.app')"),
    "proxy, relative package": ("lb.proxy.exchange", "from .. import control"),
    "facts, each other": ("lb.discovery.dns", "import lb.health.probe"),
    "facts, state": ("lb.cluster.lock", "from lb.upstream import registry"),
    "simulation, data plane": ("lb.simulate.replay", "from lb.proxy.budget import Budget"),
    "simulation, from elsewhere": ("lb.worker.main", "from lb.simulate import replay"),
    "cli": ("lb.control.main", "from lb.cli import main"),
    "importing": ("lb.control.main", "from lb.importing.nginx import import_nginx"),
    "importing, what runs": ("lb.importing.nginx", "from lb.upstream.pool import Pool"),
    "control": ("lb.worker.main", "from lb.control import reconcile"),
}


@pytest.mark.parametrize("seed", SEEDED)
def test_a_seeded_violation_is_found(seed):
    module, source = SEEDED[seed]
    assert import_complaints(module, imports_of(module, source))


def test_a_seeded_cimport_is_found():
    source = "cdef class A:\n    pass\nfrom lb.proxy.a cimport B as C, D\nfrom libc.string cimport memcpy"
    found = cimports_of(source)
    assert found == [Import("lb.proxy.a.B", 3), Import("lb.proxy.a.D", 3)]
    assert len(import_complaints("lb.routing.table", found)) == 2


ALLOWED = {
    "shared models": ("lb.routing.table", "from lb.plan import RoutePlan\nimport lb.message"),
    "own room": ("lb.routing.table", "from lb.routing.match import Match\nfrom . import path"),
    "seeded generator": ("lb.balancing.turn", "from random import Random\nimport cython"),
    "pure part of urllib": ("lb.routing.table", "from urllib.parse import unquote"),
    "proxy, state": ("lb.proxy.exchange", "from lb.upstream.pool import Pool\nimport asyncio"),
    "control": ("lb.control.main", "from lb.health import probe\nfrom lb.discovery import dns"),
    "cli": ("lb.cli.run", "from lb.control.main import run"),
    "simulation": ("lb.simulate.replay", "from lb.snapshot import build\nfrom lb.upstream import registry"),
}


@pytest.mark.parametrize("seed", ALLOWED)
def test_what_is_allowed_passes(seed):
    module, source = ALLOWED[seed]
    assert import_complaints(module, imports_of(module, source)) == []


def test_imports_for_type_checkers_only_are_marked():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pydantic\nimport yaml"
    assert [(one.name, one.typing_only) for one in imports_of("lb.worker.main", source)] == [
        ("typing.TYPE_CHECKING", False),
        ("yaml", False),
        ("pydantic", True),
    ]
