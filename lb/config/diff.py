"""The difference between two configurations, in lines that an operator reads.

`route api: timeout.response 30s → 10s`, `service app: server 10.0.0.3:80 added`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lb.config.resolved import plain
from lb.config.spec import Spec

SHOWN = 120  # characters of a value

# Lists whose items have an identity: key → the item's own key, and the word for an item
_IDENTITIES = {"servers": ("address", "server"), "split": ("service", "share of")}
_USUAL = {"weight": 1, "backup": False, "priority": 0}  # of an item that is added: not worth a word


def diff(old: Spec, new: Spec) -> list[str]:
    """What changed from `old` to `new`, in the order of the sections. Empty where they are equal.
    Where only the text of a secret changed, the line says so and shows neither."""
    before, after = plain(old), plain(new)
    lines: list[str] = []
    for key in Spec.keys:
        if key in ("listeners", "routes"):
            word = key.removesuffix("s")
            was, now = _by(before[key], "name"), _by(after[key], "name")
            lines += _named(word, was, now)
            kept_before = [name for name in was if name in now]
            kept_after = [name for name in now if name in was]
            if key == "routes" and kept_before != kept_after:
                lines.append("routes: order changed")
        elif key == "services":
            lines += _named("service", before[key], after[key])
        elif key == "tests":
            if old.tests != new.tests:
                lines.append(f"tests: changed ({len(old.tests)} → {len(new.tests)})")
        else:
            was, now = ({key: whole[key]} if key in whole else {} for whole in (before, after))
            lines += [line.removeprefix(".") for line in _changes(was, now, "")]
    lines += [
        f"route {route.name}: a secret's text changed"
        for route, previous in ((r, _route(old, r.name)) for r in new.routes)
        if previous is not None and route != previous and plain(route) == plain(previous)
    ]
    lines += [
        f"service {name}: a secret's text changed"
        for name, service in new.services.items()
        if name in old.services
        and service != old.services[name]
        and before["services"][name] == after["services"][name]
    ]
    return lines


def _route(spec: Spec, name: str) -> Any:
    return next((route for route in spec.routes if route.name == name), None)


def _by(items: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    return {item[key]: item for item in items}


def _named(word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in old:
        if name not in new:
            yield f"{word} {name}: removed"
    for name, value in new.items():
        if name not in old:
            yield f"{word} {name}: added"
        elif value != old[name]:
            yield from (f"{word} {name}: {line.lstrip('. ')}" for line in _changes(old[name], value, ""))


def _changes(old: Any, new: Any, path: str) -> Iterator[str]:
    """Lines that begin with the path below, such as `.timeout.response 30s → 10s`."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}"
            if key not in new:
                yield f"{below} {_shown(old[key])} removed"
            elif key not in old:
                yield f"{below} {_shown(new[key])} added"
            elif key in _IDENTITIES and old[key] != new[key]:
                yield from _items(key, old[key], new[key])
            else:
                yield from _changes(old[key], new[key], below)
    else:
        yield f"{path} {_shown(old)} → {_shown(new)}"


def _items(key: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    identity, word = _IDENTITIES[key]
    was, now = _by(old, identity), _by(new, identity)
    for name in was:
        if name not in now:
            yield f" {word} {name} removed"
    for name, item in now.items():
        if name not in was:
            extra = {k: v for k, v in item.items() if k != identity and v != _USUAL[k]}
            yield f" {word} {name} added" + (
                f" ({', '.join(f'{k} {_shown(v)}' for k, v in extra.items())})" if extra else ""
            )
        else:
            yield from (
                f" {word} {name}{line.replace('.', ' ', 1)}" for line in _changes(was[name], item, "")
            )
    if list(was) != list(now) and set(was) == set(now):
        yield f" order of {key} changed"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(_shown(item) for item in value) + "]"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = value if value and value.isprintable() else repr(value)
    else:
        text = str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
