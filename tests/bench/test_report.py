"""The Markdown says what was measured, and what is wrong with it."""

from __future__ import annotations

from bench.loads import LOADS
from bench.report import markdown
from tests.bench.test_figures import a_run


def report(*runs, problems=()):
    names = list(dict.fromkeys(run["proxy"] for run in runs))
    return markdown(
        {
            "date": "2026-01-02 03:04 UTC",
            "machine": "a processor, 2 cores",
            "rounds": 5,
            "seconds": 2.0,
            "loads": list(dict.fromkeys(run["load"] for run in runs)),
            "versions": {name: f"{name} 1.0" for name in names},
            "missing": {"envoy": "pip install failed"},
            "problems": list(problems),
            "runs": list(runs),
        }
    )


def rows(text):
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    return {line[0]: dict(zip(cells[0], line, strict=True)) for line in cells[2:]}


def test_every_proxy_is_a_row_with_its_ratio():
    table = rows(report(a_run("lb", 0, cpu=10.0), a_run("nginx", 0, cpu=15.0, failed=7)))
    assert table["nginx"]["CPU µs/request"] == "**15.0** (15.0–15.0)"
    assert table["nginx"]["failed"] == "7"
    assert table["lb"]["failed"] == "0"


def test_columns_and_cells_agree_for_every_load():
    for load in LOADS:
        assert set(rows(report(a_run("lb", 0, load=load)))) == {"lb"}


def test_what_is_missing_and_what_failed_is_named():
    text = report(a_run("lb", 0), problems=["large-1m, caddy: it ended"])
    assert "envoy: left out. pip install failed" in text
    assert "large-1m, caddy: it ended" in text


def test_an_overloaded_proxy_is_said_to_be_one():
    text = report(
        a_run("lb", 0, load="equal-1k", rate=1000.0, offered_rate=1000.0),
        a_run("caddy", 0, load="equal-1k", rate=300.0, offered_rate=1000.0),
    )
    assert "caddy did not hold the offered rate" in text
    assert "lb did not hold" not in text
    assert "1,000 requests/s offered" in text


def test_a_proxy_that_was_not_the_limit_is_said_so():
    text = report(a_run("lb", 0, core_busy=0.97), a_run("nginx", 0, core_busy=0.4))
    assert "nginx kept its core only 40% busy" in text
    assert "lb kept its core" not in text


def test_idle_connections_that_a_proxy_closed_are_said():
    assert "lb closed 12 idle connections" in report(a_run("lb", 0, load="idle-10000", reconnects=12))


def test_missing_log_lines_are_said_but_not_for_websockets():
    assert "wrote fewer access-log lines" in report(a_run("lb", 0, log_lines=0))
    assert "wrote fewer" not in report(a_run("lb", 0, load="websocket", log_lines=0))
