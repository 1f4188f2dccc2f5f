"""docker/prometheus: promtool finds no fault, and every alert is shown to fire and to keep silent."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.docker.prometheus import promtool

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "prometheus"
SUITES = sorted(FOLDER.glob("tests/*.yml"))
GROUPS = [
    group for file in FOLDER.glob("rules/*.yml") for group in yaml.safe_load(file.read_text())["groups"]
]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]


def test_the_configuration_and_the_rules_are_valid():
    said = promtool("check", "config", FOLDER / "prometheus.yml")
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_rules_do_what_their_tests_say():
    said = promtool("test", "rules", *SUITES)
    assert said.returncode == 0, said.stdout + said.stderr


def test_promtool_notices_an_alert_that_stays_away(tmp_path):
    text = (FOLDER / "tests" / "alerts.yml").read_text().replace("../rules", str(FOLDER / "rules"))
    suite = tmp_path / "suite.yml"
    suite.write_text(text.replace("600x5", "6x5"))
    assert promtool("test", "rules", suite).returncode == 1


def test_every_alert_is_tested_both_ways_and_says_what_to_do():
    suites = [yaml.safe_load(file.read_text()) for file in SUITES]
    tests = [one["alert_rule_test"][0] for suite in suites for one in suite["tests"]]
    for way in (True, False):
        tested = {one["alertname"] for one in tests if bool(one["exp_alerts"]) is way}
        assert tested == {rule["alert"] for rule in ALERTS}
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_every_metric_of_the_rules_is_one_that_lb_has():
    page = (FOLDER.parents[1] / "docs" / "metrics.md").read_text()
    for group in GROUPS:
        for rule in group["rules"]:
            names = re.findall(r"(?<![:\w])lb_\w+", rule["expr"])
            for name in names:
                assert f"`{name.removesuffix('_bucket')}`" in page, rule
