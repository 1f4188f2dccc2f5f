"""The rules of docs/architecture.md, "Who may import whom" and "Words", as functions over source text.

Lives here: reading imports and definitions out of a source with `ast` (and cimports out of a .pxd), and
the rules as tables. Each rule takes text and gives back complaints, so that the tests can also seed
violations. Must not live here: reading the tree of sources (test_imports, test_names).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

PURE_ROOMS = ("http1", "routing", "balancing")
SHARED_MODELS = ("lb", "lb.message", "lb.plan", "lb.outcomes", "lb.decisions", "lb.fields")
# What a pure room may take from the standard library: no I/O, no clock, no state of the process.
PURE_STDLIB = {
    *("__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "collections.abc"),
    *("dataclasses", "enum", "functools", "hashlib", "heapq", "http", "importlib", "inspect", "ipaddress"),
    *("itertools", "math", "operator", "re", "string", "struct", "types", "typing", "urllib.parse", "zlib"),
}
PURE_OTHER = {"cython"}

# Room → rooms that it must not import. `cli` is forbidden to all and `control` to all but cli, below.
FORBIDDEN_ROOMS = {
    "proxy": {"discovery", "health", "cluster", "admin", "config", "control"},
    "discovery": {"health", "cluster", "proxy", "upstream"},
    "health": {"discovery", "cluster", "proxy", "upstream"},
    "cluster": {"discovery", "health", "proxy", "upstream"},
    "simulate": {"discovery", "health", "cluster", "proxy", "admin", "config", "control"},
    "importing": {
        *PURE_ROOMS,
        "upstream",
        "health",
        "discovery",
        "cluster",
        "proxy",
        "worker",
        "telemetry",
        "admin",
    },
}
ENTRANCES = {"cli", "__main__"}  # only these may import cli and control

# What would cost a worker start time and memory; control has them.
NOT_IN_WORKERS = ("pydantic", "aiohttp", "yaml", "typer", "rich", "prometheus_client", "opentelemetry")

BANNED_WORDS = {
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "handler",
    "context",
    "info",
    "backend",
    "peer",
}
# Legitimate below the level of a class or module: the request target, a node of a YAML document.
BANNED_FOR_THINGS = {"target", "node", "upstream"}
# Room → words that are its own: the state of Servers lives in `upstream`, "request target" is RFC 9112's
# term, a node is one running lb in a cluster.
OWN_WORDS = {"upstream": {"upstream"}, "http1": {"target"}, "cluster": {"node"}}


class Import(NamedTuple):
    """`name`: "random.Random" or "random" as the source says it; `typing_only`: not executed."""

    name: str
    line: int
    typing_only: bool = False


def room_of(module: str) -> str:
    """The room of `lb.x.y` is x; of a module directly in lb its own name; of lb itself ""."""
    return module.split(".")[1] if "." in module else ""


def imports_of(module: str, source: str, package: bool = False) -> list[Import]:
    """Every import in a source: at any depth, relative ones resolved, literal dynamic ones included."""
    found: list[Import] = []
    tree = ast.parse(source)
    typing_only = {id(inner) for block in _typing_blocks(tree) for inner in ast.walk(block)}
    for node in ast.walk(tree):
        quiet = id(node) in typing_only
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, quiet) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node, package)
            found += [Import(f"{origin}.{alias.name}", node.lineno, quiet) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and _is_dynamic_import(node.func):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(Import(first.value, node.lineno, quiet))
    return found


def cimports_of(source: str) -> list[Import]:
    """The cimports of a .pxd, but for Cython's own (libc, cpython)."""
    found = []
    for number, line in enumerate(source.splitlines(), 1):
        if match := re.match(r"\s*from\s+([\w.]+)\s+cimport\s+(.+)", line):
            names = re.findall(r"\w+", re.sub(r"\bas\s+\w+", "", match[2]))
            found += [Import(f"{match[1]}.{name}", number) for name in names or ["*"]]
        elif match := re.match(r"\s*cimport\s+([\w.]+)", line):
            found.append(Import(match[1], number))
    return [one for one in found if one.name.split(".")[0] not in ("libc", "cpython", "posix")]


def import_complaints(module: str, imports: list[Import]) -> list[str]:
    """What of `imports` the module `module` may not have."""
    room = room_of(module)
    complaints = []
    for one in imports:
        wanted = room_of(one.name) if one.name.split(".")[0] == "lb" else None
        reason = None
        if room in PURE_ROOMS:
            reason = _not_pure(room, one.name)
        if wanted == "cli" and room not in ENTRANCES:
            reason = "nobody imports cli"
        elif wanted == "importing" and room not in {"importing", *ENTRANCES}:
            reason = "only cli imports importing"
        elif wanted == "control" and room not in {"control", *ENTRANCES}:
            reason = "control knows the others, they do not know control"
        elif wanted == "simulate" and room not in {"simulate", *ENTRANCES}:
            reason = "only cli simulates"
        elif wanted in FORBIDDEN_ROOMS.get(room, set()):
            reason = f"{room} never imports {wanted}"
        if reason:
            complaints.append(f"{module}:{one.line}: imports {one.name}: {reason}")
    return complaints


def name_complaints(module: str, source: str) -> list[str]:
    """Banned words in the names that a source defines: modules, classes, functions, arguments,
    variables, attributes, import aliases. Names that others defined may be used."""
    complaints = []
    complaints += _banned(module, module.rsplit(".", maxsplit=1)[-1], 1, BANNED_WORDS | BANNED_FOR_THINGS)
    for name, line, is_class in definitions_of(source):
        banned = BANNED_WORDS | (BANNED_FOR_THINGS if is_class else set())
        complaints += _banned(module, name, line, banned)
    return complaints


def definitions_of(source: str) -> Iterator[tuple[str, int, bool]]:
    """(name, line, whether it is a class) of everything that a source names itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno, True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, False
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno, False
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno, False
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, 0, False


def words_of(name: str) -> list[str]:
    """The words of an identifier: `ServerPool`, `HTTPServer` and `server_pool` alike."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _banned(module: str, name: str, line: int, banned: set[str]) -> list[str]:
    bad = [word for word in words_of(name) if word in banned - OWN_WORDS.get(room_of(module), set())]
    return [f"{module}:{line}: `{name}` has the banned word {word!r}" for word in bad]


def _not_pure(room: str, name: str) -> str | None:
    if name.split(".", maxsplit=1)[0] == "lb":
        module, _, _ = name.rpartition(".")
        ours = {name, module}
        if ours & {one for one in SHARED_MODELS if one != "lb"} or f"{name}.".startswith(f"lb.{room}."):
            return None
        return f"{room} is pure: of lb only the shared models and itself"
    if name == "random.Random" or name.split(".", maxsplit=1)[0] in PURE_OTHER:
        return None
    parts = name.split(".")
    if any(".".join(parts[:size]) in PURE_STDLIB for size in range(1, len(parts) + 1)):
        return None
    return f"{room} is pure: no I/O, no clock, no global state"


def _origin(module: str, node: ast.ImportFrom, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".") if package else module.split(".")[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _typing_blocks(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from node.body


def _is_dynamic_import(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")
