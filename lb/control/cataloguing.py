"""Cataloguing: the routes and services that a catalogue adds to the configuration.

Lives here: following it while it is configured, the last good word on disk, who is told. Must not live here:
what a tag means (lb.config.catalog), how long routes stay (lb.discovery.catalog), putting a generation in
force (lb.control.reload).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lb.config.catalog import Extended, MadeRoute, extended, service_name
from lb.config.discovery import DiscoverySpec
from lb.config.spec import Spec
from lb.control.events import Events
from lb.control.providers import Providers, catalog_told_apart
from lb.control.statedir import give_up, write_whole
from lb.discovery.catalog_following import CatalogFollowing
from lb.discovery.contract import Unusable
from lb.discovery.kept import CATALOG_FILE, KeptCatalog, encoded_catalog, read_catalog
from lb.worker.journal import Journal

FIRST_ANSWER = 2.0  # seconds that a start waits for it
STAY = 2.0  # graces of the brake that routes stay: its servers are held for one, then 503 is said for one

log = Journal("lb.control")


class Cataloguing:
    """One per control process, in its loop. `refresh` asks for a generation with the routes of now."""

    def __init__(self, folder: Path, providers: Providers, events: Events) -> None:
        """`folder`: the state folder."""
        self._path = folder / CATALOG_FILE
        self._providers = providers
        self._events = events
        self.refresh: Callable[[], None] = _nothing
        self._settings: DiscoverySpec | None = None
        self._following: CatalogFollowing | None = None
        self._task: asyncio.Task[None] | None = None
        self._kept = read_catalog(self._path, self._set_aside)
        self._held: frozenset[str] = frozenset()
        self._known: tuple[Spec, object, Extended] | None = None

    async def prepare(self, spec: Spec) -> Spec:
        """`spec` with the routes of now: the catalogue is followed as it says, and has a moment for its first
        answer. One that is followed with the same settings goes on."""
        settings = spec.discovery if spec.discovery.consul.catalog is not None else None
        if settings != self._settings:
            await self.close()
            self._settings = settings
            if settings is not None:
                await self._begin(settings)
        return self._extended(spec).spec

    async def _begin(self, settings: DiscoverySpec) -> None:
        catalog = settings.consul.catalog
        assert catalog is not None
        source = " ".join((f"consul catalog {catalog.prefix}.route=", *(f"#{tag}" for tag in catalog.tags)))
        one = CatalogFollowing(
            source, self._providers.catalog(settings), STAY * settings.brake.grace, self._changed
        )
        if self._kept is not None and self._kept.source == catalog_told_apart(settings):
            one.begin_with(self._kept.services, max(0.0, time.time() - self._kept.at))
        self._following = one
        self._task = asyncio.create_task(one.run())
        try:
            async with asyncio.timeout(FIRST_ANSWER):
                await one.first.wait()
        except TimeoutError:
            log.warning(
                "a catalogue has not answered yet: the routes of an earlier life are in force",
                source=source, services=len(one.brake.in_force), why=one.error,
            )  # fmt: skip

    def _extended(self, spec: Spec) -> Extended:
        """Made once for the same wishes: members change more often than routes."""
        one = self._following
        if one is None:
            return Extended(spec)
        wishes = (one.brake.in_force, set(one.brake.held))
        if self._known is None or self._known[0] is not spec or self._known[1] != wishes:
            found = extended(spec, *wishes)
            before = self._known[2].unusable if self._known is not None else ()
            for bad in found.unusable:
                if bad not in before:
                    log.warning("a route tag is set aside", tag=bad.entry, why=bad.reason)
            self._known = (spec, wishes, found)
        return self._known[2]

    def let_go(self, service: str) -> bool:
        """Believe the catalogue: the routes to a service (its name here) that is gone go now. False where
        they are not held."""
        one = self._following
        if one is None:
            return False
        return any(one.let_go(name) for name in [*one.brake.held] if service_name(name) == service)

    def origin(self, route: str) -> MadeRoute | None:
        """Where a route comes from; None for one of the file."""
        made = self._known[2].routes if self._known is not None and self._following is not None else ()
        return next((one for one in made if one.route == route), None)

    def origins(self) -> dict[tuple[str, ...], str]:
        """Where all come from that are not in the file: ("route", name) and ("service", name)."""
        made = self._known[2].routes if self._known is not None and self._following is not None else ()
        found: dict[tuple[str, ...], str] = {("route", one.route): one.text for one in made}
        return found | {("service", service_name(one.service)): one.text for one in made}

    def shown(self) -> dict[str, Any] | None:
        """What is known of the catalogue, for people; None where none is asked for."""
        one = self._following
        if one is None:
            return None
        now = asyncio.get_running_loop().time()
        found = self._known[2] if self._known is not None else None
        unusable: tuple[Unusable, ...] = (*one.unusable, *(found.unusable if found is not None else ()))
        return {
            "source": one.source,
            "answered": one.heard and not one.error,
            "age": round(one.age, 1) if one.age >= 0 else None,
            "error": one.error or None,
            "updates": one.updates,
            "errors": one.errors,
            "routes": [made._asdict() for made in found.routes] if found is not None else [],
            "held": {
                service_name(service): round(since + one.brake.stay - now, 1)
                for service, since in one.brake.held.items()
            },
            "unusable": [{"entry": bad.entry, "reason": bad.reason} for bad in unusable],
        }

    async def close(self) -> None:
        task, self._task = self._task, None
        self._following = None
        self._held = frozenset()
        self._known = None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _changed(self, one: CatalogFollowing) -> None:
        self._save(one)
        for service in sorted(set(one.brake.held) - self._held):
            name = service_name(service)
            self._events.emit(
                "discovery", "removal_held",
                f"{one.source} has {service} no more: its routes stay for {one.brake.stay:g}s; "
                f"`lb discovery accept {name}` ends that",
                service=name, source=one.source,
            )  # fmt: skip
        for service in sorted(self._held - set(one.brake.held)):
            self._events.emit(
                "discovery", "removal_released", f"{one.source}: no route of {service} is held any more",
                service=service_name(service), source=one.source,
            )  # fmt: skip
        self._held = frozenset(one.brake.held)
        self.refresh()

    def _save(self, one: CatalogFollowing) -> None:
        assert self._settings is not None  # who is followed, is followed as these say
        self._kept = KeptCatalog(catalog_told_apart(self._settings), time.time(), one.brake.in_force)
        try:
            write_whole(self._path, encoded_catalog(self._kept))
        except OSError as error:
            log.error(
                "what a catalogue said last cannot be saved: a start while it is away begins without routes",
                file=self._path, error=error.strerror,
            )  # fmt: skip

    def _set_aside(self, error: Exception) -> None:
        give_up(self._path, "the file of what a catalogue said last makes no sense: it is not used", error)


def _nothing() -> None:
    """Until there is a Reloader."""
