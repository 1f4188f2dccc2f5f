"""When the certificates end that lb shows or trusts, for the metrics.

Lives here: which files the configuration names, and reading each again when it changes. Must not live here:
what is in a certificate (lb.control.x509), TLS itself (lb.discovery, lb.cluster).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lb.config.spec import Spec
from lb.control.x509 import ends_of

MOST = 1 << 20  # bytes of a file


class _Read(NamedTuple):
    """What a file held when its `seen` was this; `end` None: no certificate."""

    seen: tuple[int, int, int]
    end: float | None


class Certificates:
    """One per control process, on its loop: a scrape costs a stat a file."""

    def __init__(self) -> None:
        self._spec: Spec | None = None
        self._places: tuple[tuple[str, str], ...] = ()
        self._read: dict[tuple[str, str], _Read] = {}

    def ends(self, spec: Spec) -> dict[tuple[str, str], float]:
        """Unix seconds by key of the configuration and file. A file that cannot be read, or holds no
        certificate, is not in it. Of lb's own chain the first end counts; of what it trusts the last, since
        a bundle may keep old ones."""
        if spec is not self._spec:
            self._spec, self._places, self._read = spec, tuple(_named(spec)), {}
        for place in self._places:
            self._look(place)
        return {place: one.end for place, one in self._read.items() if one.end is not None}

    def _look(self, place: tuple[str, str]) -> None:
        key, path = place
        try:
            found = Path(path).stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if place in self._read and self._read[place].seen == seen:
                return
            with Path(path).open("rb") as file:
                ends = ends_of(file.read(MOST))
        except (OSError, ValueError):
            self._read.pop(place, None)
            return
        which = max if key.endswith(".ca") else min
        self._read[place] = _Read(seen, which(ends, default=None))


def _named(spec: Spec) -> Iterator[tuple[str, str]]:
    """Keys, and the files that they name."""
    consul = spec.discovery.consul.tls
    yield from _of("discovery.consul.tls", consul.cert, consul.ca)
    if spec.cluster is not None and spec.cluster.engine != "local":
        tls = getattr(spec.cluster, spec.cluster.engine).tls
        if tls is not None:
            yield from _of(f"cluster.{spec.cluster.engine}.tls", tls.cert, tls.ca)
    for name, service in spec.services.items():
        check = service.health_check
        if check is not None and check.tls is not None:
            yield from _of(f"services.{name}.health_check.tls", None, check.tls.ca)


def _of(section: str, cert: str | None, ca: str | None) -> Iterator[tuple[str, str]]:
    for key, path in (("cert", cert), ("ca", ca)):
        if path is not None:
            yield f"{section}.{key}", path
