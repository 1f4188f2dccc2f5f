"""`lb servers` and `lb events` against an admin API that the test plays."""

from __future__ import annotations

import copy
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from urllib.parse import unquote

import pytest

from lb.cli.orders import ordered
from tests.cli.conftest import PYTHON, ROOT, Process


def server(service, address, **more):
    return {
        "service": service,
        "address": address,
        "status": "up",
        "reasons": [],
        "weight_factor": 1.0,
        "layers": {
            "file": {"weight": 4, "backup": False, "priority": 0},
            "discovery": None,
            "override": None,
        },
        "in_flight": 0,
        "connections": {"idle": 0, "busy": 0, "connecting": 0, "queued": 0},
        **more,
    }


class Admin(http.server.ThreadingHTTPServer):
    """`servers` are shown; orders are remembered and put in their place; `left`: in_flight for each look."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.servers = [server("app", "a:1"), server("app", "unix:/run/b"), server("a/pp", "a:1")]
        self.orders = []
        self.left = [0]
        self.streams = []  # of each connection: the bytes, after which it ends
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def say(self, data, status=200, kind="application/json"):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        admin = self.server
        admin.asked.append((self.path, self.headers.get("Last-Event-ID")))
        if self.path.startswith("/api/v1/events"):
            if "text/event-stream" in self.headers.get("Accept", ""):
                self.say(admin.streams.pop(0) if admin.streams else b"", kind="text/event-stream")
            else:
                self.say({"events": [event(1), event(2)]})
            return
        shown = copy.deepcopy(admin.servers)
        if "address=" in self.path:
            left = admin.left.pop(0) if len(admin.left) > 1 else admin.left[0]
            shown = [{**shown[0], "in_flight": left}]
        self.say({"servers": shown})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["for"] == "soon":
            self.say({"error": "bad_request", "message": 'found "soon"'}, 400)
            return
        until = body["for"] and "2026-01-31T12:00:00.000Z"
        held = {**body, "weight": body["weight"] and 0.5, "since": "then", "until": until}
        self.order("PUT", body, held)

    def do_DELETE(self):
        self.order("DELETE", None, None)

    def order(self, method, body, held):
        self.server.orders.append((method, unquote(self.path), body))
        self.say({**server("app", "a:1"), "layers": {"file": None, "override": held}, "saved": True})


def event(number):
    return {
        "number": number, "at": "2026-01-31T03:12:45.123Z", "kind": "server_down", "reason": "check",
        "service": "app", "server": "a:1", "text": f"connect refused, {number}", "facts": {},
    }  # fmt: skip


@pytest.fixture
def admin():
    found = Admin()
    yield found
    found.shutdown()
    found.server_close()


def lb(admin, *words):
    return subprocess.run(
        [*PYTHON, *words, "--admin", getattr(admin, "url", admin)],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "LOGNAME": "anna", "SUDO_USER": ""},
    )  # fmt: skip


def test_the_list_shows_status_work_and_reasons(admin):
    admin.servers[0] |= {"status": "down", "reasons": ["check: HTTP 503"], "in_flight": 1}
    admin.servers[1] |= {"weight_factor": 0.5}
    admin.servers[1]["layers"]["override"] = {
        "mode": "auto", "weight": 0.5, "author": "ben", "reason": "new disk", "since": "x", "until": None,
    }  # fmt: skip
    done = lb(admin, "servers", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["app/a:1", "down"]
    assert "1 exchange, 0 connections in use" in lines[0]
    assert "check: HTTP 503" in lines[1]
    assert "weight 2," in lines[2]
    assert "ordered: weight 50% by ben: new disk" in lines[3]


def test_the_list_of_one_service_and_as_json(admin):
    done = lb(admin, "servers", "list", "a/pp", "--json")
    assert [one["service"] for one in json.loads(done.stdout)] == ["a/pp"]
    done = lb(admin, "servers", "list", "ap")
    assert done.returncode == 2
    assert "did you mean app?" in done.stderr


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (["maintenance", "app/a:1"], "app/servers/a:1", {"mode": "maintenance"}),
        (["up", "app/unix:/run/b"], "app/servers/unix:/run/b", {"mode": "up"}),
        (["weight", "a/pp/a:1", "50%"], "a/pp/servers/a:1", {"mode": "auto", "weight": "50%"}),
        (
            ["drain", "app/a:1", "--no-wait", "--for", "30m", "--reason", "deploy", "--author", "ben"],
            "app/servers/a:1",
            {"mode": "drain", "for": "30m", "reason": "deploy", "author": "ben"},
        ),
    ],
)
def test_orders_name_the_server_exactly(admin, words, path, body):
    done = lb(admin, "servers", *words)
    assert (done.returncode, done.stderr) == (0, "")
    (given,) = admin.orders
    wanted = {"weight": None, "reason": "", "for": None, **body}
    assert given[:2] == ("PUT", f"/api/v1/services/{path}/override")
    assert {**given[2], "author": ""} == {**wanted, "author": ""}
    assert given[2]["author"] == body.get("author", "anna")


def test_a_weight_keeps_the_drain_and_a_drain_the_weight(admin):
    admin.servers[0]["layers"]["override"] = {"mode": "drain", "weight": 0.25}
    lb(admin, "servers", "weight", "app/a:1", "50%")
    lb(admin, "servers", "maintenance", "app/a:1")
    assert [(body["mode"], body["weight"]) for _, _, body in admin.orders] == [
        ("drain", "50%"),
        ("maintenance", 0.25),
    ]


def test_clear(admin):
    done = lb(admin, "servers", "clear", "app/a:1", "--author", "b&n")
    assert done.returncode == 0
    assert admin.orders == [("DELETE", "/api/v1/services/app/servers/a:1/override?author=b&n", None)]
    assert "nothing is ordered" in done.stdout


def test_the_countdown(admin):
    admin.left = [3, 3, 1, 0, 2, 0]
    done = lb(admin, "servers", "drain", "app/a:1")
    assert done.returncode == 0
    said = [line for line in done.stdout.splitlines() if "exchange" in line]
    assert [line.split()[1] for line in said] == ["3", "1", "0", "2", "0"]
    assert done.stdout.splitlines()[-1] == "app/a:1 is drained"


def test_the_end_of_patience(admin):
    admin.left = [3]
    done = lb(admin, "servers", "drain", "app/a:1", "--timeout", "200ms")
    assert done.returncode == 5
    assert "still has 3 exchanges" in done.stderr
    assert "the drain stays in force" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["drain", "app/a:2"], 2, "did you mean app/a:1?"),
        (["drain", "app/a:1", "--timeout", "5"], 2, "5s"),
        (["drain", "app/a:1", "--for", "soon"], 2, 'found "soon"'),
        (["weight", "app/a:1"], 2, "WEIGHT"),
    ],
)
def test_what_makes_no_sense(admin, words, code, said):
    done = lb(admin, "servers", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert admin.orders == []


@pytest.mark.parametrize("words", [["servers", "list"], ["servers", "drain", "a/b"], ["events"]])
def test_nobody_there(words, free_port):
    done = lb(f"http://127.0.0.1:{free_port}", *words)
    assert done.returncode == 4
    assert "is lb running" in done.stderr
    assert lb("127.0.0.1:1", *words).returncode == 2


def test_events_that_are_kept(admin):
    done = lb(admin, "events", "--no-follow", "--after", "7")
    assert admin.asked[-1][0] == "/api/v1/events?after=7"
    assert (
        done.stdout.splitlines()[0]
        == "2026-01-31T03:12:45.123Z server_down check app/a:1: connect refused, 1"
    )
    lines = lb(admin, "events", "--no-follow", "--json").stdout.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]


def test_a_reader_that_had_enough(admin):
    words = [*PYTHON, "events", "--no-follow", "--admin", admin.url]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_events_go_on_after_the_last_one_that_was_seen(admin):
    blocks = [f"id: {n}\ndata: {json.dumps(event(n))}\n\n".encode() for n in (5, 6, 7)]
    admin.streams = [b": lb\n\n" + blocks[0] + b":\n\n" + blocks[1] + b"data: {", blocks[2]]
    process = Process(*PYTHON, "events", "--json", "--admin", admin.url)
    try:
        process.until("trying again")
        end = time.monotonic() + 10
        while len(process.output) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        process.signal(signal.SIGINT)
        assert process.wait() == 0
    finally:
        process.end()
    assert [json.loads(line)["number"] for line in process.output[:3]] == [5, 6, 7]
    assert [last for _, last in admin.asked[:2]] == [None, "6"]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            {"mode": "drain", "weight": None, "author": "anna", "until": "T", "reason": "r"},
            "drain by anna until T: r",
        ),
        ({"mode": "up", "weight": 0.125, "author": "", "until": None, "reason": ""}, "up, weight 12.5%"),
    ],
)
def test_words(override, text):
    assert ordered(override) == text


@pytest.mark.parametrize("command", ["list", "drain", "maintenance", "up", "weight", "clear"])
def test_every_command_has_help(command):
    done = subprocess.run(
        [*PYTHON, "servers", command, "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0
    assert "--admin" in done.stdout
    assert "5 not drained" in done.stdout
