"""Kept: the last good word on every service, on disk, for a start while the registry is away.

Lives here: the file and what it holds. Must not live here: when it is written (lb.control.discovering), and
whether what it holds is still to be believed (it is, until the first answer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from lb.discovery.contract import Member

FILE = "discovery.json"
CATALOG_FILE = "catalog.json"
_LAST = 253_402_300_799  # the end of the year 9999, unix seconds


class KeptWord(msgspec.Struct, frozen=True):
    """`source`: for people; `at`: unix seconds; `digest`: tells one source from another, "" for none (a file
    of an older lb)."""

    source: str
    at: float
    members: tuple[Member, ...]
    digest: str = ""


class KeptCatalog(msgspec.Struct, frozen=True):
    """The route tags of services; `source` and `at` as in KeptWord."""

    source: str
    at: float
    services: dict[str, tuple[str, ...]]


class _File(msgspec.Struct):
    services: dict[str, KeptWord]


_Found = TypeVar("_Found")


def encoded(words: Mapping[str, KeptWord]) -> bytes:
    return _encoded(_File(dict(sorted(words.items()))))


def encoded_catalog(kept: KeptCatalog) -> bytes:
    return _encoded(kept)


def read(path: Path, set_aside: Callable[[Exception], None]) -> dict[str, KeptWord]:
    """What the file holds; nothing where there is none, or it makes no sense: then `set_aside` is told."""
    found = _decoded(path, _File, set_aside)
    words = found.services if found is not None else {}
    return {name: word for name, word in words.items() if 0 <= word.at <= _LAST}


def read_catalog(path: Path, set_aside: Callable[[Exception], None]) -> KeptCatalog | None:
    """As `read`."""
    found = _decoded(path, KeptCatalog, set_aside)
    return found if found is not None and 0 <= found.at <= _LAST else None


def _encoded(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _decoded(path: Path, kind: type[_Found], set_aside: Callable[[Exception], None]) -> _Found | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        set_aside(error)
        return None
