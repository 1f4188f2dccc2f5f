"""Discovery and cluster: how old is what lb goes by, do all lbs run the same, who leads."""

from __future__ import annotations

from panels import Board, Row, graph, stat, timeline
from queries import rate

NAMED = " * on (job, instance) group_left (cluster, node) lb_cluster_info{LB}"
NODE = "{{cluster}} {{node}}"

CLUSTER = Board(
    "lb-cluster",
    "lb / Discovery and cluster",
    "How old is what lb goes by, do all lbs run the same, and who leads.",
    [("instance", "lb_build_info"), ("service", "lb_service_servers")],
    [
        Row(
            "Now",
            [
                stat(
                    "Oldest source",
                    "s",
                    "How long ago the slowest source of servers was last confirmed. 0 while all answer.",
                    "max(lb_discovery_age_seconds{SERVICE})",
                    marks=[(60, "orange"), (300, "red")],
                ),
                stat(
                    "Held back",
                    "none",
                    "Servers that a source took away too many of at once: they stay until lb discovery accept, or the brake's grace.",
                    "sum(lb_discovery_held{SERVICE})",
                    marks=[(1, "orange")],
                ),
                stat(
                    "Refused",
                    "none",
                    "lbs whose last load or reload did not come into force: they run the configuration before.",
                    "count(lb_config_last_reload_successful{LB} == 0) or vector(0)",
                    marks=[(1, "orange")],
                ),
                stat(
                    "Clusters without a leader",
                    "none",
                    "Nothing can be published there. Traffic goes on.",
                    f"count(max by (cluster) (lb_cluster_leader{{LB}}{NAMED}) == 0) or vector(0)",
                    marks=[(1, "red")],
                ),
                stat(
                    "Engine away",
                    "none",
                    "Nodes that do not reach the cluster's engine: what is published does not reach them.",
                    "count(lb_cluster_engine_reachable{LB} == 0) or vector(0)",
                    marks=[(1, "orange")],
                ),
                stat(
                    "Differ",
                    "none",
                    "Nodes that do not run what the cluster published: lb cluster status says why.",
                    "count(lb_cluster_differs{LB} == 1) or vector(0)",
                    marks=[(1, "orange")],
                ),
            ],
        ),
        Row(
            "Discovery",
            [
                graph(
                    "Age of sources",
                    "s",
                    "Since a source last confirmed the servers of a service. At 300 s LbDiscoveryStale fires.",
                    {"{{service}}": "max by (service) (lb_discovery_age_seconds{SERVICE})"},
                    marks=[(300, "red")],
                ),
                graph(
                    "Members",
                    "none",
                    "Servers that sources named and that count. A fall nobody ordered: the registry lost them.",
                    {"{{service}}": "max by (service) (lb_discovery_members{SERVICE})"},
                ),
                graph(
                    "Held and set aside",
                    "none",
                    "Held: taken away too many at once. Set aside: entries that make no sense, which lb discovery list names.",
                    {
                        "{{service}} held": "max by (service) (lb_discovery_held{SERVICE}) > 0",
                        "{{service}} set aside": "max by (service) (lb_discovery_unusable{SERVICE}) > 0",
                    },
                ),
                graph(
                    "Errors",
                    "cps",
                    "How often sources failed. The last good word of each stays in force.",
                    {"{{service}}": rate("lb_discovery_errors_total", "SERVICE", "service") + " > 0"},
                    wide=12,
                ),
                graph(
                    "Updates",
                    "cps",
                    "How often a word of a source changed something. Without rest: instances come and go.",
                    {"{{service}}": rate("lb_discovery_updates_total", "SERVICE", "service")},
                    wide=12,
                ),
            ],
        ),
        Row(
            "Catalogue",
            [
                graph(
                    "Age of the catalogue",
                    "s",
                    "Since Consul last confirmed the routes that its tags ask for.",
                    {"{{instance}}": "lb_catalog_age_seconds{LB}"},
                    wide=6,
                    marks=[(300, "red")],
                ),
                graph(
                    "Routes",
                    "none",
                    "Routes in force that it asked for. Differing between lbs for long: one does not reach Consul.",
                    {"{{instance}}": "lb_catalog_routes{LB}"},
                    wide=6,
                ),
                graph(
                    "Held and set aside",
                    "none",
                    "Held: services that are gone from it and keep their routes. Set aside: tags that make no sense.",
                    {
                        "{{instance}} held": "lb_catalog_held{LB}",
                        "{{instance}} set aside": "lb_catalog_unusable{LB}",
                    },
                    wide=6,
                ),
                graph(
                    "Errors",
                    "cps",
                    "How often it failed.",
                    {"{{instance}}": rate("lb_catalog_errors_total", "LB", "instance")},
                    wide=6,
                ),
            ],
            folded=True,
        ),
        Row(
            "Configuration",
            [
                graph(
                    "Generation",
                    "none",
                    "Of the configuration in force. A rise is a reload or a change of members.",
                    {"{{instance}}": "lb_config_generation{LB}"},
                    wide=12,
                ),
                graph(
                    "Reloads",
                    "none",
                    "In each interval, by result. A failure left the configuration before in force.",
                    {"{{result}}": "sum by (result) (increase(lb_config_reloads_total{LB}[RATE]))"},
                    wide=12,
                    bars=True,
                    stacked=True,
                    colours={"success": "green", "unchanged": "blue", "failure": "red"},
                ),
            ],
        ),
        Row(
            "Cluster",
            [
                timeline(
                    "Who leads",
                    "Exactly one node of a cluster leads. Often another one: see the renewals. Two at once in this picture are "
                    "scrapes at different times; the engine lets only one write.",
                    {NODE: f"lb_cluster_leader{{LB}}{NAMED}"},
                    {0: ("follows", "text"), 1: ("leads", "green")},
                ),
                graph(
                    "Epoch",
                    "none",
                    "The term of leadership that a node holds or saw last. It only grows; each step is a new leader.",
                    {NODE: f"lb_cluster_epoch{{LB}}{NAMED}"},
                ),
                graph(
                    "Revision in force",
                    "none",
                    "Lines that stay apart: a node does not follow. A rollout does that on purpose.",
                    {NODE: f"lb_cluster_revision{{LB}}{NAMED}"},
                ),
                graph(
                    "Renewal of the term",
                    "s",
                    "How long the leader's last renewal took, and how late it began. Near a third of ttl: leadership will be lost.",
                    {
                        f"{NODE} took": f"lb_cluster_renewal_seconds{{LB}}{NAMED}",
                        f"{NODE} late": f"lb_cluster_renewal_lateness_seconds{{LB}}{NAMED}",
                    },
                ),
                graph(
                    "Since the engine answered",
                    "s",
                    "Rising on one node: its network. On all: the engine.",
                    {NODE: f"lb_cluster_engine_age_seconds{{LB}}{NAMED}"},
                ),
                graph(
                    "Changes of leadership",
                    "none",
                    "By what happened to a node. expired: renewals came too late; deposed: the engine gave the lock away.",
                    {"{{reason}}": "sum by (reason) (increase(lb_cluster_transitions_total{LB}[RATE])) > 0"},
                    bars=True,
                    stacked=True,
                ),
                timeline(
                    "Rollout",
                    "While a revision is tried on some nodes first.",
                    {NODE: f"lb_cluster_rollout{{LB}}{NAMED}"},
                    {0: ("none", "text"), 1: ("rollout", "blue")},
                ),
            ],
        ),
    ],
)
