"""Which build runs: compiled, interpreted, or compiled from sources that have changed since.

Lives here: which modules are hot, the record that setup.py leaves beside the extensions
(`_build.json`: a digest of every source it compiled), and the comparison of the two. Must not live
here: compiling (setup.py), and anything outside the standard library: workers and setup.py import this.

Python prefers an extension to the .py beside it, so an edit of a compiled module has no effect until it
is compiled again. `check` turns that silent hour of debugging into one line at start.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple, TypedDict

PACKAGE = Path(__file__).resolve().parent

# Rooms compiled whole (but for `__init__.py`), besides every module elsewhere that has a .pxd beside it.
HOT_ROOMS = ("http1", "routing", "balancing", "upstream", "proxy")

RECORD = "_build.json"
REMEDY = "run `make build`, or install lb again"


class StaleBuildError(RuntimeError):
    """Some extensions were not compiled from the sources beside them."""


class Record(TypedDict, total=False):
    """`_build.json`: digest by module; `reason`: why nothing was compiled, "" where it was."""

    reason: str
    modules: dict[str, str]


class Status(NamedTuple):
    """Names of hot modules, sorted. `stale`: what runs is not what the source says, or not wholly
    compiled where the rest is. `reason`: why the last build compiled nothing, "" where it did."""

    compiled: tuple[str, ...]
    interpreted: tuple[str, ...]
    stale: tuple[str, ...]
    reason: str

    @property
    def kind(self) -> str:
        """One word for `lb version` and the start-up line: compiled, interpreted or stale."""
        if self.stale:
            return "stale"
        return "compiled" if self.compiled else "interpreted"

    def __str__(self) -> str:
        if self.stale:
            return f"stale ({_listed(self.stale)}): {REMEDY}"
        if self.compiled:
            return f"compiled ({len(self.compiled)} modules)"
        return f"interpreted ({self.reason})" if self.reason else "interpreted"


def hot_sources(package: Path = PACKAGE) -> list[Path]:
    """The .py files to compile, sorted."""
    found = {path for room in HOT_ROOMS for path in (package / room).rglob("*.py")}
    found |= {path.with_suffix(".py") for path in package.rglob("*.pxd")}
    return sorted(path for path in found if path.name != "__init__.py")


def module_name(source: Path, package: Path = PACKAGE) -> str:
    return ".".join((package.name, *source.relative_to(package).with_suffix("").parts))


def digest(source: Path) -> str:
    """SHA-256 over a .py file and the .pxd beside it."""
    seen = hashlib.sha256(source.read_bytes())
    declarations = source.with_suffix(".pxd")
    if declarations.exists():
        seen.update(b"\0")
        seen.update(declarations.read_bytes())
    return seen.hexdigest()


def extension_of(source: Path) -> Path | None:
    """The extension that this Python would load instead of `source`, or None."""
    for suffix in EXTENSION_SUFFIXES:
        path = source.with_name(source.stem + suffix)
        if path.exists():
            return path
    return None


def orphans(package: Path = PACKAGE) -> list[Path]:
    """Extensions whose source is gone: they can still be imported, and should not be."""
    found = []
    for suffix in EXTENSION_SUFFIXES:
        for path in package.rglob(f"*{suffix}"):
            source = path.with_name(path.name.removesuffix(suffix) + ".py")
            if "." not in source.stem and not source.exists():
                found.append(path)
    return sorted(set(found))


def status(package: Path = PACKAGE) -> Status:
    """Compare what would be loaded with what is written. Reads every hot source once (milliseconds)."""
    record = _record(package)
    digests = record.get("modules", {})
    compiled: list[str] = []
    interpreted: list[str] = []
    stale: list[str] = []
    for source in hot_sources(package):
        name = module_name(source, package)
        if extension_of(source) is None:
            interpreted.append(name)
        else:
            compiled.append(name)
            if digests.get(name) != digest(source):
                stale.append(name)
    if compiled:  # a module that was added after the build: its compiled neighbours do not know its types
        stale += interpreted
    stale += [module_name(path.with_name(path.name.partition(".")[0]), package) for path in orphans(package)]
    return Status(tuple(compiled), tuple(interpreted), tuple(sorted(stale)), record.get("reason", ""))


def check(package: Path = PACKAGE) -> Status:
    """The status; raises StaleBuildError naming the modules and the remedy where the build is stale."""
    found = status(package)
    if found.stale:
        raise StaleBuildError(
            f"compiled modules in {package} do not match their sources: {_listed(found.stale)}; {REMEDY}"
        )
    return found


def main() -> int:
    """`python -m lb.build`: print the status; exit 1 where `make build` has something to do."""
    found = status()
    sys.stdout.write(f"lb: {found}\n")
    settled = bool(found.compiled or found.reason)
    return 0 if settled and not found.stale else 1


def _record(package: Path) -> Record:
    try:
        found: Record = json.loads((package / RECORD).read_bytes())
    except (OSError, ValueError):  # none, or cut off by a build that was interrupted: all is unknown
        return {}
    return found


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


if __name__ == "__main__":
    raise SystemExit(main())
