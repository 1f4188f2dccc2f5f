"""docker/prometheus: promtool finds no fault, and every alert is shown to fire and to keep silent."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.docker.prometheus import promtool

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "prometheus"
METRICS = (ROOT / "docs" / "metrics.md").read_text()
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


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = {
        title.lower(): text
        for title, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL)
    }
    led_to = [rule["annotations"]["runbook_url"].removeprefix("docs/runbook.md#") for rule in ALERTS]
    assert list(sections) == led_to  # an anchor is the heading in small letters
    for anchor, text in sections.items():
        for part in ("**Means.**", "**Clients**", "**Look", "**do" if "**Look** and" in text else "**Do.**"):
            assert part in text, f"{anchor}: no {part}"


def test_promtool_understands_every_query_of_the_runbook(tmp_path):
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    queries = "".join(re.findall(r"^```promql\n(.*?)^```$", runbook, re.MULTILINE | re.DOTALL)).splitlines()
    assert len(queries) >= len(ALERTS)
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": rules}]}))
    said = promtool("check", "rules", file)
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_metric_of_the_rules_and_the_runbook_is_one_that_lb_has():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    for name in sorted(set(re.findall(r"(?<![:\w])lb_\w+", runbook))):
        assert f"`{name}`" in METRICS, name
    for group in GROUPS:
        for rule in group["rules"]:
            names = re.findall(r"(?<![:\w])lb_\w+", rule["expr"])
            for name in names:
                assert f"`{name.removesuffix('_bucket')}`" in METRICS, rule
