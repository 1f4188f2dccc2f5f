"""A real Consul behind a proxy that misbehaves, under load that counts: no request is lost, and what is said of
the source is true."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.cluster.real import running
from tests.scenarios.test_consul import CONFIG, Agent, changed, source
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually

REFUSALS = {"500": b"No cluster leader", "503": b"starting", "429": b"rate limit exceeded"}


class Faulty(ThreadingHTTPServer):
    """Passes questions on to Consul, until `be` has it do otherwise."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Question)
        self.consul, self.mode, self.asked = port, "pass", 0
        self.stopped = threading.Event()
        self.open: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def be(self, mode: str) -> None:
        """Who waits for an answer learns of it at once."""
        self.mode = mode
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """A connection that we or lb ended."""


class Question(BaseHTTPRequestHandler):
    server: Faulty
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        """Not wanted."""

    def do_GET(self) -> None:
        mode = self.server.mode
        self.server.asked += 1
        if mode == "silent":
            self.server.stopped.wait(30)
        elif mode in REFUSALS:
            self._say(int(mode), {"Retry-After": "1"}, REFUSALS[mode])
        elif mode == "garbage":
            self._say(200, {"X-Consul-Index": "5"}, b'[{"Node": [}')
        elif mode == "no HTTP":
            self.wfile.write(b"\x00\x01what?\r\n\r\n")
            self.close_connection = True
        else:
            status, headers, body = self._asked()
            self._say(status, headers, body, len(body) // 2 if mode == "half" else len(body))

    def _asked(self) -> tuple[int, dict[str, str], bytes]:
        try:
            with urlopen(Request(f"http://127.0.0.1:{self.server.consul}{self.path}"), timeout=70) as said:
                kept = {name: value for name, value in said.headers.items() if name.startswith("X-Consul")}
                return said.status, kept, said.read()
        except HTTPError as error:
            return error.code, {}, error.read()

    def _say(self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = sent is not None and sent < len(body)


@pytest.fixture(scope="module")
def consul():
    for server in running("consul"):
        agent = Agent(server)
        eventually(agent.leads, 20, "Consul has no leader")
        yield agent


@pytest.fixture
def faulty(consul):
    server = Faulty(consul.server.port)
    yield server
    server.stopped.set()
    server.be("ended")
    server.shutdown()
    server.server_close()


FAULTS = {
    "500": "HTTP 500): No cluster leader",
    "503": "HTTP 503): starting",
    "429": "HTTP 429): rate limit",
    "garbage": "is not what it should be",
    "no HTTP": "cannot be asked",
    "half": "cannot be asked",
    "silent": "gave no answer within 1",
}


@pytest.mark.parametrize("mode", FAULTS)
def test_what_comes_in_place_of_an_answer_costs_nothing(consul, faulty, mode):
    """An lb for each: one whose source fails again and again asks it ever less."""
    origins = {
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))
        for name in "abc"
    }
    config = (CONFIG % faulty.server_address[1]).replace('"]}', '"], wait: 1s}')
    s = Scenario(config, **origins)
    for letter in "ab":
        consul.register(s, letter)
    with s, Load(s) as load:
        changed(load, "ab", "start")
        faulty.be(mode)
        consul.register(s, "c")  # which is seen as soon as it answers again
        eventually(lambda: told(s), 20, "it is not told")
        found = source(s)
        assert FAULTS[mode] in found["error"], found
        assert (found["members"], found["held"]) == (2, [])
        assert s.lb.metric("lb_discovery_errors_total") > 0
        eventually(lambda: s.lb.metric("lb_discovery_age_seconds") > 0)
        if mode != "silent":
            faulty.be("pass")
            changed(load, "abc", "it answers again", within=15)
            assert source(s)["answered"] and s.lb.metric("lb_discovery_age_seconds") == 0
        assert not load.failed
    consul.ask("PUT", "agent/service/deregister/c")


def told(s):
    return not source(s)["answered"]
