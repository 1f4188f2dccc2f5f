"""Discovery in the configuration: where registries are and how far they are believed (`discovery`), and what
a service follows (`services.NAME.discover`).

Lives here: what all sources share. Must not live here: the sections of Consul (lb.config.discovery_consul)
and of DNS (lb.config.discovery_dns), making Providers (lb.control.providers).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from lb.config.discovery_consul import ConsulDiscoverSpec, ConsulSpec
from lb.config.discovery_dns import DnsDiscoverSpec
from lb.config.fields import CLASS
from lb.config.problems import shown, wrong, wrong_key
from lb.config.section import Finding, Section, always
from lb.config.shares import percent
from lb.config.values import Checked, duration, text
from lb.discovery.brake import BrakeSettings


class BrakeSpec(Section):
    """How much of a service a source may take away at once."""

    share: Annotated[float, percent(1.0)] = Field(
        default=0.5, description="An answer that takes away more of the servers in use, or all, is held."
    )
    grace: Annotated[float, duration(zero="not at all")] = Field(
        default=60.0, description="How long it is held; meanwhile lb's own checks decide. 0: not at all."
    )

    def settings(self) -> BrakeSettings:
        """As lb.discovery takes it."""
        return BrakeSettings(self.share, self.grace)


class DiscoverySpec(Section):
    """Registries, and how far they are believed."""

    consul: ConsulSpec = Field(default_factory=always(ConsulSpec()), description="The agents of Consul.")
    brake: BrakeSpec = Field(default_factory=always(BrakeSpec()), description="What is not believed at once.")


SOURCES = ("consul", "dns", "file", "provider")


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise wrong(f"found {shown(value)}; the path of a file of servers is absolute")
    return value


def _class(value: str) -> str:
    if not CLASS.match(value):
        raise wrong(f"found {shown(value)}; a Provider of your own is written package.module:Class")
    return value


def _options(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise wrong(f"found {shown(value)}; expected a mapping of names to values")
    return value


class DiscoverSpec(Section):
    """Where a service's servers come from, beside or instead of `servers`: exactly one source."""

    consul: ConsulDiscoverSpec | None = Field(default=None, description="A service of Consul.")
    dns: DnsDiscoverSpec | None = Field(default=None, description="A name of DNS.")
    file: Annotated[str, text(_absolute)] | None = Field(
        default=None,
        description="A file with a list of addresses, or of mappings with address, weight, priority, zone, "
        "state; read again when it changes.",
    )
    provider: Annotated[str, text(_class)] | None = Field(
        default=None, description="A Provider of your own: package.module:Class."
    )
    options: Annotated[dict[str, Any], Checked(_options, {"type": "object"})] = Field(
        default={}, description="Arguments for the Provider of your own."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        named = [key for key in SOURCES if key in given]
        if not named:
            yield (), wrong("no source is named; write one of consul, dns, file, provider")
        for key in named[1:]:
            yield (key,), wrong_key(f'cannot stand beside "{named[0]}": a service has one source')
        if "options" in given and "provider" not in given:
            yield ("options",), wrong_key('no effect without "provider"')
