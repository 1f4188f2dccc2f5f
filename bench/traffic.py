"""The neutral ends of a run: the two origin servers and the load generator, both C, both on one core."""

from __future__ import annotations

import json
import select
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine
from bench.loads import Load
from bench.places import LOAD, ORIGIN, OTHER_CORE
from bench.site import Site, request_fields, request_paths

_EXTRA_ADDRESSES = 250  # per origin process, beside its first
_OPENING_SECONDS = 90.0  # the generator itself gives up after 60
_FINAL = (400, 401, 403, 405)  # not 404: Traefik gives it until its routes are loaded
_LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Origins:
    """Two servers, which together listen on 500 more loopback addresses."""

    ports: tuple[int, int]

    def addresses(self, count: int) -> tuple[str, ...]:
        """`count` servers, 2 to 500, half of them at each origin."""
        if count == len(self.ports):
            return tuple(f"127.0.0.1:{port}" for port in self.ports)
        return tuple(f"127.0.1.{number + 1}:{port}" for number in range(count // 2) for port in self.ports)

    def connections(self) -> int:
        """Connections that both accepted since their start, without those of questions like this one."""
        total = 0
        for port in self.ports:
            total += int(json.loads(fetch(f"http://127.0.0.1:{port}/counts"))["connections"])
        return total


def fetch(url: str, timeout: float = 5.0) -> bytes:
    """The body of a 200 answer. Raises OSError for anything else."""
    with _LOCAL.open(url, timeout=timeout) as answer:
        body: bytes = answer.read()
        return body


@contextmanager
def origins(folder: Path) -> Iterator[Origins]:
    """Both origin servers, for as long as the block lasts."""
    ports = (machine.free_port(), machine.free_port())
    processes = []
    try:
        for port in ports:
            extra = [f"127.0.1.{number + 1}:{port}" for number in range(_EXTRA_ADDRESSES)]
            command = [str(ORIGIN), f"127.0.0.1:{port}", *extra]
            processes.append(machine.start(command, OTHER_CORE, cwd=folder, stderr=2))
        for port in ports:
            await_answer(f"http://127.0.0.1:{port}/counts", 5.0, processes)
        yield Origins(ports)
    finally:
        for process in processes:
            machine.stop(process)


def await_answer(url: str, seconds: float, processes: list[subprocess.Popen[bytes]]) -> None:
    """Poll until `url` answers 200. Raises RuntimeError when a process ends first or time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fetch(url)
            return
        except OSError as error:
            for process in processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args!r} ended with {process.returncode}") from error
            if isinstance(error, urllib.error.HTTPError) and error.code in _FINAL:
                raise RuntimeError(f"{url} answered {error.code}") from error
            if time.monotonic() > deadline:
                raise RuntimeError(f"{url} did not answer 200 within {seconds:g} s: {error}") from error
            time.sleep(0.05)


class Generator:
    """One run of the load generator: `ready`, `measure`, and its connections stay open until `close`."""

    def __init__(self, load: Load, site: Site, seconds: float, rate: float) -> None:
        fields = site.write("fields", request_fields())
        paths = site.write("paths", "\n".join(request_paths(site.routes, load.path)) + "\n")
        command = [str(LOAD), site.listen, "--head", fields, "--paths", paths]
        command += ["--connections", str(load.connections), "--seconds", str(seconds), "--warmup", "0.5"]
        command += ["--length", str(load.length), "--upload", str(load.upload), "--rate", str(rate)]
        if load.kind != "keep-alive":
            command.append(f"--{load.kind}")
        self._seconds = seconds
        self._process = machine.start(
            command, OTHER_CORE, cwd=site.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=2
        )

    def ready(self) -> None:
        """Return when every connection is open and warm."""
        if self._line(_OPENING_SECONDS) != b"ready\n":
            raise RuntimeError(f"the load generator ended with {self._process.wait()} before it was ready")

    def measure(self) -> dict[str, Any]:
        """Run the measured phase; returns the generator's own figures."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        line = self._line(self._seconds + _OPENING_SECONDS)
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()} and no figures")
        figures: dict[str, Any] = json.loads(line)
        return figures

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        machine.stop(self._process)

    def _line(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise RuntimeError(f"the load generator said nothing for {seconds:g} s")
        return self._process.stdout.readline()
