"""A real Prometheus scrapes a real lb, with native histograms; promtool and prometheus-client read it too."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.docker.prometheus import program, promtool

from .harness import Scenario, eventually
from .harness.process import free_address

CONFIG = """
workers: 2
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes:
  - {name: app, match: {path_prefix: /}, service: app}
  - {name: odd, match: {path_prefix: /odd}, respond: {status: 204}}
"""
PROMETHEUS = """
global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}
scrape_configs: [{{job_name: lb, static_configs: [{{targets: ["{target}"]}}]}}]
"""
REQUESTS = 60
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Prometheus:
    """`query` gives the results of an instant query."""

    def __init__(self, address: str) -> None:
        self.address = address

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                found = json.load(response)
        except OSError:  # not up yet
            return []
        assert found["status"] == "success"
        return found["data"]["result"]

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    with Scenario(CONFIG) as scenario:
        for _ in range(REQUESTS):
            assert scenario.get("/x").status == 200
        assert scenario.get("/odd").status == 204
        yield scenario


@pytest.fixture(scope="module")
def prometheus(s: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(PROMETHEUS.format(target=s.names["admin"]))
    address, held = free_address()
    said = folder / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--enable-feature=native-histograms,exemplar-storage",
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    try:
        found = Prometheus(address)
        eventually(lambda: found.value("up") == 1, 30, "Prometheus did not scrape lb")
        yield found
    finally:
        process.kill()
        process.wait()
        held.close()
        print(said.read_text(errors="replace")[-3000:])


def test_native_histograms_answer_quantiles(s: Scenario, prometheus: Prometheus) -> None:
    series = 'lb_request_duration_seconds{route="app"}'
    eventually(lambda: prometheus.value(f"histogram_count({series})") == REQUESTS)
    median = prometheus.value(f"histogram_quantile(0.5, {series})")
    assert median is not None
    total, count = (
        s.lb.metric(rf'lb_request_duration_seconds_{one}\{{route="app"') for one in ("sum", "count")
    )
    assert 0 < median < 1
    assert prometheus.value(f"histogram_sum({series})") == pytest.approx(total)
    assert median <= 2 * total / count * 1.1  # Markov's bound, and a bucket's width
    (found,) = prometheus.query(series)
    _, histogram = found["histogram"]
    assert sum(float(bucket[3]) for bucket in histogram["buckets"]) == REQUESTS
    for _, low, high, _ in histogram["buckets"]:
        assert float(low) < 0 or float(high) == pytest.approx(float(low) * 2**0.125), "schema 3"
    assert prometheus.value("histogram_quantile(0.9, lb_server_connect_seconds)") > 0
    assert prometheus.value("histogram_quantile(0.9, lb_server_response_seconds)") > 0


def test_every_family_arrives(s: Scenario, prometheus: Prometheus) -> None:
    _, text = s.lb.admin("GET", "/metrics")
    exposed = {line.partition("{")[0].partition(" ")[0]: line for line in text.splitlines() if line[0] != "#"}
    exposed = {name for name in exposed if not name.endswith(("_bucket", "_sum", "_count"))}
    stored = eventually(
        lambda: (
            (found := {one["metric"]["__name__"] for one in prometheus.query('{job="lb"}')}) >= exposed
            and found
        )
    )
    assert "lb_request_duration_seconds" in stored
    assert prometheus.value('lb_requests_total{route="app",code="2xx"}') == REQUESTS
    assert prometheus.value('lb_requests_total{route="odd",code="2xx"}') == 1


def test_promtool_finds_no_fault(s: Scenario) -> None:
    _, text = s.lb.admin("GET", "/metrics")
    said = promtool("check", "metrics", stdin=text)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_prometheus_client_reads_openmetrics(s: Scenario) -> None:
    _, text = s.lb.admin("GET", "/metrics", headers={"Accept": OPENMETRICS})
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["lb_request_duration_seconds"].type == "histogram"
    assert len(families) > 60
