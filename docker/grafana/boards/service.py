"""A service and its servers: which route, which server, and what lb did about failures."""

from __future__ import annotations

from panels import Board, Row, graph, stat, table
from queries import ERRORS, quantile, rate, share

REQUESTS = "lb_requests_total"
DURATION = "lb_request_duration_seconds"
ATTEMPTS = "lb_server_requests_total"
FIRST_BYTE = "lb_server_response_seconds"
COPIES = 'LB, route=~"$route"'  # a mirror's service is that of the copies

SERVICE = Board(
    "lb-service",
    "lb / Service and server",
    "Which route of a service suffers, which server is to blame, and what lb did about it.",
    [
        ("instance", "lb_build_info"),
        ("service", "lb_service_servers"),
        ("route", "lb_requests_in_flight"),
        ("server", "lb_server_requests_in_flight"),
    ],
    [
        Row(
            "Service",
            [
                stat("Requests", "reqps", "Responses to clients.", rate(REQUESTS, "ROUTE")),
                stat(
                    "Errors",
                    "percentunit",
                    "Share of responses 5xx, after all retries. Orange: more than the error budget (0.1 %).",
                    share(REQUESTS, "ROUTE", ERRORS),
                    marks=[(0.001, "orange"), (0.0144, "red")],
                ),
                stat("p50", "s", "Half of the requests took longer.", quantile(0.5, DURATION, "ROUTE")),
                stat(
                    "p99",
                    "s",
                    "One request in a hundred took longer.",
                    quantile(0.99, DURATION, "ROUTE"),
                    marks=[(1, "orange"), (5, "red")],
                ),
                stat(
                    "Servers up",
                    "percentunit",
                    "Share of the servers that lb uses. Below 1: lb / Health and ejections has the reason.",
                    'sum(lb_service_servers{SERVICE, status="up"}) / (sum(lb_service_servers{SERVICE}) > 0)',
                    marks=[(0.5, "orange"), (1, "green")],
                    base="red",
                ),
                stat(
                    "In flight",
                    "none",
                    "Exchanges and tunnels under way.",
                    "sum(lb_requests_in_flight{ROUTE})",
                ),
                table(
                    "Servers",
                    "One line that differs from the others: that server. All alike: the service itself, or what it depends on. "
                    "5xx and failed are of attempts, before retries.",
                    {
                        "requests": ("reqps", rate(ATTEMPTS, "SERVER", "service, server")),
                        "5xx": ("percentunit", share(ATTEMPTS, "SERVER", ERRORS, "service, server")),
                        "failed": ("reqps", rate("lb_server_failures_total", "SERVER", "service, server")),
                        "p99 to first byte": ("s", quantile(0.99, FIRST_BYTE, "SERVER", "service, server")),
                        "in flight": (
                            "none",
                            "sum by (service, server) (lb_server_requests_in_flight{SERVER})",
                        ),
                    },
                ),
            ],
        ),
        Row(
            "Routes",
            [
                graph(
                    "Requests by route",
                    "reqps",
                    "Who asks for how much.",
                    {"{{route}}": rate(REQUESTS, "ROUTE", "route")},
                    wide=6,
                ),
                graph(
                    "5xx by route",
                    "percentunit",
                    "One route alone: what it asks for is broken. All of them: the servers.",
                    {"{{route}}": share(REQUESTS, "ROUTE", ERRORS, "route")},
                    wide=6,
                    marks=[(0.001, "orange")],
                ),
                graph(
                    "p99 by route",
                    "s",
                    "Retries and waiting for a connection are in it.",
                    {"{{route}}": quantile(0.99, DURATION, "ROUTE", "route")},
                    wide=6,
                ),
                graph(
                    "Bodies",
                    "Bps",
                    "Bytes of bodies. Large ones explain long durations.",
                    {
                        "requests": rate("lb_request_bytes_total", "ROUTE"),
                        "responses": rate("lb_response_bytes_total", "ROUTE"),
                    },
                    wide=6,
                ),
            ],
        ),
        Row(
            "What lb did",
            [
                graph(
                    "Retries",
                    "reqps",
                    "Attempts after the first, and failures that were not tried again because the budget was used up: then "
                    "clients get the errors.",
                    {
                        "{{route}}": rate("lb_route_retries_total", "ROUTE", "route"),
                        "{{route}} refused": rate("lb_route_retries_refused_total", "ROUTE", "route"),
                    },
                ),
                graph(
                    "Retry budget used",
                    "percentunit",
                    "Of what a route may retry in ten seconds. At 1 failures are not tried again: an outage is not multiplied.",
                    {
                        "{{route}}": "sum by (route) (max by (instance, route) (lb_route_retry_budget_used{ROUTE})) / "
                        "(sum by (route) (max by (instance, route) (lb_route_retry_budget{ROUTE})) > 0)"
                    },
                    most=1,
                    marks=[(1, "red")],
                ),
                graph(
                    "Hedged, panic, shed",
                    "reqps",
                    "Hedged: a second server was asked, the first was slow. Panic: too few servers were usable, so all were. "
                    "Shed: refused, a breaker was open. All are 0 in good times.",
                    {
                        "hedged": rate("lb_route_hedges_total", "ROUTE"),
                        "panic": rate("lb_route_panic_picks_total", "ROUTE"),
                        "shed": rate("lb_route_shed_total", "ROUTE"),
                    },
                ),
                graph(
                    "Sticky sessions",
                    "reqps",
                    "Requests that went to the server of their session, and those whose server is gone: these sessions began anew.",
                    {
                        "kept": rate("lb_route_sticky_total", "ROUTE"),
                        "lost": rate("lb_route_sticky_lost_total", "ROUTE"),
                    },
                ),
            ],
        ),
        Row(
            "Servers",
            [
                graph(
                    "Requests by server",
                    "reqps",
                    "How the load is spread. Uneven without weights: slow start, sticky sessions or a hash.",
                    {"{{server}}": rate(ATTEMPTS, "SERVER", "server")},
                    wide=6,
                ),
                graph(
                    "5xx and failed by server",
                    "reqps",
                    "5xx: the server's own answer. Failed: no answer that is one (connect, reset, time-out, malformed).",
                    {
                        "{{server}} 5xx": rate(ATTEMPTS, 'SERVER, code="5xx"', "server"),
                        "{{server}} failed": rate("lb_server_failures_total", "SERVER", "server") + " > 0",
                    },
                    wide=6,
                ),
                graph(
                    "First byte by server",
                    "s",
                    "p99 of the time to the first byte of the response: the server alone, without retries.",
                    {"{{server}}": quantile(0.99, FIRST_BYTE, "SERVER", "server")},
                    wide=6,
                ),
                graph(
                    "In flight by server",
                    "none",
                    "One above the others: it is slow, or gets more than its share.",
                    {"{{server}}": "sum by (server) (lb_server_requests_in_flight{SERVER})"},
                    wide=6,
                ),
                graph(
                    "Connections",
                    "none",
                    "To the servers. Queued: exchanges that wait for one. Connecting for long: servers do not accept.",
                    {"{{state}}": "sum by (state) (lb_server_connections{SERVER})"},
                    wide=6,
                    stacked=True,
                    colours={"idle": "blue", "busy": "green", "connecting": "orange", "queued": "red"},
                ),
                graph(
                    "Connections reused",
                    "percentunit",
                    "Share of attempts on a connection that had served before. Low: servers close after each answer, or their "
                    "idle time-out is shorter than lb's.",
                    {
                        "{{server}}": f"{rate('lb_server_connections_reused_total', 'SERVER', 'server')} / "
                        f"(({rate('lb_server_connections_reused_total', 'SERVER', 'server')} + "
                        f"{rate('lb_server_connections_opened_total', 'SERVER', 'server')}) > 0)"
                    },
                    wide=6,
                    most=1,
                ),
                graph(
                    "Bytes by server",
                    "Bps",
                    "Bodies of responses.",
                    {"{{server}}": rate("lb_server_received_bytes_total", "SERVER", "server")},
                    wide=6,
                ),
                graph(
                    "Adaptive limit",
                    "none",
                    "How many concurrent requests lb allows a server that has adaptive_concurrency. Falling: it became slower.",
                    {"{{server}}": "sum by (server) (lb_server_limit{SERVER})"},
                    wide=6,
                ),
            ],
        ),
        Row(
            "Mirrors",
            [
                graph(
                    "Copies",
                    "reqps",
                    "Copies of requests that were sent, and requests that were chosen but not copied.",
                    {
                        "{{service}}": rate("lb_mirror_requests_total", COPIES, "service"),
                        "{{service}} skipped": rate("lb_mirror_skipped_total", COPIES, "service"),
                    },
                ),
                graph(
                    "Answers that differ",
                    "reqps",
                    "By what differed first. Failed: the copy had no answer that could be compared.",
                    {
                        "{{service}} {{difference}}": rate(
                            "lb_mirror_different_total", COPIES, "service, difference"
                        ),
                        "{{service}} failed": rate("lb_mirror_failed_total", COPIES, "service"),
                    },
                ),
                graph(
                    "Copies under way",
                    "none",
                    "Rising: the mirror's service is slower than the one that it is compared with.",
                    {"{{service}}": f"sum by (service) (lb_mirror_requests_in_flight{{{COPIES}}})"},
                ),
            ],
            folded=True,
        ),
    ],
)
