"""What would happen to a request: the answer of `lb explain` and of the admin API, as plain data.

Lives here: asking the codec, the table, the split and the balancer, the same objects that workers ask,
and writing down what they say. Must not live here: any rule of theirs, text for terminals (lb.cli).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import urlsplit

from lb.admin.view import Question
from lb.control.attempts import retries_of, scores_of
from lb.decisions import SELECT_TEXT, Select
from lb.http1.request import read_request
from lb.message import Client, RequestHead
from lb.outcomes import TABLE, Outcome
from lb.plan import ListenerPlan, Plan, RoutePlan, StatePlan
from lb.routing.explain import explain as verdicts_of
from lb.snapshot import Snapshot, build
from lb.telemetry.cells import Cells
from lb.upstream.group import Group
from lb.upstream.registry import Registry
from lb.upstream.server import Server
from lb.upstream.service import Service

# What the pick of the next request depends on besides the request; then it may be another server.
WAVERING = {
    Select.TURN: "each worker deals in turn: the next request gets the next server",
    Select.RANDOM: "the next request may get another server",
    Select.FEWER_OF_TWO: "the next request may get another server",
    Select.FEWEST_IN_FLIGHT: "the next request may get another server",
    Select.LOWEST_COST: "latencies are each worker's own: a worker may pick another server",
    Select.NO_KEY: "the next request may get another server",
    Select.SPILL: "the next request may get a server of another priority",
    Select.PANIC: "the next request may get another server",
    Select.STICKY_LOST: "the response sets a new cookie; a worker may pick another server",
}


def snapshot_of(plan: Plan, cells: Cells, states: Sequence[StatePlan] = ()) -> Snapshot:
    """A Snapshot as a worker has it, with the live counts of `cells` and the states of servers. Raises
    SnapshotError."""
    registry = Registry(cells)
    registry.set_states(states, whole=True)
    slices = build(plan, registry, Random(), time.monotonic)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            snapshot: Snapshot = end.value
            snapshot.take_effect(registry)
            return snapshot


def explain(
    plan: Plan,
    question: Question,
    cells: Cells,
    states: Sequence[StatePlan] = (),
    seen: Sequence[Mapping[str, Any]] = (),
) -> Mapping[str, Any]:
    """JSON-ready. `states`: what a running lb knows of its servers; `seen`: what its workers say of
    themselves. Raises ValueError with a sentence for the
    user where the question makes no sense."""
    listener = _listener(plan, question.listener)
    head = _head(question, listener)
    client = Client(question.client_ip, listener.name)
    snapshot = snapshot_of(plan, cells, states)
    at = snapshot.table.match(head, client)
    answer: dict[str, Any] = {
        "request": {
            "method": head.method.decode(),
            "host": head.host.decode(),
            "target": head.target.decode(),
            "client_ip": client.address,
            "listener": listener.name,
        },
        "routes": [
            {
                "route": verdict.route,
                "won": verdict.won,
                "misses": [miss._asdict() for miss in verdict.misses],
            }
            for verdict in verdicts_of(snapshot.table, head, client)
        ],
        "generation": plan.generation,
        "route": None,
    }
    if at < 0:
        nothing = TABLE[Outcome.NO_ROUTE]
        return {**answer, "action": "refuse", "status": nothing.status, "reason": nothing.text}
    route = plan.routes[at]
    return {**answer, "route": route.name, **_action(snapshot, route, head, client, seen)}


def _listener(plan: Plan, name: str) -> ListenerPlan:
    if not name:
        return plan.listeners[0]
    for listener in plan.listeners:
        if listener.name == name:
            return listener
    names = ", ".join(listener.name for listener in plan.listeners)
    raise ValueError(f"there is no listener {name}; there are: {names}")


def _head(question: Question, listener: ListenerPlan) -> RequestHead:
    """The question as the codec reads it from the wire: what it refuses there, it refuses here."""
    parts = urlsplit(question.url)
    absolute = bool(parts.scheme)
    if absolute and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ValueError(f"{question.url} is no http URL; write it like http://example.com/path")
    if not absolute and not question.url.startswith("/"):
        raise ValueError(
            f"{question.url} is neither a URL nor a path; write http://{question.url} or /{question.url}"
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = list(question.headers)
    if not any(name.lower() == "host" for name, _ in headers):
        if not absolute:
            raise ValueError("a path alone has no host; write the whole URL, or add the header host")
        headers.insert(0, ("host", parts.netloc.rpartition("@")[2]))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    try:
        raw = f"{question.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")
    except UnicodeEncodeError:
        raise ValueError("only ASCII goes over the wire; write other characters of a URL as %XX") from None
    head = RequestHead()
    end = read_request(raw, 0, 0, head, listener.limits.max_header_bytes, listener.limits.max_headers)
    if end != len(raw):
        outcome = TABLE[Outcome(-end)] if end < 0 else TABLE[Outcome.BAD_REQUEST]
        raise ValueError(f"lb would refuse this request with {outcome.status}: {outcome.text}")
    return head


def _action(
    snapshot: Snapshot, route: RoutePlan, head: RequestHead, client: Client, seen: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    if route.redirect is not None:
        return {"action": "redirect", "status": route.redirect.status, "to": route.redirect.to}
    if route.respond is not None:
        return {"action": "respond", "status": route.respond.status}
    split = snapshot.table.routes[snapshot.table.match(head, client)].split
    chosen = route.services[split.choose(Random().random()) if split is not None else 0]
    whole = sum(each.weight for each in route.services)
    found: dict[str, Any] = {"action": "forward", **_service(snapshot, chosen.service, head, client, seen)}
    if len(route.services) > 1:
        found["split"] = [
            {"service": each.service, "share": round(each.weight / whole, 4)} for each in route.services
        ]
    rules = snapshot.routes[snapshot.table.match(head, client)]
    found["retries"] = retries_of(rules, snapshot.services[chosen.service], head, client, found)
    if route.mirror is not None:
        found["mirror"] = {"service": route.mirror.service, "share": route.mirror.share}
    return found


def _service(
    snapshot: Snapshot, name: str, head: RequestHead, client: Client, seen: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    service: Service = snapshot.services[name]
    plan = next(each for each in snapshot.plan.services if each.name == name)
    groups = {server: group for group in service.groups for server in group.servers}
    key = service.key_of(head, client)
    token = service.sticky.token(head) if service.sticky is not None else b""
    by_address = _as_seen(service, seen)
    scores = scores_of(service, key)
    servers = [
        {
            "address": server.address,
            "weight": round(server.effective(), 4),
            "backup": server.backup,
            "eligible": server in service.eligible,
            "why": _why(server, groups[server]),
            "in_flight": server.in_flight(),
            "score": scores.get(server),
            **({"cost": cost} if (cost := server.cost(service.clock())) > 0 else {}),
            **by_address.get(server.address, {}),
        }
        for server in service.servers
    ]
    picked: Server | None = service.select(key, (), token)
    reason = Select(service.reason)
    group = service.group
    return {
        "service": name,
        "algorithm": plan.algorithm.name,
        "key": plan.algorithm.key,
        "key_value": key.decode("latin-1"),
        "score": "" if group is None else group.balancer.SCORE,
        "servers": servers,
        **_groups(service),
        **_sticky(service, token),
        "pick": picked.address if picked is not None else None,
        "reason": SELECT_TEXT[reason],
        "note": WAVERING.get(reason, ""),
        **({} if picked is not None else {"status": TABLE[Outcome.NO_SERVER].status}),
    }


def _as_seen(service: Service, seen: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What only workers know, of the first that answered: latency costs are put on the Servers here, breakers
    and queues are told."""
    found: dict[str, dict[str, Any]] = {}
    for said in [worker["services"][service.name] for worker in seen if service.name in worker["services"]][
        :1
    ]:
        of = {server.address: server for server in service.servers}
        for one in said["servers"]:
            server = of.get(one["address"])
            if server is None:
                continue
            if one["cost_seconds"] > 0:
                server.latency.cost, server.latency.stamp = one["cost_seconds"], service.clock()
            told = {"breaker": one["breaker"]} if one["breaker"] not in (None, "closed") else {}
            found[server.address] = told | ({"waiting": one["waiting"]} if one["waiting"] else {})
    return found


