"""Medians, ratios by round, and rates that all can hold."""

from __future__ import annotations

from bench.figures import equal_rate, reference_of, standings


def a_run(proxy, number, *, load="keepalive-1k", cpu=20.0, rate=1000.0, offered_rate=0.0, **more):
    figures = {"p50": 1.0, "p99": 2.0, "p999": 3.0, "memory": 4, "memory_per_connection": 5, "core_busy": 0.9}
    failures = {"bad_status": more.pop("failed", 0), "cut_off": 0}
    counts = {
        "requests": 100,
        "reconnects": 0,
        "log_lines": 100,
        "failures": failures,
        "offered_rate": offered_rate,
    }
    return {
        "load": load,
        "proxy": proxy,
        "round": number,
        "cpu": cpu,
        "rate": rate,
        **figures,
        **counts,
        **more,
    }


def test_a_figure_is_median_and_range():
    runs = [a_run("nginx", number, cpu=cpu) for number, cpu in enumerate([30.0, 10.0, 20.0])]
    cpu = standings(runs, "keepalive-1k", "lb")[0].figures["cpu"]
    assert (cpu.median, cpu.low, cpu.high, cpu.ratio) == (20.0, 10.0, 30.0, None)


def test_a_ratio_is_taken_round_by_round():
    # The machine is twice as slow in round 1: ratios of medians would hide that nginx is always at 1.5.
    runs = [a_run("lb", 0, cpu=10.0), a_run("lb", 1, cpu=20.0), a_run("lb", 2, cpu=10.0)]
    runs += [a_run("nginx", 0, cpu=15.0), a_run("nginx", 1, cpu=30.0)]
    lb, nginx = standings(runs, "keepalive-1k", "lb")
    assert lb.figures["cpu"].ratio == 1.0
    assert nginx.figures["cpu"].ratio == 1.5
    assert nginx.figures["cpu"].median == 22.5


def test_other_loads_do_not_count():
    runs = [a_run("lb", 0), a_run("lb", 0, load="large-64k", cpu=90.0)]
    (row,) = standings(runs, "keepalive-1k", "lb")
    assert (row.rounds, row.figures["cpu"].high) == (1, 20.0)


def test_failures_of_all_kinds_and_rounds_are_added():
    (row,) = standings([a_run("lb", 0, failed=2), a_run("lb", 1, failed=3)], "keepalive-1k", "lb")
    assert row.failures == 5


def test_a_rate_is_held_or_not():
    runs = [
        a_run("lb", 0, rate=990.0, offered_rate=1000.0),
        a_run("nginx", 0, rate=900.0, offered_rate=1000.0),
    ]
    lb, nginx = standings(runs, "keepalive-1k", "lb")
    assert lb.held
    assert not nginx.held


def test_a_log_line_for_every_request():
    lb, nginx = standings([a_run("lb", 0), a_run("nginx", 0, log_lines=99)], "keepalive-1k", "lb")
    assert lb.logged
    assert not nginx.logged


def test_ratios_refer_to_lb_where_it_runs():
    assert reference_of(["nginx", "lb"]) == "lb"
    assert reference_of(["nginx", "caddy"]) == "nginx"


def test_the_equal_rate_is_a_share_of_the_slowest_that_was_asked_for():
    runs = [a_run("lb", 0, rate=900.0), a_run("lb", 1, rate=1100.0), a_run("lb", 2, rate=800.0)]
    runs += [a_run("nginx", 0, rate=1000.0), a_run("caddy", 0, rate=100.0)]
    assert equal_rate(runs, "keepalive-1k", ["lb", "nginx"], 0.5) == 450.0
    assert equal_rate(runs, "keepalive-1k", ["envoy"], 0.5) == 50.0
    assert equal_rate(runs, "large-64k", ["lb"], 0.5) == 0.0
