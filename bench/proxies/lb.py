"""lb: one worker, its defaults otherwise (all forwarded headers, request id, JSON access log).

Its program is a checkout: the package there is run by the interpreter that runs the benchmark.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.proxies.contract import Proxy
from bench.site import Launch, Site

COMMAND = (sys.executable, "-m", "lb")
# All of failure handling at once: what it costs is part of every figure of lb.
RESILIENCE: dict[str, Any] = {
    "health_check": {"tcp": True, "interval": "1s"},
    "outlier": {"success_rate": "enforce", "latency": "enforce", "interval": "1s"},
    "slow_start": "5s",
    "panic_threshold": "50%",
    "breaker": {"server": {"failures": "50%"}, "service": {"failures": "90%"}},
    "adaptive_concurrency": {"least": 200, "most": 10_000},
    "sticky": {"cookie": "lb_server"},
}


def document(site: Site, resilience: bool = True) -> dict[str, Any]:
    """The configuration as data; names as in the configuration reference."""
    prefixes = site.routes or ("/",)
    return {
        "workers": 1,
        "shutdown_grace": "1s",
        "listeners": [{"name": "web", "bind": site.listen}],
        "admin": {"bind": site.admin},
        "access_log": {"path": str(site.access_log), "format": "json"},
        "routes": [
            {"name": f"route-{number}", "match": {"path_prefix": prefix}, "service": "app"}
            for number, prefix in enumerate(prefixes)
        ],
        "services": {
            "app": {
                "algorithm": "least_connections" if site.least_connections else "round_robin",
                "servers": [{"address": address} for address in site.servers],
                "connections": {"max_idle": site.idle_per_server},
                **(RESILIENCE if resilience else {}),
            }
        },
        **({"state_dir": str(site.folder / "state")} if resilience else {}),
    }


def configure(site: Site, program: str) -> Launch:
    # A checkout of the time before, which is measured beside this one, knows none of it.
    knows = (Path(program) / "lb" / "health").exists()
    # JSON is YAML; every proxy that reads YAML is given it.
    config = site.write("lb.yaml", json.dumps(document(site, knows), indent=1))
    return Launch(
        (*COMMAND, "run", config),
        site.access_log,
        site.metrics,
        (("PYTHONPATH", program),),
        cwd=Path(program),
    )


PROXY = Proxy("lb", "lb", "checkout", "", ("version",), configure)
