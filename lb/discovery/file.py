"""The file Provider: the servers of a service in a file of their own, which other programs write.

Lives here: reading it, and noticing that it changed. The file is YAML or JSON: a list of addresses, or of
mappings with address, weight, priority, zone and state (up, drain, down). It has no aliases: a few lines of
them can stand for more than memory holds. Whoever writes it replaces it (a rename), or is done within a tenth
of a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import yaml

from lb.discovery.contract import Member, Membership, ProviderError, Registered, Unusable

EVERY = 0.25  # seconds between looks
SETTLE = 0.1  # seconds for which it may not change before it is read
MOST_BYTES = 16 * 1024 * 1024
MOST_SHOWN = 200  # characters of what is wrong
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where it was built
_KEYS = {"address", "weight", "priority", "zone", "state", "name"}


class FileProvider:
    """`path`: absolute."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    async def watch(self) -> AsyncGenerator[Membership, None]:
        """See the contract. Raises ProviderError where the file cannot be read, or is no list."""
        known: tuple[int, ...] = ()
        while True:
            seen = self._look()
            while seen != known:
                if known:
                    await asyncio.sleep(SETTLE)
                known, seen = seen, self._look()
                if seen == known:
                    yield await asyncio.to_thread(self._read)
            await asyncio.sleep(EVERY)

    def _look(self) -> tuple[int, ...]:
        try:
            stat = os.stat(self.path)
        except OSError as error:
            raise ProviderError(f"{self.path} cannot be read: {error.strerror}") from None
        return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _read(self) -> Membership:
        try:
            with self.path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise ProviderError(f"{self.path} cannot be read: {error.strerror}") from None
        if len(data) > MOST_BYTES:
            raise ProviderError(f"{self.path} has more than {MOST_BYTES} bytes")
        try:
            if b"*" in data:
                self._refuse_aliases(data)
            found = yaml.load(data, Loader=_Loader)  # noqa: S506  (a safe one)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            where = getattr(error, "problem_mark", None)
            place = f":{where.line + 1}:{where.column + 1}" if where is not None else ""
            what = getattr(error, "problem", None) or "it is no YAML"
            raise ProviderError(f"{self.path}{place}: {what}") from None
        if not isinstance(found, list):
            raise ProviderError(f"{self.path} holds no list of servers")
        members: list[Member] = []
        unusable: list[Unusable] = []
        for entry in found:
            try:
                members.append(_member(entry))
            except ValueError as error:
                unusable.append(Unusable(_shown(entry), str(error)))
        return Membership(tuple(members), tuple(unusable))

    def _refuse_aliases(self, data: bytes) -> None:
        for event in yaml.parse(data, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                mark: Any = event.start_mark
                raise ProviderError(
                    f"{self.path}:{mark.line + 1}:{mark.column + 1}: an alias (*{event.anchor}) has no place "
                    "in a file of servers; write the value out"
                )


def _member(entry: Any) -> Member:
    """Raises ValueError."""
    if isinstance(entry, str):
        return Member(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        raise ValueError("expected an address, or a mapping with one")
    if wrong := [key for key in entry if key not in _KEYS]:
        raise ValueError(f"unknown key {_shown(wrong[0])}")
    weight, priority = entry.get("weight", 1), entry.get("priority", 0)
    if type(weight) is not int or type(priority) is not int:
        raise ValueError("weight and priority are whole numbers")
    name, zone = entry.get("name", ""), entry.get("zone", "")
    if not isinstance(name, str) or not isinstance(zone, str):
        raise ValueError("name and zone are text")
    try:
        state = Registered(entry.get("state", "up"))
    except ValueError:
        raise ValueError("state is up, drain or down") from None
    why = "" if state is Registered.UP else f"{state.value} in the file"
    return Member(entry["address"], weight, priority, state, why, name, zone)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:MOST_SHOWN]
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
        return f"of type {type(value).__name__}"
