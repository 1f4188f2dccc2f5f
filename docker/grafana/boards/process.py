"""Process: do the processes of lb have what they need, and which version and generation do they run."""

from __future__ import annotations

from panels import Board, Row, graph, stat, table
from queries import rate

WORKER = "{{instance}} {{worker}}"

PROCESS = Board(
    "lb-process",
    "lb / Process",
    "Do the processes of lb have what they need: CPU, memory, descriptors, a log that takes its lines.",
    [("instance", "lb_build_info")],
    [
        Row(
            "Now",
            [
                stat(
                    "Workers",
                    "none",
                    "Worker processes that run. Fewer than there should be: one dies again and again.",
                    'sum(lb_workers{LB, state="running"})',
                ),
                stat(
                    "Restarts",
                    "none",
                    "Dead workers replaced within an hour, each with the requests that it had under way. The log has the signal.",
                    "sum(increase(lb_worker_restarts_total{LB}[1h]))",
                    marks=[(0.5, "orange"), (2.5, "red")],
                ),
                stat(
                    "CPU",
                    "none",
                    "Cores that workers and control use.",
                    f"{rate('lb_worker_cpu_seconds_total', 'LB')} + {rate('process_cpu_seconds_total', 'LB')}",
                ),
                stat(
                    "Memory",
                    "bytes",
                    "Resident memory of workers and control.",
                    "sum(lb_worker_resident_memory_bytes{LB}) + sum(process_resident_memory_bytes{LB})",
                ),
                stat(
                    "Log lines lost",
                    "cps",
                    "Access-log lines that nobody took: the disk is full or too slow. Traffic goes on.",
                    rate("lb_access_log_dropped_total", "LB"),
                    marks=[(0.001, "orange")],
                ),
                stat(
                    "Next certificate ends",
                    "dtdurations",
                    "Until the first certificate that lb shows or trusts ends. Below 0: what it speaks to refuses lb, or lb refuses it.",
                    "min(lb_certificate_expiry_timestamp_seconds{LB}) - time()",
                    marks=[(2 * 86_400, "orange"), (14 * 86_400, "green")],
                    base="red",
                ),
                table(
                    "lbs",
                    "One version and as many workers on every machine, unless somebody is upgrading. Up since: control's start.",
                    {
                        "workers": (
                            "none",
                            'sum by (instance) (lb_workers{LB, state="running"}) * on (instance) group_left '
                            "(version, python) max by (instance, version, python) (lb_build_info{LB})",
                        ),
                        "generation": ("none", "max by (instance) (lb_config_generation{LB})"),
                        "up for": (
                            "dtdurations",
                            "time() - max by (instance) (process_start_time_seconds{LB})",
                        ),
                    },
                    wide=12,
                ),
                table(
                    "Certificates",
                    "Those that lb shows or trusts, by the key of the configuration that names them, and how long they last.",
                    {
                        "ends in": (
                            "dtdurations",
                            "min by (instance, key, file) (lb_certificate_expiry_timestamp_seconds{LB}) - time()",
                        )
                    },
                    wide=12,
                ),
            ],
        ),
        Row(
            "Workers",
            [
                graph(
                    "CPU",
                    "percentunit",
                    "Share of a core. All near 1: the machine is full. One alone: a few connections with very much traffic.",
                    {WORKER: "rate(lb_worker_cpu_seconds_total{LB}[RATE])"},
                    marks=[(0.95, "red")],
                    most=1,
                ),
                graph(
                    "Loop lag",
                    "s",
                    "How late the last tick of a loop was. CPU low and yet late: others take the core.",
                    {WORKER: "lb_worker_loop_lag_seconds{LB}"},
                    marks=[(0.1, "red")],
                    most=0.1,
                ),
                graph(
                    "Latest tick ever",
                    "s",
                    "The longest that a loop stood still since its worker began. A step shows when.",
                    {WORKER: "lb_worker_loop_lag_max_seconds{LB}"},
                ),
                graph(
                    "Memory",
                    "bytes",
                    "Resident. It grows with connections and bodies under way; without end, it leaks.",
                    {
                        WORKER: "lb_worker_resident_memory_bytes{LB}",
                        "{{instance}} control": "process_resident_memory_bytes{LB}",
                    },
                ),
                graph(
                    "Open descriptors",
                    "none",
                    "Each connection is one. At the limit (LimitNOFILE) connections are refused.",
                    {WORKER: "lb_worker_open_fds{LB}", "{{instance}} control": "process_open_fds{LB}"},
                ),
                graph(
                    "Workers by state",
                    "none",
                    "starting or stopped for long: the log says why.",
                    {"{{state}}": "sum by (state) (lb_workers{LB})"},
                    stacked=True,
                    colours={"running": "green", "starting": "blue", "draining": "yellow", "stopped": "red"},
                ),
            ],
        ),
        Row(
            "Generations",
            [
                graph(
                    "Generation of workers",
                    "none",
                    "All lines of an lb are one. Apart for long: a worker did not take the configuration over.",
                    {WORKER: "lb_worker_generation{LB}"},
                ),
                graph(
                    "Snapshots put in force",
                    "cps",
                    "Reloads and changes of members, as workers carry them out.",
                    {"{{instance}}": "max by (instance) (rate(lb_worker_snapshots_total{LB}[RATE]))"},
                ),
                graph(
                    "Building a snapshot",
                    "s",
                    "How long the last one took, and the longest that it kept a loop from serving. A stall is time that clients wait.",
                    {
                        "{{instance}} took": "max by (instance) (lb_snapshot_build_seconds{LB})",
                        "{{instance}} stall": "max by (instance) (lb_snapshot_build_stall_seconds{LB})",
                    },
                ),
            ],
        ),
        Row(
            "Clients",
            [
                graph(
                    "Connections",
                    "none",
                    "Open connections of clients, and tunnels (WebSocket) among them.",
                    {
                        "{{listener}}": "sum by (listener) (lb_listener_connections{LB})",
                        "{{listener}} tunnels": "sum by (listener) (lb_listener_tunnels{LB}) > 0",
                    },
                    wide=6,
                ),
                graph(
                    "Accepted and refused",
                    "cps",
                    "As many accepted as requests: clients do not keep connections. Refused: max_connections is reached.",
                    {
                        "{{listener}}": rate("lb_listener_accepted_total", "LB", "listener"),
                        "{{listener}} refused": rate("lb_listener_rejected_total", "LB", "listener") + " > 0",
                    },
                    wide=6,
                ),
                graph(
                    "Bytes",
                    "Bps",
                    "From clients and to them, heads too. Near what the network card takes: more machines.",
                    {
                        "received": rate("lb_listener_received_bytes_total", "LB"),
                        "sent": rate("lb_listener_sent_bytes_total", "LB"),
                    },
                    wide=6,
                ),
                graph(
                    "What was lost",
                    "cps",
                    "Lines of the access log, and events that the webhook did not take.",
                    {
                        "log lines": rate("lb_access_log_dropped_total", "LB"),
                        "webhook events": rate("lb_webhook_lost_events_total", "LB"),
                    },
                    wide=6,
                ),
            ],
        ),
        Row(
            "Control",
            [
                graph(
                    "CPU of control",
                    "percentunit",
                    "Checks, discovery, scrapes and the admin API. Near 1: too many checked servers or too short intervals.",
                    {"{{instance}}": "rate(process_cpu_seconds_total{LB}[RATE])"},
                    most=1,
                ),
                graph(
                    "Loop lag of control",
                    "s",
                    "How late its last tick was. For long: checks time out that the servers answered, discovery and orders wait.",
                    {"{{instance}}": "lb_control_loop_lag_seconds{LB}"},
                    marks=[(0.25, "red")],
                    most=0.25,
                ),
                graph(
                    "Scrape",
                    "s",
                    "How long Prometheus takes to read an lb. It grows with routes and servers, and costs the workers nothing.",
                    {"{{instance}}": "scrape_duration_seconds{LB}"},
                ),
            ],
        ),
    ],
)
