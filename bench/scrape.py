"""`python -m bench.scrape`: what a scrape of lb takes with thousands of routes and servers in use.

Every route gets requests first, so that every series is there. Then `/metrics` is asked for in each format,
and read: the CPU time of control and of the workers, bytes, and the longest that another request to the
admin address waited meanwhile.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.places import PROXY_CORE, ROOT
from bench.proxies.lb import COMMAND
from lb.telemetry.metrics import OPENMETRICS, PROTOBUF, TEXT

START = 120.0
FORMATS = {"text": TEXT, "OpenMetrics": OPENMETRICS, "protobuf, native histograms": PROTOBUF}
PER_SERVICE = 2  # servers
COLUMNS = ("format", "series", "MB", "MB sent", "control's CPU, ms", "workers' CPU, ms", "others waited, ms")


class _Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words: object) -> None:
        pass


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scrape", description=__doc__)
    parser.add_argument("--routes", type=int, default=5000)
    parser.add_argument("--servers", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scrapes", type=int, default=9)
    chosen = parser.parse_args(arguments)
    origin = http.server.ThreadingHTTPServer(("0.0.0.0", 0), _Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        port, admin = machine.free_port(), machine.free_port()
        path = Path(folder) / "lb.yaml"
        path.write_text(json.dumps(_document(chosen, folder, port, admin, origin.server_port)))
        process = machine.start((*COMMAND, "run", str(path)), PROXY_CORE, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            _wait(admin)
            for _ in range(2):
                _use(port, chosen.routes)
            print(
                f"{chosen.routes:,} routes, {chosen.servers:,} servers, {chosen.workers} workers, all in use;"
            )
            print(f"medians of {chosen.scrapes} scrapes, the highest in brackets\n")
            print("| " + " | ".join(COLUMNS) + " |\n|---" + "|---:" * (len(COLUMNS) - 1) + "|")
            print(_idle(admin, process.pid))
            for name, media in FORMATS.items():
                for gzip in (False, True):
                    print(_measured(name, media, gzip, admin, process.pid, chosen.scrapes))
        finally:
            machine.stop(process)
            origin.shutdown()
    return 0


def _document(chosen: argparse.Namespace, folder: str, port: int, admin: int, to: int) -> dict[str, object]:
    addresses = [f"127.0.{1 + number // 250}.{1 + number % 250}:{to}" for number in range(chosen.servers)]
    services = {
        f"service-{number:04d}": addresses[number * PER_SERVICE : (number + 1) * PER_SERVICE]
        for number in range(chosen.servers // PER_SERVICE)
    }
    names = list(services)
    return {
        "workers": chosen.workers,
        "listeners": [{"name": "web", "bind": f"127.0.0.1:{port}"}],
        "admin": {"bind": f"127.0.0.1:{admin}"},
        "access_log": {"path": f"{folder}/access.log"},
        "services": {name: {"servers": some} for name, some in services.items()},
        "routes": [
            {
                "name": f"route-{number:04d}",
                "match": {"path_prefix": f"/route-{number:04d}"},
                "service": names[number % len(names)],
            }
            for number in range(chosen.routes)
        ],
    }


def _wait(admin: int) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            if _get(http.client.HTTPConnection("127.0.0.1", admin, timeout=10), "/readyz", {})[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"lb is not ready after {START:g} s")


def _use(port: int, routes: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for number in range(routes):
        status, _ = _get(connection, f"/route-{number:04d}", {})
        if status != 200:
            raise RuntimeError(f"route {number} answered {status}")
    connection.close()


def _get(connection: http.client.HTTPConnection, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    return response.status, response.read()


def _idle(admin: int, pid: int) -> str:
    """A second without a scrape: control looks at every counter once, for the live view."""
    before = machine.cpu_time(pid)
    with _Asking(admin) as asking:
        time.sleep(1.0)
    after = machine.cpu_time(pid)
    mine = (after.alive[pid] - before.alive[pid]) / 1e6
    rest = (after.since(before) / 1e6) - mine
    return (
        f"| a second without a scrape | – | – | – | {mine:.0f} | {rest:.0f} | {asking.longest * 1000:.0f} |"
    )


def _measured(name: str, media: str, gzip: bool, admin: int, pid: int, scrapes: int) -> str:
    fields = {"Accept": media} | ({"Accept-Encoding": "gzip"} if gzip else {})
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
    control: list[float] = []
    workers: list[float] = []
    waited: list[float] = []
    body = b""
    for _ in range(scrapes):
        time.sleep(0.05)
        before = machine.cpu_time(pid)
        with _Asking(admin) as asking:
            _, body = _get(connection, "/metrics", fields)
        after = machine.cpu_time(pid)
        control.append((after.alive[pid] - before.alive[pid]) / 1e6)
        workers.append((after.since(before) - after.alive[pid] + before.alive[pid]) / 1e6)
        waited.append(asking.longest * 1000)
    plain = zlib.decompress(body, zlib.MAX_WBITS | 16) if gzip else body
    lines = "–" if media == PROTOBUF else f"{sum(not line.startswith(b'#') for line in plain.splitlines()):,}"
    cells = [name + (", gzip" if gzip else ""), lines, f"{len(plain) / 1e6:.1f}", f"{len(body) / 1e6:.1f}"]
    cells += [f"{statistics.median(some):.0f} ({max(some):.0f})" for some in (control, workers, waited)]
    return f"| {' | '.join(cells)} |"


class _Asking:
    """Asks for /livez again and again until it is left; `longest`: seconds that one took."""

    def __init__(self, admin: int) -> None:
        self.longest = 0.0
        self._connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Asking:
        _get(self._connection, "/livez", {})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while not self._over.wait(0.005):
            began = time.monotonic()
            _get(self._connection, "/livez", {})
            self.longest = max(self.longest, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
