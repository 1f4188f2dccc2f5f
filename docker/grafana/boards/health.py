"""Health and ejections: which servers lb does not use, since when, and why."""

from __future__ import annotations

from panels import Board, Row, graph, stat, table
from queries import ERRORS, happened, rate, share

SERVERS = "lb_service_servers"
WORDS = {"up": "green", "draining": "yellow", "maintenance": "blue", "ejected": "orange", "down": "red"}

HEALTH = Board(
    "lb-health",
    "lb / Health and ejections",
    "Which servers lb does not use, since when, and what speaks against them.",
    [("instance", "lb_build_info"), ("service", SERVERS), ("server", "lb_server_requests_in_flight")],
    [
        Row(
            "Now",
            [
                stat(
                    "Up",
                    "none",
                    "Servers that get requests, counted for each lb.",
                    f'sum({SERVERS}{{SERVICE, status="up"}})',
                ),
                stat(
                    "Down",
                    "none",
                    "Servers that a check, an agent or a registry found unusable.",
                    f'sum({SERVERS}{{SERVICE, status="down"}})',
                    marks=[(1, "red")],
                ),
                stat(
                    "Ejected",
                    "none",
                    "Servers taken out because requests to them failed (outlier).",
                    f'sum({SERVERS}{{SERVICE, status="ejected"}})',
                    marks=[(1, "orange")],
                ),
                stat(
                    "By order",
                    "none",
                    "Servers that an operator drains or maintains. Forgotten ones cost capacity: lb servers list.",
                    f'sum({SERVERS}{{SERVICE, status=~"draining|maintenance"}})',
                    marks=[(1, "yellow")],
                ),
                stat(
                    "Breakers open",
                    "none",
                    "Breakers of servers that are open, counted for each worker: these send nothing there for a while.",
                    "sum(lb_server_breaker_open{SERVER})",
                    marks=[(1, "orange")],
                ),
                stat(
                    "Without a server",
                    "none",
                    "Services of which not one server is up, counted for each lb: clients get 503.",
                    f'count(sum by (instance, service) ({SERVERS}{{SERVICE, status="up"}}) == 0) or vector(0)',
                    marks=[(1, "red")],
                ),
                graph(
                    "Servers by status",
                    "none",
                    "Of all services that are picked. A step down is a failure or an order; a saw is a server that comes and goes.",
                    {"{{status}}": f"sum by (status) ({SERVERS}{{SERVICE}})"},
                    wide=12,
                    stacked=True,
                    colours=WORDS,
                ),
                graph(
                    "Out by signal",
                    "none",
                    "What decides that servers get no new requests: an operator, the registry, a check, an agent, or passive checks.",
                    {"{{signal}}": "sum by (signal) (lb_service_servers_out{SERVICE})"},
                    wide=12,
                    stacked=True,
                ),
                table(
                    "Services that lack servers",
                    "Empty is good. A status that only one lb sees: its own network, or its own requests failed.",
                    {
                        "servers": (
                            "none",
                            f'sum by (service, status, instance) ({SERVERS}{{SERVICE, status!="up"}}) > 0',
                        )
                    },
                ),
            ],
        ),
        Row(
            "What changed",
            [
                graph(
                    "Changes of servers",
                    "none",
                    "Events in each interval, by their reason. docs/health.md lists them; lb events has the evidence of each.",
                    {
                        "{{kind}} {{reason}}": happened(
                            'SERVICE, kind=~"server_.+|breaker_.+|outlier_.+"', "kind, reason"
                        )
                    },
                    wide=12,
                    bars=True,
                    stacked=True,
                ),
                graph(
                    "Changes by service",
                    "none",
                    "The same by service. One that never rests: its check is too strict, or its servers are too few for the load.",
                    {"{{service}}": happened('SERVICE, kind=~"server_.+|breaker_.+"', "service")},
                    wide=12,
                    bars=True,
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Why",
            [
                graph(
                    "Failed attempts",
                    "reqps",
                    "Connect, reset, time-out, malformed response. What passive checks count.",
                    {"{{server}}": f"topk(10, {rate('lb_server_failures_total', 'SERVER', 'server')})"},
                    wide=6,
                ),
                graph(
                    "Connections that failed",
                    "reqps",
                    "The server is away, its port is closed, or its queue of connections is full.",
                    {
                        "{{server}}": f"topk(10, {rate('lb_server_connect_failures_total', 'SERVER', 'server')})"
                    },
                    wide=6,
                ),
                graph(
                    "5xx",
                    "percentunit",
                    "Share of a server's answers that are 5xx. A server far from the others is an outlier.",
                    {
                        "{{server}}": f"topk(10, {share('lb_server_requests_total', 'SERVER', ERRORS, 'server')})"
                    },
                    wide=6,
                ),
                graph(
                    "Panic and shed",
                    "reqps",
                    "Panic: picked among all servers, too few were usable. Shed: refused because a breaker was open.",
                    {
                        "panic": rate("lb_route_panic_picks_total", "SERVICE"),
                        "shed": rate("lb_route_shed_total", "SERVICE"),
                    },
                    wide=6,
                ),
            ],
        ),
        Row(
            "Checks",
            [
                graph(
                    "Probes that wait",
                    "none",
                    "Checks that are due and not begun. Above 0 for long: too many servers hang until their time-out.",
                    {"{{instance}}": "lb_probes_waiting{LB}"},
                ),
                graph(
                    "Nodes disagree",
                    "none",
                    "Servers on which the checks of the nodes differ, or a vote and passive checks. For long: the network "
                    "between some node and the servers. Only with shared_health.",
                    {"{{instance}} {{between}}": "lb_cluster_health_disagreements{LB}"},
                ),
                graph(
                    "Nodes that share health",
                    "none",
                    "1: this lb is alone and checks every server itself. Only with shared_health.",
                    {"{{instance}}": "lb_cluster_health_nodes{LB}"},
                ),
            ],
        ),
    ],
)