def _groups(service: Service) -> dict[str, Any]:
    """How priorities and backups share the requests, where there is more to say than that one takes all."""
    if len(service.groups) < 2 and not any(group.panic for group in service.groups):
        return {}
    return {
        "groups": [
            {
                "group": "backups" if group.backup else f"priority {group.priority}",
                "share": round(group.share, 4),
                "usable": len(group.usable),
                "servers": len(group.servers),
                "panic": bool(group.panic),
            }
            for group in service.groups
        ]
    }


def _sticky(service: Service, token: bytes) -> dict[str, Any]:
    """Whom the session's cookie names: "" where there is none, or it names no server that is in use."""
    if service.sticky is None:
        return {}
    named: Server | None = service.sticky.admitted.get(token)
    return {
        "sticky": {
            "cookie": service.sticky.cookie.decode(),
            "sent": bool(token),
            "server": "" if named is None else named.address,
        }
    }


def _why(server: Server, group: Group) -> str:
    if server.effective() <= 0:
        return server.why or "weight 0: gets no new requests"
    if server.draining:
        return server.why or "draining: keeps its sessions and gets no others"
    if not server.usable:
        why = server.why or "not usable"
        return f"{why}; used all the same: too few others are" if group.panic else why
    if group.share <= 0:
        return (
            "backup: another server is eligible" if group.backup else "the priorities before take everything"
        )
    if server.warmth < 1:
        return f"slow start: at {server.warmth:.0%} of its weight"
    return "backup: too few other servers are eligible" if group.backup else "eligible"
