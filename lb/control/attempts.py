"""What would be tried, and why in this order: scores and retries, for explanations.

Lives here: asking the Balancers for their scores and the Service for one server after another, as retries
would. Must not live here: the rules of retries (lb.proxy.retry), the order itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lb.decisions import SELECT_TEXT, Select
from lb.message import Client, RequestHead
from lb.plan import RoutePlan
from lb.proxy.rules import RouteRules
from lb.upstream.server import Server
from lb.upstream.service import Service

MOST_SHOWN = 10  # further tries; a route may allow more


def scores_of(service: Service, key: bytes) -> dict[Server, float]:
    """The score of every eligible server, in the terms of its group's algorithm; lower is better. Without
    those of an algorithm that does not say."""
    found: dict[Server, float] = {}
    for group in service.groups:
        if group.share > 0 and group.eligible:
            scores = group.balancer.scores(key, ())
            found |= {s: round(score, 6) for s, score in zip(group.eligible, scores, strict=False)}
    return found


def retries_of(
    rules: RouteRules, service: Service, head: RequestHead, client: Client, first: Mapping[str, Any]
) -> dict[str, Any]:
    """The servers that would be asked one after another if each failed, `first` the one with `pick` and
    `reason`; and what ends that before."""
    route: RoutePlan = rules.route.plan
    token = service.sticky.token(head) if service.sticky is not None else b""
    safe = head.method in rules.retry_methods
    after = [word for word in route.retry.on if safe or word == "connect"]
    count = rules.attempts if after else 0
    return {
        "attempts": count,
        "after": after,
        "method": "may be repeated" if safe else "is not in retry.methods: only where no server has seen it",
        "order": _order(service, service.key_of(head, client), token, first, count),
        "budget": rules.budget_share,
        "budget_floor": rules.budget_floor,
        "backoff": rules.backoff,
        "backoff_max": rules.backoff_max,
        "replay": rules.replay,
        "hedge": rules.hedge if safe and count else 0.0,
        "timeouts": {
            name: getattr(rules, name) for name in ("connect", "attempt", "response", "total", "idle")
        },
    }


def _order(
    service: Service, key: bytes, token: bytes, first: Mapping[str, Any], further: int
) -> list[dict[str, Any]]:
    tried = [server for server in service.servers if server.address == first["pick"]]
    order = [{"server": server.address, "reason": first["reason"]} for server in tried]
    for _ in range(min(further, MOST_SHOWN) if tried else 0):
        server = service.select(key, tried, token)
        if server is None:
            break
        order.append({"server": server.address, "reason": SELECT_TEXT[Select(service.reason)]})
        if server not in tried:
            tried.append(server)
    return order
