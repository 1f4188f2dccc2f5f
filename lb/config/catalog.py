"""Routes and services out of a catalogue, beside those of the file.

Lives here: what a route tag means, and that it passes the same checks as the file; who counts where two want
the same. Must not live here: where tags come from and how long they stay (lb.discovery.catalog).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from lb.config.discovery import DiscoverSpec
from lb.config.discovery_consul import ConsulDiscoverSpec
from lb.config.problems import shown
from lb.config.routes import RouteSpec
from lb.config.section import words
from lb.config.services import ServiceSpec
from lb.config.spec import Spec
from lb.discovery.contract import Unusable, printable

MOST_ROUTES = 5000  # of a catalogue
SOURCE = "consul"

Place = tuple[str, str]  # host ("": every one) and prefix of the path


class MadeRoute(NamedTuple):
    """Where a route comes from. `service`: its name in Consul."""

    route: str
    service: str
    tag: str

    @property
    def text(self) -> str:
        """For people."""
        return f"Consul, service {self.service}, tag {self.tag}"


class Extended(NamedTuple):
    """A Spec with what a catalogue adds. `unusable`: tags that make no route, with the reason."""

    spec: Spec
    routes: tuple[MadeRoute, ...] = ()
    unusable: tuple[Unusable, ...] = ()


def service_name(service: str) -> str:
    """The name here of a service of Consul."""
    return f"{SOURCE}:{service}"


def extended(spec: Spec, services: Mapping[str, tuple[str, ...]], held: Collection[str] = ()) -> Extended:
    """`services`: their route tags. Where two want the same host and path, the file comes before the
    catalogue, a service that is there before one that is `held`, then the first by name."""
    catalog = spec.discovery.consul.catalog
    if catalog is None:
        return Extended(spec)
    begin = catalog.catalog().route
    taken = {
        place: f'the route "{route.name}" of the file' for route in spec.routes for place in _plain(route)
    }
    names = {route.name for route in spec.routes}
    made: list[MadeRoute] = []
    routes: list[RouteSpec] = []
    added: dict[str, ServiceSpec] = {}
    unusable: list[Unusable] = []
    for service in sorted(services, key=lambda one: (one in held, one)):
        for tag in services[service]:
            name = service_name(service)
            try:
                route = _route(name, tag.removeprefix(begin))
                place = next(_plain(route))
                if place in taken:
                    raise ValueError(f"{taken[place]} has this host and path")
                if route.name in names:
                    raise ValueError(f'there is a route "{route.name}" already')
                if len(routes) >= MOST_ROUTES:
                    raise ValueError(f"there are {MOST_ROUTES} routes of the catalogue already")
                if name not in spec.services and name not in added:
                    added[name] = _service(service, catalog.tags, begin)
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)[0]
                unusable.append(Unusable(printable(f"{service}: {tag}"), words(found)))
            except ValueError as error:
                unusable.append(Unusable(printable(f"{service}: {tag}"), str(error)))
            else:
                taken[place] = f'the service "{service}" of Consul'
                names.add(route.name)
                routes.append(route)
                made.append(MadeRoute(route.name, service, tag))
    whole = spec.model_copy(
        update={"routes": (*spec.routes, *routes), "services": {**spec.services, **added}}
    )
    return Extended(whole, tuple(made), tuple(unusable))


def _route(service: str, text: str) -> RouteSpec:
    """Raises ValueError, of which ValidationError is one."""
    place, *options = text.split(" ")
    host, slash, path = place.partition("/")
    if not slash:
        raise ValueError(f"found {shown(text)}; expected HOST/PATH, /PATH or HOST/")
    match: dict[str, Any] = {"path_prefix": f"/{path}"}
    if host:
        match["host"] = host
    given: dict[str, Any] = {"name": f"{service}:{place}", "match": match, "service": service}
    for option in filter(None, options):
        key, _, value = option.partition("=")
        if key != "strip" or "rewrite" in given:
            raise ValueError(f"found {shown(option)}; after the path there may be strip=/PREFIX, once")
        given["rewrite"] = {"strip_prefix": value}
    return RouteSpec.model_validate(given)


def _service(service: str, tags: tuple[str, ...], marked: str) -> ServiceSpec:
    given: dict[str, Any] = {"service": service}
    if tags:
        given["tags"] = tags
    followed = ConsulDiscoverSpec.model_validate(given).marked(marked)
    return ServiceSpec.model_validate({"discover": DiscoverSpec.model_validate({"consul": followed})})


def _plain(route: RouteSpec) -> Iterator[Place]:
    """The hosts and prefixes of a route that asks for nothing else."""
    match = route.match
    if match.model_fields_set <= {"host", "path_prefix"}:
        for host in match.host or ("",):
            for prefix in match.path_prefix or ("/",):
                yield host, prefix.rstrip("/") or "/"
