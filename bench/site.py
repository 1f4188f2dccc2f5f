"""What every proxy is asked to be: one listener, some servers, some routes, one algorithm."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from bench.places import ROOT

# Ten fields, as a browser's script sends them. Host is the first.
REQUEST_FIELDS = {
    "Host": "www.example.test",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "http://www.example.test/catalogue/index.html",
    "Cookie": "session=4bf92f3577b34da6a3ce929d0e0e4736; theme=dark; consent=1",
    "Cache-Control": "no-cache",
    "X-Requested-With": "XMLHttpRequest",
    "Authorization": "Bearer 00f067aa0ba902b7c0ffee5ca1ab1e",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one configured proxy, and where to see that it does what was asked."""

    command: tuple[str, ...]
    access_log: Path
    metrics: str  # URL of its metrics, fetched once before every run
    environment: tuple[tuple[str, str], ...] = ()
    log_is_stdout: bool = False
    cwd: Path = ROOT


@dataclass(frozen=True, slots=True)
class Site:
    """One thing to configure. `routes` are path prefixes without a final slash; empty: one route for all."""

    folder: Path
    port: int
    admin_port: int
    servers: tuple[str, ...]  # "address:port"
    routes: tuple[str, ...] = ()
    least_connections: bool = False  # else round robin

    @property
    def listen(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def admin(self) -> str:
        return f"127.0.0.1:{self.admin_port}"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    @property
    def metrics(self) -> str:
        return f"http://{self.admin}/metrics"

    @property
    def idle_per_server(self) -> int:
        """Idle connections to keep per server, enough that no load has to open and close them."""
        return max(8, 2048 // len(self.servers))

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder of this run; returns its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


def route_prefixes(count: int) -> tuple[str, ...]:
    """`count` path prefixes: /route-0000, /route-0001, …; none for 0."""
    return tuple(f"/route-{number:04d}" for number in range(count))


def request_paths(routes: tuple[str, ...], path: str) -> list[str]:
    """The paths to ask for, one per route, shuffled the same way every time."""
    paths = [prefix + path for prefix in routes] or [path]
    random.Random(1).shuffle(paths)
    return paths


def request_fields() -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in REQUEST_FIELDS.items())
