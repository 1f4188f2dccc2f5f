"""`lb run` as a process, and servers behind it, driven from synchronous tests."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-m", "lb")


class Process:
    """A process with its stderr collected. `until(text)` waits for a line."""

    def __init__(self, *command, cwd=ROOT, env=None):
        self.lines = []
        self.process = subprocess.Popen(
            command, cwd=cwd, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )  # fmt: skip
        self.output = []
        self.readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self.process.stderr, self.lines), (self.process.stdout, self.output))
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        lines.extend(iter(stream.readline, ""))

    def until(self, text, seconds=10.0, after=0):
        """The first line from number `after` on that has `text` in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.lines[after:]:
                if text in line:
                    return line
            if self.process.poll() is not None and not any(reader.is_alive() for reader in self.readers):
                break
            time.sleep(0.005)
        raise AssertionError(f"no line with {text!r} within {seconds} s:\n{''.join(self.lines)}")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=10.0):
        status = self.process.wait(seconds)
        for reader in self.readers:
            reader.join(2)
        return status

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


class Server:
    """A demo server in a process of its own."""

    def __init__(self, name, port):
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen(
            (sys.executable, "-m", "lb.cli.demo_server", name, self.address),
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "listening\n"

    def end(self):
        self.process.kill()
        self.process.wait(5)
        self.process.stdin.close()
        self.process.stdout.close()


class Lb(Process):
    """A running lb with a listener "web" and the admin API, both on free ports."""

    def __init__(self, path):
        super().__init__(*PYTHON, "run", str(path))
        self.path = path
        self.until(" ready ", 30)
        self.port = int(re.search(r"listener=web address=127\.0\.0\.1:(\d+)", self.until("listener=web"))[1])
        self.admin = int(re.search(r"address=127\.0\.0\.1:(\d+)", self.until("admin API"))[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path="/", headers=None):
        connection = self.connect()
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ask_admin(self, path, method="GET", body=None):
        """Status and parsed JSON (or text) of the admin API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=10
            ) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def write(self, text):
        """Replace the configuration as an editor or a deployment does: by rename."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)

    def workers(self):
        return worker_pids(self.process.pid)


def worker_pids(parent):
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.fixture
def servers(request):
    """`servers(n)`: n demo servers on free ports; their addresses."""
    started = []

    def start(count):
        import socket

        found = []
        for number in range(count):
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                sock.bind(("127.0.0.1", 0))
                started.append(Server(f"server-{number + 1}", sock.getsockname()[1]))
            found.append(started[-1].address)
        return found

    yield start
    for server in started:
        server.end()


def config(addresses, *, routes='{"/": app}', workers=2, extra=""):
    """A configuration on free ports."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    return (
        f"workers: {workers}\nadmin: {{bind: '127.0.0.1:0'}}\naccess_log: off\n"
        f"listeners: [{{name: web, bind: '127.0.0.1:0'}}]\n"
        f"routes: {routes}\nservices: {{app: [{listed}]}}\n{extra}"
    )


@pytest.fixture
def start_lb(tmp_path):
    """`start_lb(text)`: lb run on that configuration."""
    started = []

    def start(text):
        path = tmp_path / "lb.yaml"
        path.write_text(text)
        started.append(Lb(path))
        return started[-1]

    yield start
    for lb in started:
        lb.end()
