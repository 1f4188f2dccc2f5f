"""Writes the dashboards of Grafana: `python docker/grafana/make.py [FOLDER]`.

Lives here: what all dashboards have (variables, links, the line of a reload), and writing them. Must not live
here: panels and rows (`boards`). A test fails where dashboards/ is not what this makes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from boards import BOARDS
from panels import SCHEMA, SOURCE, Board, Json, placed
from queries import expanded

TAG = "lb"


def variables(board: Board) -> list[Json]:
    """Where the data are, which lb, and what the board picks; each depends on those before it."""
    found: list[Json] = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        _values("job", "lb_build_info", several=False),
    ]
    labels = 'job="$job"'
    for name, metric in board.pick:
        found.append(_values(name, f"{metric}{{{labels}}}", several=True))
        labels += f', {name}=~"${name}"'
    return found


def _values(name: str, series: str, several: bool) -> Json:
    query = f"label_values({series}, {name})"
    more = {"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if several else {}
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
        **more,
    }


def dashboard(board: Board) -> Json:
    """As Grafana imports and provisions it."""
    reloads = {
        "name": "Reloads",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": expanded("changes(lb_config_last_reload_timestamp_seconds{LB}[RATE]) > 0"),
        "titleFormat": "{{instance}} read its configuration",
    }
    links = {
        "type": "dashboards",
        "title": "lb",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
    }
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.says,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [reloads]},
        "links": [links],
        "templating": {"list": variables(board)},
        "panels": placed(board.rows),
    }


def main(folder: Path) -> None:
    """A file a dashboard, named as it is."""
    for board in BOARDS:
        text = json.dumps(dashboard(board), indent=1, ensure_ascii=False)
        (folder / f"{board.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "dashboards")
