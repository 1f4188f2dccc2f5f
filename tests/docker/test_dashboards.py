"""docker/grafana: the dashboards are what make.py makes, and of a form that Grafana reads.

What they ask is put to a real Prometheus in test_expressions.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "docker" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS = {file.stem: json.loads(file.read_text()) for file in FILES}
EVERY = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def panels(board):
    """Rows too, and what folded ones hold."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def asking(board):
    return [panel for panel in panels(board) if panel["type"] != "row"]


def test_the_files_are_what_the_program_makes(tmp_path):
    subprocess.run([sys.executable, GRAFANA / "make.py", tmp_path], check=True, timeout=60)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_text() for file in FILES}, "run: python docker/grafana/make.py"
    assert sorted(BOARDS) == ["lb-cluster", "lb-health", "lb-overview", "lb-process", "lb-service"]


@EVERY
def test_panels_are_whole(board):
    numbers = [panel["id"] for panel in panels(board)]
    assert len(numbers) == len(set(numbers))
    for panel in asking(board):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["targets"], panel["title"]
        letters = [ask["refId"] for ask in panel["targets"]]
        assert len(letters) == len(set(letters))
        assert all(ask["expr"] and ask["datasource"] == panel["datasource"] for ask in panel["targets"])
        assert len(panel["description"]) > 15, f"{panel['title']} does not say what it shows"
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert [one["value"] for one in steps[1:]] == sorted(one["value"] for one in steps[1:])


@EVERY
def test_panels_stand_on_the_grid_and_not_on_each_other(board):
    taken = {}
    for panel in panels(board):
        at = panel["gridPos"]
        assert at["x"] >= 0, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]


@EVERY
def test_variables_are_defined_before_they_are_used(board):
    known = {"__rate_interval", "__url_time_range"}
    for variable in board["templating"]["list"]:
        asked = json.dumps([variable.get("query"), variable.get("datasource")])
        assert set(re.findall(r"\$\{?(\w+)", asked)) <= known, variable["name"]
        known.add(variable["name"])
    said = json.dumps([board["panels"], board["annotations"]])
    assert set(re.findall(r"\$\{?(\w+)", said)) - {"__data"} <= known


@EVERY
def test_every_board_leads_to_the_others(board):
    [link] = board["links"]
    assert link["type"] == "dashboards"
    assert all(set(link["tags"]) <= set(other["tags"]) for other in BOARDS.values())
    for uid in re.findall(r'"/d/([\w-]+)', json.dumps(board)):
        assert uid in BOARDS
    assert BOARDS[board["uid"]] is board


def test_uids_and_titles_are_unique():
    for key in ("uid", "title"):
        assert len({board[key] for board in BOARDS.values()}) == len(BOARDS)


def test_what_grafana_provisions_is_what_compose_mounts():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    for name, image in (("prometheus", "prom/prometheus:v"), ("grafana", "grafana/grafana:")):
        service = services[name]
        assert re.fullmatch(rf"{re.escape(image)}\d+\.\d+\.\d+", service["image"]), "a version is pinned"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / "docker" / source).exists(), volume
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/lb.yml").read_text())["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "./prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
