"""The difference between two configurations, for programs and in lines that an operator reads.

`route api: timeout.response 30s → 10s`, `service app: server 10.0.0.3:80 added`. Lives here: what differs,
and what of it a reload puts in force. Must not live here: where requests go by it (lb.config.rehearsal).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lb.config.resolved import plain
from lb.config.restart import waits_for_restart
from lb.config.spec import Spec

SHOWN = 120  # characters of a value

# Lists whose items have an identity: key → the item's own key, and the word for an item
_IDENTITIES = {"servers": ("address", "server"), "split": ("service", "share of")}
_USUAL = {"weight": 1, "backup": False, "priority": 0}  # of an item that is added: not worth a word


class Change(NamedTuple):
    """`kind`: added, removed, changed, order (only the order of a list is another) or secret (a text that is
    not shown). `path`: keys from the section on, such as services, app, servers, 10.0.0.1:80, weight.
    `before`, `after`: None where there is none, or where it is a whole item. `line`: the same for people.
    `restart`: a reload leaves it as it was until lb is restarted."""

    kind: str
    path: tuple[str, ...]
    before: Any
    after: Any
    line: str
    restart: bool = False


def diff(old: Spec, new: Spec) -> list[str]:
    """The lines of `changes`."""
    return [change.line for change in changes(old, new)]


def changes(old: Spec, new: Spec, auto: int = 0) -> list[Change]:
    """What changed from `old` to `new`, in the order of the sections. Empty where they are equal.
    Where only the text of a secret changed, it is said so, and neither is shown. `auto`: so many workers are
    meant by that; 0: as many as this machine has cores."""
    before, after = plain(old), plain(new)
    found: list[Change] = []
    for key in Spec.keys:
        if key in ("listeners", "routes"):
            was, now = _by(before[key], "name"), _by(after[key], "name")
            found += _named(key, was, now)
            kept_before = [name for name in was if name in now]
            kept_after = [name for name in now if name in was]
            if key == "routes" and kept_before != kept_after:
                found.append(Change("order", (key,), kept_before, kept_after, "routes: order changed"))
        elif key == "services":
            found += _named(key, before[key], after[key])
        elif key == "tests":
            if old.tests != new.tests:
                counts = len(old.tests), len(new.tests)
                line = f"tests: changed ({counts[0]} → {counts[1]})"
                found.append(Change("changed", (key,), *counts, line))
        else:
            was, now = ({key: whole[key]} if key in whole else {} for whole in (before, after))
            found += [c._replace(line=c.line.removeprefix(".")) for c in _changes(was, now, (), "")]
    found += [
        _secret("routes", route.name)
        for route, previous in ((r, _route(old, r.name)) for r in new.routes)
        if previous is not None and route != previous and plain(route) == plain(previous)
    ]
    found += [
        _secret("services", name)
        for name, service in new.services.items()
        if name in old.services
        and service != old.services[name]
        and before["services"][name] == after["services"][name]
    ]
    waiting = waits_for_restart(old, new, auto)
    return [change._replace(restart=_is_of(change.path, waiting)) for change in found]


def _is_of(path: tuple[str, ...], keys: Iterable[tuple[str, ...]]) -> bool:
    """Whether one of `keys` is at `path`, above it or below it."""
    return any(path[: len(key)] == key[: len(path)] for key in keys)


def _secret(section: str, name: str) -> Change:
    line = f"{section.removesuffix('s')} {name}: a secret's text changed"
    return Change("secret", (section, name), None, None, line)


def _route(spec: Spec, name: str) -> Any:
    return next((route for route in spec.routes if route.name == name), None)


def _by(items: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    return {item[key]: item for item in items}


def _named(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    word = section.removesuffix("s")
    for name in old:
        if name not in new:
            yield Change("removed", (section, name), None, None, f"{word} {name}: removed")
    for name, value in new.items():
        if name not in old:
            yield Change("added", (section, name), None, None, f"{word} {name}: added")
        elif value != old[name]:
            for change in _changes(old[name], value, (section, name), ""):
                yield change._replace(line=f"{word} {name}: {change.line.lstrip('. ')}")


def _changes(old: Any, new: Any, path: tuple[str, ...], text: str) -> Iterator[Change]:
    """Their lines begin with the path below, `text`, such as `.timeout.response 30s → 10s`."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            where, below = (*path, key), f"{text}.{key}"
            if key not in new:
                yield Change("removed", where, old[key], None, f"{below} {_shown(old[key])} removed")
            elif key not in old:
                yield Change("added", where, None, new[key], f"{below} {_shown(new[key])} added")
            elif key in _IDENTITIES and old[key] != new[key]:
                yield from _items(where, old[key], new[key])
            else:
                yield from _changes(old[key], new[key], where, below)
    else:
        yield Change("changed", path, old, new, f"{text} {_shown(old)} → {_shown(new)}")


def _items(
    path: tuple[str, ...], old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> Iterator[Change]:
    key = path[-1]
    identity, word = _IDENTITIES[key]
    was, now = _by(old, identity), _by(new, identity)
    for name in was:
        if name not in now:
            yield Change("removed", (*path, name), was[name], None, f" {word} {name} removed")
    for name, item in now.items():
        if name not in was:
            extra = {k: v for k, v in item.items() if k != identity and v != _USUAL[k]}
            said = f" ({', '.join(f'{k} {_shown(v)}' for k, v in extra.items())})" if extra else ""
            yield Change("added", (*path, name), None, item, f" {word} {name} added{said}")
        else:
            for change in _changes(was[name], item, (*path, name), ""):
                yield change._replace(line=f" {word} {name}{change.line.replace('.', ' ', 1)}")
    if list(was) != list(now) and set(was) == set(now):
        yield Change("order", path, list(was), list(now), f" order of {key} changed")


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
