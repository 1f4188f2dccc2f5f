"""What is checked: the health_check sections of a Spec as plans of checks.

Lives here: the translation. Must not live here: running checks (lb.health) and what their results mean
(lb.control.statuses).
"""

from __future__ import annotations

from collections.abc import Iterator

from lb.config.health import CheckTlsSpec, HealthCheckSpec
from lb.config.spec import Spec
from lb.health.plan import (
    AgentProbe,
    CheckPlan,
    CommandProbe,
    GrpcProbe,
    HttpProbe,
    Probe,
    TcpProbe,
    TlsSettings,
)
from lb.health.probe import lacking
from lb.plan import Plan
from lb.telemetry import spans


def checks_of(spec: Spec, plan: Plan) -> Iterator[CheckPlan]:
    """The checks of all servers of `plan`, an agent beside a check as one of its own."""
    for service in plan.services:
        section = spec.services[service.name].health_check
        if section is None:
            continue
        probe = probe_of(section)
        for server in service.servers:
            yield CheckPlan(
                service=service.name,
                address=server.address,
                probe=probe,
                interval=section.interval,
                interval_down=section.interval_down,
                interval_rising=section.interval_rising,
                jitter=section.jitter,
                timeout=section.timeout,
            )
            if section.agent is not None:
                yield CheckPlan(
                    service=service.name,
                    address=server.address,
                    probe=AgentProbe(section.agent.port, section.agent.send),
                    interval=section.agent.interval,
                    jitter=section.jitter,
                    timeout=section.timeout,
                )


def lacking_of(spec: Spec) -> str | None:
    """What the Spec asks for and this lb cannot do: servers would all count as down, spans get lost."""
    for name, service in spec.services.items():
        missing = lacking(probe_of(service.health_check)) if service.health_check is not None else None
        if missing is not None:
            return f"services.{name}.health_check: {missing}"
    if spec.tracing is not None and spec.tracing.endpoint is not None and (missing := spans.lacking()):
        return f"tracing.endpoint: {missing}"
    return None


def probe_of(section: HealthCheckSpec) -> Probe:
    """The one probe that a section asks for."""
    tls = _tls(section.tls)
    if section.http is not None:
        return HttpProbe(
            path=section.http,
            method=section.method,
            host=section.host,
            headers=tuple(section.headers.items()),
            status=section.expect.status,
            body=section.expect.body,
            regex=section.expect.regex,
            port=section.port,
            tls=tls,
        )
    if section.grpc is not None:
        return GrpcProbe(section.grpc, section.port, tls)
    if section.command is not None:
        return CommandProbe(section.command, section.port)
    return TcpProbe(section.port, tls)


def _tls(section: CheckTlsSpec | None) -> TlsSettings | None:
    return TlsSettings(section.server_name, section.ca, section.verify) if section is not None else None
