"""Consul's answers → a Membership: strictly typed, one wrong entry set aside without hurting the rest.

Lives here: the shape of `/v1/health/service/…` and of an executed prepared query, the status of a server out
of its checks, address, weight, zone. Pure. Must not live here: asking (lb.discovery.consul).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct, field

from lb.config.addresses import server_address
from lb.discovery.consul_settings import ConsulQuery
from lb.discovery.contract import (
    MOST_WORDS,
    Member,
    Membership,
    ProviderError,
    Registered,
    Unusable,
    printable,
)

MOST_WEIGHT = 65_535
NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
MAINTENANCE = "maintenance"
SEVERITY = {"passing": 0, "warning": 1, "critical": 2, MAINTENANCE: 3}
PREFERRED = {Registered.UP: 0, Registered.DRAIN: 1, Registered.DOWN: 2}


class Machine(Struct):
    """Consul's "Node"."""

    name: str = field(name="Node")
    address: str = field(name="Address", default="")
    meta: dict[str, str] | None = field(name="Meta", default=None)


class Weights(Struct):
    passing: int = field(name="Passing", default=1)
    warning: int = field(name="Warning", default=1)


class Locality(Struct):
    zone: str = field(name="Zone", default="")


class Instance(Struct):
    """Consul's "Service"."""

    id: str = field(name="ID")
    port: int = field(name="Port", default=0)
    address: str = field(name="Address", default="")
    meta: dict[str, str] | None = field(name="Meta", default=None)
    weights: Weights | None = field(name="Weights", default=None)
    locality: Locality | None = field(name="Locality", default=None)
    tags: list[str] | None = field(name="Tags", default=None)


class Check(Struct):
    id: str = field(name="CheckID")
    status: str = field(name="Status")
    name: str = field(name="Name", default="")
    notes: str = field(name="Notes", default="")


class Entry(Struct):
    machine: Machine = field(name="Node")
    instance: Instance = field(name="Service")
    checks: list[Check] | None = field(name="Checks", default=None)


class Executed(Struct):
    """The answer to a prepared query."""

    entries: list[Raw] = field(name="Nodes")


class Named(Struct):
    """As much of an entry as names it."""

    machine: dict[str, object] = field(name="Node", default_factory=dict)
    instance: dict[str, object] = field(name="Service", default_factory=dict)


class EntryError(ValueError):
    """An entry that makes no sense; the text says why."""


_LIST = msgspec.json.Decoder(list[Raw])
_EXECUTED = msgspec.json.Decoder(Executed)
_ENTRY = msgspec.json.Decoder(Entry)
_NAMED = msgspec.json.Decoder(Named)


def membership(body: bytes, query: ConsulQuery) -> Membership:
    """Members in the order of their addresses. Raises ProviderError where the answer is none of Consul."""
    try:
        entries = _EXECUTED.decode(body).entries if query.prepared_query else _LIST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = query.service or f"the prepared query {query.prepared_query}"
        raise ProviderError(f"Consul's answer on {what} is not what it should be: {error}") from None
    same: dict[str, list[Member]] = {}
    unusable: list[Unusable] = []
    for place, raw in enumerate(entries, 1):
        try:
            found = _member(raw, query)
        except EntryError as error:
            unusable.append(Unusable(_named(raw, place), str(error)[:MOST_WORDS]))
        else:
            if found is not None:
                same.setdefault(found.address, []).append(found)
    members: list[Member] = []
    for address in sorted(same):
        kept, *others = sorted(same[address], key=lambda one: (PREFERRED[one.state], one.name))
        members.append(kept)
        unusable += [Unusable(one.name, f"{kept.name} has the same address, {address}") for one in others]
    return Membership(
        tuple(members),
        tuple(sorted(unusable, key=lambda one: (one.entry, one.reason))),
    )


def aggregated(checks: list[Check]) -> tuple[str, Check | None]:
    """The worst status of the checks (maintenance, critical, warning, passing), and a check that has it; no
    checks are passing. Raises EntryError for a status that Consul does not have."""
    worst, why = "passing", None
    for check in sorted(checks, key=lambda one: one.id):
        status = check.status
        if check.id == NODE_MAINTENANCE or check.id.startswith(SERVICE_MAINTENANCE):
            status = MAINTENANCE
        if status not in SEVERITY:
            raise EntryError(f"the check {printable(check.id)} has the unknown status {printable(status)}")
        if why is None or SEVERITY[status] > SEVERITY[worst]:
            worst, why = status, check
    return worst, why


def _member(raw: Raw, query: ConsulQuery) -> Member | None:
    """None: it is not meant."""
    try:
        entry = _ENTRY.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EntryError(str(error)) from None
    machine, instance = entry.machine, entry.instance
    if not any(tag.startswith(query.marked) for tag in instance.tags or [""]):
        return None
    status, check = aggregated(entry.checks or [])
    weights = instance.weights or Weights()
    weight = weights.warning if status == "warning" else weights.passing
    if not 0 <= weight <= MOST_WEIGHT:
        raise EntryError(f"the weight {weight} is not from 0 to {MOST_WEIGHT}")
    state = Registered.UP if status == "passing" else Registered.DOWN
    if status == "warning":
        state = query.warning
    why = ""
    if check is not None and state is not Registered.UP:
        said = check.notes if status == MAINTENANCE else check.name or check.id
        why = f"{status}: {printable(said)}" if said else status
    return Member(
        address=_address(instance.address or machine.address, instance.port),
        weight=weight,
        state=state,
        why=why,
        name=printable(f"{machine.name}/{instance.id}"),
        zone=printable(_zone(entry, query.zone_key)),
    )


def _address(host: str, port: int) -> str:
    if not host:
        raise EntryError("neither it nor its machine has an address")
    if not 0 < port <= 65_535:
        raise EntryError(f"the port {port} is not from 1 to 65535")
    if "://" in host or host.startswith("unix:") or "%" in host:
        raise EntryError(f"the address {printable(host)} is not an IP address or a name")
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    try:
        return server_address(f"{bracketed}:{port}")
    except ValueError as error:
        raise EntryError(str(error)) from None


def _zone(entry: Entry, key: str) -> str:
    """What was said of the instance itself comes first."""
    for meta in (entry.instance.meta, entry.machine.meta):
        if meta and meta.get(key):
            return meta[key]
    return entry.instance.locality.zone if entry.instance.locality else ""


def _named(raw: Raw, place: int) -> str:
    """The name of an entry that is wrong somewhere, as far as it has one."""
    try:
        found = _NAMED.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"entry {place}"
    names = (found.machine.get("Node"), found.instance.get("ID"))
    return printable("/".join(name for name in names if isinstance(name, str) and name)) or f"entry {place}"
