"""The engines by name, their leases, and what a node's configuration says of each."""

from __future__ import annotations

ENGINES = ("local", "consul", "etcd", "zookeeper", "redis")
NAIVE = ("naive", "naive-expiring")  # on Redis; expected to be caught
TTL = {"consul": 10.0}  # the least that Consul takes; the others: 2
LAPSE = {"consul": 1.0}  # leases more until a lock that nobody renews can be had; the others: 0


def section(engine, ports, folder):
    """What a node's configuration says of its engine."""
    match engine:
        case "local":
            return {"folder": str(folder)}
        case "consul":
            return {"address": [f"http://127.0.0.1:{port}" for port in ports]}
        case "etcd":
            return {"endpoints": [f"http://127.0.0.1:{port}" for port in ports]}
        case "zookeeper":
            return {"servers": [f"127.0.0.1:{port}" for port in ports]}
    return {"url": f"redis://127.0.0.1:{ports[0]}"}
