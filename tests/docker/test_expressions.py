"""Every expression of every dashboard, rule and alert, put to a real Prometheus that scrapes a busy real lb.

Each must return data, but for those that SILENT names with the reason. Of these and all others, each selector
must find series, and each label that they are grouped, joined or named by must be one that the series have.
"""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.docker.busy import Busy
from tests.docker.prometheus import Prometheus, program
from tests.scenarios.harness import eventually

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
METRICS = (ROOT / "docs" / "metrics.md").read_text()
WINDOW = "5s"  # in place of $__rate_interval
DEADLINE = 30.0  # seconds, until all expressions have returned data

# Nothing is there to be found: what each is for does not happen in this load.
SILENT = {
    "LbNoLeader": "the only node of the cluster leads",
    "LbClusterEngineUnreachable": "the engine is a folder of this machine",
    "LbWorkersRestarting": "no worker dies",
    "LbAccessLogDropped": "the log takes all its lines",
    "LbLoopLag": "the loops are on time",
    "LbControlLag": "control's loop is on time",
    "lb-cluster: Age of the catalogue": "there is no Consul, so its catalogue has not answered yet",
}
AGELESS = ("lb_catalog_age_seconds",)  # has no series for the same reason

_SELECTOR = re.compile(
    r'(?<![\w":])(?:lb_\w+|process_\w+|\w+:lb_[\w:]+|scrape_\w+|up|ALERTS)(?![\w":])(?:{[^}]*})?'
)
_GROUPED = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")
_NAMED = re.compile(r"{{(\w+)}}")


class Asked(NamedTuple):
    """`legend`: text that names labels of what returns."""

    where: str
    expr: str
    legend: str = ""


def filled(expr: str) -> str:
    """With "All" for what one can choose."""
    expr = expr.replace("$__rate_interval", WINDOW).replace("$job", "lb")
    return re.sub(r"\$(?:instance|service|route|server)\b", ".*", expr)


def of_dashboards() -> list[Asked]:
    found = []
    for file in sorted((DOCKER / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for note in board["annotations"]["list"]:
            found.append(Asked(f"{file.stem}: {note['name']}", filled(note["expr"]), note["titleFormat"]))
        for panel in board["panels"]:
            for one in (panel, *panel.get("panels", ())):
                for ask in one.get("targets", ()):
                    where = f"{file.stem}: {one['title']}"
                    found.append(Asked(where, filled(ask["expr"]), ask.get("legendFormat", "")))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                series, label = re.fullmatch(
                    r"label_values\((.+), (\w+)\)", variable["query"]["query"]
                ).groups()
                found.append(Asked(f"{file.stem}: ${variable['name']}", filled(series), f"{{{{{label}}}}}"))
    return found


def of_rules() -> list[Asked]:
    groups = [
        group
        for file in sorted((DOCKER / "prometheus" / "rules").glob("*.yml"))
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    return [
        Asked(rule.get("alert") or rule["record"], rule["expr"])
        for group in groups
        for rule in group["rules"]
    ]


def of_runbook() -> list[Asked]:
    text = (ROOT / "docs" / "runbook.md").read_text()
    queries = "".join(re.findall(r"^```promql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines()
    return [Asked("runbook", query) for query in queries]


ALL = [*of_dashboards(), *of_rules()]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """It scrapes a busy lb and an address where nobody is; alerts fire at once."""
    program("prometheus")  # where there is none, nothing is started
    folder = tmp_path_factory.mktemp("prometheus")
    rules = folder / "rules"
    rules.mkdir()
    for file in (DOCKER / "prometheus" / "rules").glob("*.yml"):
        (rules / file.name).write_text(re.sub(r"^ +for: .*\n", "", file.read_text(), flags=re.MULTILINE))
    with Busy() as lb:
        config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [lb.names["admin"], lb.names["closed"]]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with Prometheus(folder) as it:
            eventually(lambda: it.query("lb_events_total"), within=20, because="nothing was scraped")
            lb.stir()
            yield it


def lacks(prometheus: Prometheus, one: Asked) -> list[str]:
    """What is wrong with an expression, whether or not it returns data."""
    found, labels = [], set()
    for selector in sorted(set(_SELECTOR.findall(one.expr))):
        series = prometheus.series(selector)
        if not series and selector.partition("{")[0] not in AGELESS:
            found.append(f"{one.where}: nothing matches {selector}")
        labels |= {label for labels_of in series for label in labels_of}
    asked = {label.strip() for group in _GROUPED.findall(one.expr) for label in group.split(",")}
    for label in sorted(asked - labels - {""}):
        found.append(f"{one.where}: no series of it has the label {label}")
    return found


def returns(prometheus: Prometheus, one: Asked) -> bool:
    """Whether it returns a number, with the labels that its legend names."""
    found = prometheus.query(one.expr)
    named = set(_NAMED.findall(one.legend))
    numbers = [sample for sample in found if not math.isnan(float(sample["value"][1]))]
    return bool(numbers) and all(named <= set(sample["metric"]) for sample in numbers)


def test_every_expression_returns_data(prometheus):
    silent = [one for one in ALL if one.where in SILENT]
    assert {one.where for one in silent} == set(SILENT)
    pending = [one for one in ALL if one.where not in SILENT]
    until = time.monotonic() + DEADLINE
    while pending and time.monotonic() < until:
        pending = [one for one in pending if not returns(prometheus, one)]
    assert not pending, "\n".join(f"{one.where}: {one.expr}" for one in pending)


def test_every_selector_matches_and_every_label_is_there(prometheus):
    assert [line for one in [*ALL, *of_runbook()] for line in lacks(prometheus, one)] == []


def test_what_is_silent_asks_for_metrics_that_lb_has(prometheus):
    for one in ALL:
        for selector in _SELECTOR.findall(one.expr):
            name = selector.partition("{")[0]
            if name.startswith("lb_"):
                assert f"`{name.removesuffix('_bucket')}`" in METRICS, one.where


@pytest.mark.parametrize(
    ("expr", "legend"),
    [
        ('sum(rate(lb_request_total{job="lb"}[5s])) or vector(0)', ""),
        ('count(lb_requests_in_flight{job="lb", instanz=~".+"}) or vector(0)', ""),
        ('sum by (rout) (rate(lb_requests_total{job="lb"}[5s]))', ""),
        ('sum by (route) (rate(lb_requests_total{job="lb", code="6xx"}[5s])) or vector(0)', ""),
        ('sum by (route) (rate(lb_requests_total{job="lb"}[5s]))', "{{service}}"),
    ],
    ids=["metric", "matcher", "grouping", "value", "legend"],
)
def test_a_wrong_name_is_noticed(prometheus, expr, legend):
    seeded = Asked("seeded", expr, legend)
    assert lacks(prometheus, seeded) or not returns(prometheus, seeded)
