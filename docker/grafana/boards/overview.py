"""The overview: is something wrong, for whom, since when. Rate, errors, duration, saturation."""

from __future__ import annotations

from panels import Board, Row, graph, heat, stat, table
from queries import ERRORS, quantile, rate, share

REQUESTS = "lb_requests_total"
DURATION = "lb_request_duration_seconds"
OF_SERVICES = 'LB, service!=""'  # not of routes that answer themselves
CODES = {"2xx": "green", "3xx": "blue", "4xx": "orange", "5xx": "red"}
TO_SERVICE = "/d/lb-service?var-service=${__data.fields.service}&${datasource:queryparam}&${job:queryparam}&${__url_time_range}"
NO_SERVER = 'count(sum by (instance, service) (lb_service_servers{LB, status="up"}) == 0) or vector(0)'

OVERVIEW = Board(
    "lb-overview",
    "lb / Overview",
    "Is something wrong, for whom, since when. Everything else is one link away.",
    [("instance", "lb_build_info")],
    [
        Row(
            "Now",
            [
                stat(
                    "Requests",
                    "reqps",
                    "Requests of clients, those that no route matched too. A fall to 0 means that none arrive.",
                    rate("lb_listener_requests_total", "LB"),
                ),
                stat(
                    "Errors",
                    "percentunit",
                    "Share of responses 5xx, after all retries. Orange: the error budget (0.1 %) shrinks faster than it may.",
                    share(REQUESTS, "LB", ERRORS),
                    marks=[(0.001, "orange"), (0.0144, "red")],
                ),
                stat(
                    "p99",
                    "s",
                    "One request in a hundred took longer, its body and retries included. Long ones: which service?",
                    quantile(0.99, DURATION, "LB"),
                    marks=[(1, "orange"), (5, "red")],
                ),
                stat(
                    "Services without a server",
                    "none",
                    "Services whose clients get 503, counted for each lb: not one of their servers is up.",
                    NO_SERVER,
                    marks=[(1, "red")],
                ),
                stat(
                    "lbs away",
                    "none",
                    "Instances that Prometheus cannot scrape. Their workers may serve on.",
                    "count(up{LB} == 0) or vector(0)",
                    marks=[(1, "red")],
                ),
                stat(
                    "Alerts",
                    "none",
                    "Alerts that fire (docker/prometheus/rules). docs/runbook.md has a section for each.",
                    'count(ALERTS{job="$job", alertstate="firing"}) or vector(0)',
                    marks=[(1, "orange")],
                ),
                table(
                    "Services",
                    "A line a service; its name leads to its dashboard. 5xx above 0.1 %, or fewer servers up than there are: look there.",
                    {
                        "requests": ("reqps", rate(REQUESTS, OF_SERVICES, "service")),
                        "5xx": ("percentunit", share(REQUESTS, OF_SERVICES, ERRORS, "service")),
                        "p99": ("s", quantile(0.99, DURATION, OF_SERVICES, "service")),
                        "servers up": ("none", 'min by (service) (lb_service_servers{LB, status="up"})'),
                        "servers": (
                            "none",
                            "max by (service) (sum by (instance, service) (lb_service_servers{LB}))",
                        ),
                    },
                    wide=14,
                    link=("service", TO_SERVICE),
                ),
                table(
                    "Alerts that fire",
                    "Empty is good. docs/runbook.md says of each what it means and what to do.",
                    {
                        "firing": (
                            "none",
                            'sum by (alertname, severity, service, instance) (ALERTS{job="$job", alertstate="firing"})',
                        )
                    },
                    wide=10,
                    values=False,
                ),
            ],
        ),
        Row(
            "Rate and errors",
            [
                graph(
                    "Responses by class",
                    "reqps",
                    "What clients got. Red that grows is ours or the servers'; orange is most often the clients'.",
                    {"{{code}}": rate(REQUESTS, "LB", "code")},
                    wide=6,
                    stacked=True,
                    colours=CODES,
                ),
                graph(
                    "5xx by service",
                    "percentunit",
                    "Share of responses 5xx of the ten worst services. The line is the error budget of 0.1 %.",
                    {"{{service}}": f"topk(10, {share(REQUESTS, OF_SERVICES, ERRORS, 'service')})"},
                    wide=6,
                    marks=[(0.001, "orange")],
                ),
                graph(
                    "Failures by outcome",
                    "reqps",
                    "How requests ended that did not complete, with the flag of the access log: C… is the client's doing, "
                    "L… lb's (limits, no route, no server), S… the servers'. docs/architecture.md explains each.",
                    {
                        "{{flag}} {{outcome}}": rate(
                            "lb_outcomes_total", 'LB, outcome!="done"', "flag, outcome"
                        )
                        + " > 0"
                    },
                    wide=6,
                ),
                graph(
                    "Error budget burn",
                    "none",
                    "How many times faster than allowed the budget of 30 days (0.1 %) is used up, over an hour. 14.4: gone "
                    "in two days; 6: in five; 1: just so. Needs the recording rules of docker/prometheus.",
                    {
                        "{{service}}": 'topk(10, service:lb_errors:ratio_rate1h{job="$job", service!=""} / 0.001)'
                    },
                    wide=6,
                    marks=[(1, "yellow"), (6, "orange"), (14.4, "red")],
                ),
            ],
        ),
        Row(
            "Duration",
            [
                graph(
                    "Duration",
                    "s",
                    "From the complete head of the request to the end of the exchange. p99 alone up: few slow servers or "
                    "retries; p50 too: all of them, or lb itself is late (see Saturation).",
                    {
                        "p50": quantile(0.5, DURATION, "LB"),
                        "p90": quantile(0.9, DURATION, "LB"),
                        "p99": quantile(0.99, DURATION, "LB"),
                    },
                ),
                graph(
                    "p99 by service",
                    "s",
                    "The ten slowest services.",
                    {"{{service}}": f"topk(10, {quantile(0.99, DURATION, OF_SERVICES, 'service')})"},
                ),
                heat(
                    "Requests by duration",
                    "How many requests took how long. Two bands: two kinds of request, or good and bad servers.",
                    rate(f"{DURATION}_bucket", "LB", "le"),
                ),
            ],
        ),
        Row(
            "Saturation",
            [
                graph(
                    "In flight",
                    "none",
                    "Exchanges and tunnels under way. A rise without more requests: servers answer more slowly.",
                    {"{{service}}": f"topk(10, sum by (service) (lb_requests_in_flight{{{OF_SERVICES}}}))"},
                    wide=6,
                ),
                graph(
                    "Client connections",
                    "none",
                    "Open ones by listener. At max_connections new ones are refused.",
                    {"{{listener}}": "sum by (listener) (lb_listener_connections{LB})"},
                    wide=6,
                ),
                graph(
                    "Busiest worker",
                    "percentunit",
                    "Share of its core that the busiest worker of each lb uses. Near 1 its clients wait: more workers or machines.",
                    {"{{instance}}": "max by (instance) (rate(lb_worker_cpu_seconds_total{LB}[RATE]))"},
                    wide=6,
                    marks=[(0.8, "orange"), (0.95, "red")],
                    most=1,
                ),
                graph(
                    "Latest loop",
                    "s",
                    "How late the loop of the latest worker of each lb was. Above 0.1 s all its clients notice.",
                    {"{{instance}}": "max by (instance) (lb_worker_loop_lag_seconds{LB})"},
                    wide=6,
                    marks=[(0.1, "red")],
                    most=0.1,
                ),
                graph(
                    "Refused at a limit",
                    "reqps",
                    "Requests and connections that lb itself refused: more than servers or limits take. Anything above 0 for "
                    "long: add servers before limits are raised.",
                    {
                        "{{outcome}}": rate(
                            "lb_outcomes_total",
                            'LB, outcome=~"queue_full|queue_timeout|shed|too_many_connections"',
                            "outcome",
                        )
                    },
                    wide=12,
                ),
                graph(
                    "Waiting for a connection",
                    "none",
                    "Exchanges that wait because a server has all the connections that it may have (max_per_server).",
                    {"{{service}}": 'topk(10, sum by (service) (lb_server_connections{LB, state="queued"}))'},
                    wide=12,
                ),
            ],
        ),
    ],
)
