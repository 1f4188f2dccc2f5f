"""Doubts: settings about failing servers that are valid and hardly meant.

Lives here: only what has no effect, or an effect that nobody wants, and that a reader of the file does not
see. Must not live here: what is impossible (the sections), and matters of taste.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from lb.config.health import HealthCheckSpec
from lb.config.merge import NAMED, Loc
from lb.config.resilience import OutlierSpec
from lb.config.retry import IDEMPOTENT
from lb.config.routes import RouteSpec
from lb.config.services import ServiceSpec
from lb.config.spec import Spec
from lb.config.values import duration_text

Doubt = tuple[Loc, str]  # where, and what

NOT_DONE = ("connect", "429", "503")  # failures after which a request was not carried out


def doubts(spec: Spec) -> Iterator[Doubt]:
    for name, service in spec.services.items():
        yield from (((NAMED, name, *loc), message) for loc, message in _service(service))
    for index, route in enumerate(spec.routes):
        yield from ((("routes", index, *loc), message) for loc, message in _route(route))


def _service(service: ServiceSpec) -> Iterator[Doubt]:
    check, outlier, count = service.health_check, service.outlier, len(service.servers)
    if service.followed is not None:
        count = 0  # nobody knows how many
    if check is not None:
        yield from _check(check)
    if outlier is not None and count:
        yield from _outlier(outlier, count)
    if service.slow_start and count == 1:
        yield ("slow_start",), "no effect: there is no other server to take the rest"


def _check(check: HealthCheckSpec) -> Iterator[Doubt]:
    if check.timeout > check.interval:
        yield (
            ("health_check", "timeout"),
            f"timeout ({duration_text(check.timeout)}) is longer than interval "
            f"({duration_text(check.interval)}): a server that hangs is checked less often",
        )
    if check.command and shutil.which(check.command[0]) is None:
        yield ("health_check", "command"), f'there is no program "{check.command[0]}" here'


def _outlier(outlier: OutlierSpec, count: int) -> Iterator[Doubt]:
    if count == 1:
        yield ("outlier",), "no effect: the only server is not ejected"
        return
    for key in ("success_rate", "latency"):
        if getattr(outlier, key) == "enforce" and count < outlier.min_servers:
            yield (
                ("outlier", key),
                f"no effect: there are {count} servers, and min_servers is {outlier.min_servers}",
            )


def _route(route: RouteSpec) -> Iterator[Doubt]:
    timeout, retry = route.timeout, route.retry
    for key in ("response", "total"):
        limit = getattr(timeout, key)
        if limit and timeout.attempt >= limit:
            yield (
                ("timeout", "attempt"),
                f"no effect: {key} ends the request first, after {duration_text(limit)}",
            )
            break
    if timeout.response and retry.hedge >= timeout.response:
        yield (
            ("retry", "hedge"),
            f"no effect: timeout.response ends the request first, after {duration_text(timeout.response)}",
        )
    unsafe = [method for method in retry.methods if method not in IDEMPOTENT]
    done = [cause for cause in retry.on if cause not in NOT_DONE]
    if retry.attempts and unsafe and done:
        yield (
            ("retry", "methods"),
            f"{', '.join(unsafe)} may be carried out twice: after {', '.join(done)} a server may "
            "have done it already",
        )
    services = {route.service, *(share.service for share in route.split)}
    if route.mirror is not None and route.mirror.service in services:
        yield ("mirror", "service"), "the route's own service: it gets the requests twice"
