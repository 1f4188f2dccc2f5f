"""Configuration: the Spec (what the operator wrote, typed and frozen), loading it, and saying what is
wrong with it. Must not live here: anything that runs (lb.control) and anything a worker imports."""

from lb.config.diff import diff
from lb.config.lint import lint
from lb.config.load import Loaded, load, loads, read, sources
from lb.config.problems import ConfigError, Problem
from lb.config.resolved import resolved
from lb.config.schema import json_schema
from lb.config.sharing import SharedText
from lb.config.spec import Spec

__all__ = [
    "ConfigError",
    "Loaded",
    "Problem",
    "SharedText",
    "Spec",
    "diff",
    "json_schema",
    "lint",
    "load",
    "loads",
    "read",
    "resolved",
    "sources",
]
