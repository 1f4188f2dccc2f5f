"""What the access log says of attempts, where it goes, and that a drain writes it to the end."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .harness import Exchange, Origin, Scenario, eventually

CONFIG = """
listeners: [{name: web, bind: "$web"}]
services:
  app: ["$a"]
  half: ["$closed", {address: "$a", backup: true}]
  slow: {algorithm: first, servers: ["$a", "$b"]}
routes:
  - {name: half, match: {path_prefix: /half}, service: half}
  - {name: hedge, match: {path_prefix: /hedge}, service: slow, retry: {hedge: 200ms}}
  - {name: rest, match: {path_prefix: /}, service: app}
"""


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    with Scenario(CONFIG, a=Origin(), b=Origin()) as scenario:
        yield scenario


def attempts(s: Scenario, path: str) -> Any:
    return s.log_entry(path).get("attempts")


def test_a_retry_says_of_each_attempt_why_when_and_on_which_connection(s: Scenario) -> None:
    assert s.get("/half/fresh").status == 200
    first, second = attempts(s, "/half/fresh")
    assert (first["server"], first["flag"], first["status"]) == (s.names["closed"], "SC", 0)
    assert (second["server"], second["flag"], second["status"]) == (s.a.address, "--", 200)
    assert (first["reason"], second["reason"]) == ("only_one", "backup")
    assert first["began"] == 0 and "connect" not in first and "reused" not in first
    assert second["began"] >= first["duration"] and 0 < second["connect"] <= second["duration"]
    assert s.get("/half/again").status == 200
    second = attempts(s, "/half/again")[-1]
    assert second["reused"] is True and "connect" not in second
    assert "connect" not in s.log_entry("/half/again")


@pytest.mark.parametrize("winner", ["a", "b"])
def test_a_hedge_began_later_whether_it_wins_or_not(s: Scenario, winner: str) -> None:
    loser = s.servers["b" if winner == "a" else "a"]
    came = threading.Event()

    def slow(x: Exchange) -> None:
        came.set()
        x.released.wait(5)

    def quick(x: Exchange) -> None:
        assert came.wait(5), "both are asked"
        x.respond(b"won")

    s.servers[winner].behaviour, loser.behaviour = quick, slow
    try:
        assert s.get(f"/hedge/{winner}").body == b"won"
    finally:
        s.reset()
    by = {one["server"]: one for one in attempts(s, f"/hedge/{winner}")}
    assert by[s.a.address]["began"] == 0 and 0.2 <= by[s.b.address]["began"] < 3
    assert by[loser.address]["word"] == "cancelled"


def test_an_ordinary_request_has_no_attempts_but_what_it_says_itself(s: Scenario) -> None:
    assert s.get("/ordinary").status == 200
    entry = s.log_entry("/ordinary")
    assert "attempts" not in entry and (entry["server"], entry["reason"]) == (s.a.address, "only_one")


def test_what_runs_at_a_drain_and_what_it_cuts_off_gets_its_line() -> None:
    with Scenario("shutdown_grace: 1s\nworkers: 2\n" + CONFIG, a=Origin(), b=Origin()) as s:
        s.a.take_over()
        ends, cut = s.client(), s.client()
        ends.send_request("GET", "/ends")
        running = s.a.next_request()
        cut.send_request("GET", "/cut")
        s.a.next_request()
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: s.lb.admin("GET", "/readyz")[0] == 503)
        running.respond(b"done")
        assert ends.recv_response().status == 200
        s.lb.wait(10)
        flags = {line["target"]: line["flag"] for line in map(json.loads, s.log_text().splitlines())}
        assert flags.keys() == {"/ends", "/cut"} and flags["/ends"] == "--" != flags["/cut"], flags


def test_stdout_has_the_lines_of_all_workers() -> None:
    config = "workers: 2\naccess_log: {path: stdout, format: '>${target} ${status} ${attempts}<'}\n" + CONFIG
    with Scenario(config, a=Origin(), b=Origin()) as s:
        for n in range(50):
            assert s.get(f"/{n}").status == 200
        s.lb.signal(signal.SIGTERM)
        s.lb.wait(10)
        said = set(re.findall(r"^>/(\d+) 200 \S+:200:\d\.\d{6}:--<$", s.lb.said(), re.M))
        assert said == {str(n) for n in range(50)}


def listen(network: str, folder: Path) -> tuple[socket.socket, str]:
    """A syslog daemon's socket, and how the configuration names it."""
    kind = socket.SOCK_STREAM if network == "tcp" else socket.SOCK_DGRAM
    daemon = socket.socket(socket.AF_UNIX if network == "unix" else socket.AF_INET, kind)
    daemon.settimeout(20)
    if network == "unix":
        daemon.bind(str(folder / "log"))
        return daemon, f"syslog:{folder}/log"
    daemon.bind(("127.0.0.1", 0))
    if network == "tcp":
        daemon.listen()
    return daemon, f"syslog:{network}://127.0.0.1:{daemon.getsockname()[1]}"


def messages(daemon: socket.socket, count: int) -> Iterator[bytes]:
    """Pieces of what a daemon gets, until it has `count` messages."""
    source = daemon.accept()[0] if daemon.type == socket.SOCK_STREAM else daemon
    while count > 0:
        piece = source.recv(65536)
        count -= piece.count(b";")
        yield piece
    if source is not daemon:
        source.close()


@pytest.mark.parametrize("network", ["unix", "udp", "tcp"])
def test_a_syslog_daemon_has_all_lines_at_the_end_of_a_drain(network: str, tmp_path: Path) -> None:
    daemon, where = listen(network, tmp_path)
    config = f'access_log: {{path: "{where}", format: "line ${{target}};"}}\n'
    with daemon, ThreadPoolExecutor(1) as thread:
        got = thread.submit(lambda: b"".join(messages(daemon, 50)))
        with Scenario(config + CONFIG, a=Origin(), b=Origin()) as s:
            for n in range(50):
                assert s.get(f"/{n}").status == 200
            s.lb.signal(signal.SIGTERM)
            s.lb.wait(10)
        assert re.findall(rb"line /(\d+);", got.result()) == [b"%d" % n for n in range(50)]
