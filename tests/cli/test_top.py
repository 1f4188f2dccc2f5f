"""`lb top`: what it shows of real answers, and the keys, sizes and losses on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import msgspec
import pytest
from rich.console import Console

from lb.cli.topview import Answer, Wish, chosen, picture, pressed
from tests.admin.conftest import Control
from tests.admin.test_live import serve
from tests.cli.conftest import PYTHON, ROOT

FIGURES = {"rate": 0.0, "errors": 0.0, "p50": None, "p99": None, "in_flight": 0}


def server(service, address, **more):
    return {**FIGURES, "service": service, "address": address, "status": "up", "reasons": [], **more}


def service(name, **more):
    return {**FIGURES, "name": name, **more}


def shown(**more):
    return {
        "generation": 7,
        "total": {**FIGURES, "rate": 100.0, "errors": 2.0, "p50": 0.002, "p99": 1.5},
        "listeners": [{"connections": 3}, {"connections": 4}],
        "services": [
            service("api", rate=1.0, p99=0.3),
            service("shop", rate=50.0, errors=2.0),
            service("empty"),
        ],
        "servers": [
            server("api", "10.0.0.1:80", rate=1.0),
            server("shop", "10.0.0.2:80", status="down", reasons=["check: HTTP 503"]),
            server("shop", "10.0.0.3:80", rate=50.0, errors=2.0),
            server("shop", "10.0.0.4:80", p99=0.1),
        ],
        **more,
    }


def answer(**more):
    return msgspec.convert(shown(**more), Answer)


def lines(found, wish=None, width=120, **more):
    console = Console(width=width, color_system=None, force_terminal=False, _environ={})
    with console.capture() as printed:
        console.print(picture(found, wish or Wish(), **more))
    return [line.rstrip() for line in printed.get().splitlines()]


def wished(keys):
    wish = Wish()
    for key in keys:
        wish = pressed(wish, key)
    return wish


def names(keys):
    return [
        name
        for one, servers, _ in chosen(answer(), wished(keys))
        for name in (one.name, *(server.name.split(":")[0] for server in servers))
    ]


def test_the_answer_of_lb_is_understood():
    control = Control()
    before = msgspec.convert(control.live.whole(), Answer)
    assert before.total.rate == 0
    control.live.take(1)
    serve(control, 10, 2)
    control.live.take(2)
    found = msgspec.convert(json.loads(json.dumps(control.live.whole())), Answer)
    said = lines(found)
    assert said[0].startswith("generation 7 · 10.0 requests/s · 20 % errors · p50 1.75 ms, ")
    assert said[2].split()[:7] == ["app", "2/2", "up", "10.0", "20", "%", "1.75"]
    assert said[3].split()[:3] == ["127.0.0.1:9001", "up", "10.0"]


def test_services_with_their_servers_and_why():
    said = lines(answer())
    assert said[0] == (
        "generation 7 · 100.0 requests/s · 2 % errors · p50 2 ms, p99 1.5 s · 0 in flight · 7 connections"
    )
    assert [line.split()[0] for line in said[2:]] == [
        "shop", "10.0.0.3:80", "10.0.0.2:80", "10.0.0.4:80", "api", "10.0.0.1:80", "empty",
    ]  # fmt: skip
    assert said[2].split()[1:3] == ["2/3", "up"]
    assert said[4].endswith("check: HTTP 503")
    assert "no server" in said[-1]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("s", ["shop", "10.0.0.3", "10.0.0.2", "10.0.0.4", "api", "10.0.0.1", "empty"]),
        ("ss", ["api", "10.0.0.1", "empty", "shop", "10.0.0.4", "10.0.0.2", "10.0.0.3"]),
        ("sss", ["api", "10.0.0.1", "empty", "shop", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
        ("f", ["shop", "10.0.0.3", "10.0.0.2"]),
        ("f/api", []),
        ("/SHOP", ["shop", "10.0.0.3", "10.0.0.2", "10.0.0.4"]),
        ("/0.4", ["shop", "10.0.0.4"]),
        ("/0.4x\x7f\nf", []),
        ("/0.3\nf", ["shop", "10.0.0.3"]),
        ("/0.4\x1bf", ["shop", "10.0.0.3", "10.0.0.2"]),
    ],
)
def test_sort_and_filter(keys, found):
    assert names(keys) == found


def test_keys():
    assert pressed(Wish(), "q") is None
    assert wished("/q").text == "q"
    assert wished("ssss") == Wish() == wished("x")
    assert len(wished("/" + "a" * 500 + "\x00").text) == 100


def test_what_does_not_fit_is_counted():
    said = lines(answer(), size=(120, 6))
    assert len(said) == 6
    assert said[-1] == "… 5 more rows"
    assert len(lines(answer(), size=(120, 10))) == 10
    assert "more" not in lines(answer(), size=(120, 10))[-1]
    narrow = lines(answer(), width=60, size=(60, 9), trouble="gone" * 30)
    assert len(narrow) == 9
    assert max(map(len, narrow)) <= 60
    assert len(lines(answer(), size=(120, 1))) <= 4


@pytest.mark.parametrize(
    ("errors", "said"), [(0.0, "0 %"), (0.04, "0.04 %"), (33.3, "33 %"), (99.7, "100 %"), (100.0, "100 %")]
)
def test_a_share_is_a_plain_number(errors, said):
    found = answer(services=[service("a", rate=100.0, errors=errors)], servers=[])
    assert f" {said} " in lines(found)[2]


def test_rates_errors_and_times_fit_80_columns():
    total = {**FIGURES, "rate": 1234.5, "errors": 2.0, "p50": 0.000375, "p99": 0.0245}
    assert (
        "1234.5 requests/s · 0.16 % errors · p50 0.375 ms, p99 24.5 ms"
        in lines(answer(generation=12, total=total), width=80, size=(80, 24))[0]
    )


BUSY = {"rate": 12345.6, "errors": 33.0, "p50": 0.000375, "p99": 0.000999, "in_flight": 12000}


@pytest.mark.parametrize("columns", [60, 66, 79, 80, 90, 120])
def test_a_name_gives_way_and_never_a_figure(columns):
    found = answer(
        services=[service("a-service-with-a-very-long-name-indeed", **BUSY)],
        servers=[
            server("a-service-with-a-very-long-name-indeed", "host.of.a.long.name.example:8080", **BUSY,
                   status="maintenance", reasons=["order: new disk, and more " * 9])
        ],
    )  # fmt: skip
    heads, *rows = lines(found, width=columns, size=(columns, 24))[2:]
    figures = ["12345.6", "0.27", "%", "0.375", "ms", "0.999", "ms"]
    assert heads.split()[:6] == ["server", "status", "rate", "errors", "p50", "p99"]
    assert ("in flight" in heads, "why" in heads) == (columns >= 80,) * 2
    assert rows[0].split()[1:10] == ["0/1", "up", *figures]
    assert rows[1].split()[1:9] == ["maintenance", *figures]
    assert rows[0].startswith("a-service-wi") and rows[1].startswith("  host.of")
    assert max(map(len, rows)) <= columns


def test_where_it_cannot_be_read_it_says_so_in_one_line():
    assert lines(answer(), width=30, size=(30, 24)) == ["needs 60 columns, has 30"]
    assert lines(answer(), width=59, size=(59, 24), trouble="gone") == ["needs 60 columns, has 59"]


def test_names_steer_nothing():
    evil = "\x1b[2J[red]x[/red]\n\u202e"
    found = answer(
        services=[service(evil)],
        servers=[server(evil, "a" + evil, status=evil, reasons=[evil])],
    )
    text = "\n".join(lines(found, wished("/x"), width=400, trouble=evil, size=(120, 20)))
    assert "\x1b" not in text and "\u202e" not in text
    assert text.count(r"\x1b[2J[red]x[/red]\n\u202e") == 5


class Admin(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Answering)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.shown = shown()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()


class Answering(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        assert self.path == "/api/v1/live"
        body = json.dumps(self.server.shown).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def admin():
    with socket.socket() as held:  # the port stays its own while it is away
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        found = Admin(held.getsockname()[1])
        yield found
        found.end()


class Terminal:
    """`lb top` on a terminal of 24 lines."""

    def __init__(self, url, *words, columns=100):
        self.end_of_it, its = pty.openpty()
        self.size(columns, 24)
        self.before = termios.tcgetattr(its)
        self.its = its
        env = {name: v for name, v in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [*PYTHON, "top", "--admin", url, *words], cwd=ROOT, stdin=its, stdout=its, stderr=its,
            env={**env, "TERM": "xterm", "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        self.said = ""

    def size(self, columns, rows):
        fcntl.ioctl(self.end_of_it, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        self.said = ""
        os.write(self.end_of_it, keys.encode())

    def until(self, expression, seconds=15.0):
        end = time.monotonic() + seconds
        while not (found := re.search(expression, self.said, re.DOTALL)):
            assert time.monotonic() < end, f"no {expression!r} in {self.said[-3000:]!r}"
            if select.select([self.end_of_it], [], [], 0.05)[0]:
                self.said += os.read(self.end_of_it, 65536).decode(errors="replace")
        return found

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)
        for one in (self.end_of_it, self.its):
            with contextlib.suppress(OSError):
                os.close(one)


@pytest.fixture
def terminal(admin):
    found = Terminal(admin.url)
    yield found
    found.close()


def test_a_terminal(admin, terminal):
    terminal.until(r"\x1b\[\?1049h.*sort: rate.*shop.*empty")
    terminal.press("s")
    terminal.until(r"sort: errors")
    terminal.press("\x1b[A")  # an arrow changes nothing
    terminal.press("/api\r")
    terminal.until(r"filter: api")
    assert "failing only" not in terminal.said
    terminal.press("\x1b")
    terminal.until(r"filter\W.*shop")
    terminal.press("f")
    terminal.until(r"failing only")
    terminal.said = ""
    terminal.size(60, 5)
    terminal.until(r"… 2 more rows")
    terminal.size(30, 20)
    terminal.until(r"needs 60 columns, has 30")
    terminal.size(60, 5)
    admin.shown = shown(generation=8)
    terminal.until(r"generation 8 ")

    port = admin.server_address[1]
    admin.end()
    terminal.until(r"for \ds, trying again: ")
    again = Admin(port)
    try:
        again.shown = shown(generation=9)
        terminal.until(r"generation 9 ")
        terminal.press("q")
        assert terminal.process.wait(5) == 0
    finally:
        again.end()
    terminal.until(r"\x1b\[\?1049l")
    assert termios.tcgetattr(terminal.its) == terminal.before


def test_a_signal_leaves_the_terminal_as_it_was(terminal):
    terminal.until(r"sort: rate")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(5) == 143
    terminal.until(r"\x1b\[\?1049l")
    assert termios.tcgetattr(terminal.its) == terminal.before


def test_once_on_a_narrow_terminal_all_is_printed(admin):
    found = Terminal(admin.url, "--once", columns=30)
    try:
        found.until(r"7 connections.*10\.0\.0\.2:80.*check: HTTP 503.*no server")
        assert found.process.wait(5) == 0
    finally:
        found.close()


def lb(url, *words):
    return subprocess.run(
        [*PYTHON, "top", "--admin", url, *words],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_over_a_pipe_once(admin):
    admin.shown["servers"][1]["reasons"] = ["check: " + "x" * 300]
    done = lb(admin.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "q quit" not in done.stdout
    assert done.stdout.splitlines()[0].startswith("generation 7")
    assert "x" * 300 in done.stdout
    assert json.loads(lb(admin.url, "--json").stdout) == admin.shown


def test_another_lb_and_none(admin, free_port):
    admin.shown = {"generation": "x"}
    done = lb(admin.url, "--once")
    assert done.returncode == 4
    assert "is it another one?" in done.stderr
    done = lb(f"http://127.0.0.1:{free_port}")
    assert done.returncode == 4
    assert "is lb running" in done.stderr
