"""How the dashboards ask Prometheus: short names for what every expression has, and the questions that recur.

Must not live here: panels.
"""

from __future__ import annotations

import re

_LB = 'job="$job", instance=~"$instance"'
_SERVICE = f'{_LB}, service=~"$service"'
SHORT = {
    "LB": _LB,
    "SERVICE": _SERVICE,
    "ROUTE": f'{_SERVICE}, route=~"$route"',
    "SERVER": f'{_SERVICE}, server=~"$server"',
    "RATE": "$__rate_interval",
}
ERRORS = 'code="5xx"'
_WORD = re.compile(rf"\b({'|'.join(SHORT)})\b")


def expanded(expr: str) -> str:
    """An expression as Grafana has it: `{LB}` and `[RATE]` spelt out."""
    return _WORD.sub(lambda found: SHORT[found[1]], expr)


def rate(metric: str, labels: str, by: str = "") -> str:
    """A second, summed."""
    return f"sum{_by(by)} (rate({metric}{{{labels}}}[RATE]))"


def share(metric: str, labels: str, only: str, by: str = "") -> str:
    """How much of `metric` has the labels `only` too, 0 to 1. A class of status that never came has no
    series and counts as 0. Nothing where there was no traffic."""
    part, whole = rate(metric, f"{labels}, {only}", by), rate(metric, labels, by)
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(which: float, histogram: str, labels: str, by: str = "") -> str:
    """Seconds."""
    grouped = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({which}, {rate(f'{histogram}_bucket', labels, grouped)})"


def happened(labels: str, by: str) -> str:
    """Events within an interval; increase() would not see the first, with which a series begins."""
    now = f"lb_events_total{{{labels}}}"
    return f"sum by ({by}) (clamp_min({now} - ({now} offset RATE or 0 * {now}), 0)) > 0"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
