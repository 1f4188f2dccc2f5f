"""A route of the Spec as the plan's record: what workers match and lint asks the routing table.

Lives here: the translation of routes, without counters unless they are handed in. Must not live here:
the rest of the plan (lb.control.planning).
"""

from __future__ import annotations

from collections.abc import Callable

from lb.config.edits import HeaderEditsSpec, RewriteSpec
from lb.config.fields import Secret
from lb.config.matches import MatchSpec, ValueSpec
from lb.config.mirror import MirrorSpec
from lb.config.routes import RouteSpec
from lb.plan import (
    HeaderEditsPlan,
    MatchPlan,
    MirrorPlan,
    RedirectPlan,
    RespondPlan,
    RetryPlan,
    RewritePlan,
    RoutePlan,
    TimeoutPlan,
    ValuePlan,
    WeightedService,
)


def _no_slot(_service: str) -> int:
    return 0


def route_plan(
    route: RouteSpec, slot: Callable[[str], int] = _no_slot, mirror_slot: Callable[[str], int] = _no_slot
) -> RoutePlan:
    """The plan of a route. `slot` gives the counters of (this route, a service; "": none), `mirror_slot`
    those of its copies to a service."""
    shares = [(share.service, share.weight) for share in route.split]
    if route.service is not None:
        shares = [(route.service, 1)]
    respond, redirect = route.respond, route.redirect
    return RoutePlan(
        name=route.name,
        match=_match(route.match),
        priority=route.priority,
        services=tuple(WeightedService(s, weight, slot(s)) for s, weight in shares),
        redirect=None if redirect is None else RedirectPlan(redirect.to, redirect.status),
        respond=None
        if respond is None
        else RespondPlan(respond.status, respond.body, tuple(respond.headers.items())),
        rewrite=None if route.rewrite is None else _rewrite(route.rewrite),
        request_headers=_edits(route.request_headers),
        response_headers=_edits(route.response_headers),
        timeout=TimeoutPlan(**route.timeout.model_dump()),
        retry=RetryPlan(**route.retry.model_dump()),
        mirror=None if route.mirror is None else _mirror(route.mirror, mirror_slot),
        slot=0 if shares else slot(""),
    )


def _match(match: MatchSpec) -> MatchPlan:
    return MatchPlan(
        listener=match.listener or (),
        host=match.host or (),
        path=match.path or (),
        path_prefix=match.path_prefix or (),
        path_regex=match.path_regex or (),
        method=match.method or (),
        header=_values(match.header),
        query=_values(match.query),
        cookie=_values(match.cookie),
        client_ip=match.client_ip or (),
    )


def _values(named: dict[str, ValueSpec]) -> tuple[ValuePlan, ...]:
    return tuple(
        ValuePlan(name, value.exact or (), value.regex, value.present) for name, value in named.items()
    )


def _mirror(mirror: MirrorSpec, slot: Callable[[str], int]) -> MirrorPlan:
    compare = mirror.compare
    return MirrorPlan(
        service=mirror.service,
        share=mirror.share,
        status=compare.status,
        headers=compare.headers,
        body=compare.body,
        max_body=mirror.max_body,
        slot=slot(mirror.service),
    )


def _rewrite(rewrite: RewriteSpec) -> RewritePlan:
    return RewritePlan(rewrite.strip_prefix, rewrite.add_prefix, rewrite.regex, rewrite.to, rewrite.host)


def _edits(edits: HeaderEditsSpec) -> HeaderEditsPlan | None:
    if not (edits.set or edits.add or edits.remove):
        return None
    return HeaderEditsPlan(_pairs(edits.set), _pairs(edits.add), edits.remove)


def _pairs(values: dict[str, str | Secret]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value.value.get_secret_value() if isinstance(value, Secret) else value)
        for name, value in values.items()
    )
