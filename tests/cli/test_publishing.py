"""`lb cluster` against an admin API that the test plays: words, exit codes, the wait."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from lb.cli import publishing
from lb.cli.admin import CANNOT_RUN, USAGE
from lb.cli.publishing import NOT_DONE, OK, OVERTAKEN, PROBLEMS, Signed

HEAD = {
    "revision": 3,
    "epoch": 2,
    "digest": "d",
    "size": 1,
    "pieces": 1,
    "author": "ada",
    "message": "why",
    "at": 0.0,
    "previous": 2,
    "restores": 1,
}


def node(name, revision, **more):
    return {
        "node": name,
        "revision": revision,
        "epoch": 2,
        "generation": 4,
        "at": 0.0,
        "refused": 0,
        "error": "",
        "age": 1.0,
        **more,
    }


class Admin(http.server.ThreadingHTTPServer):
    """`looks`: the nodes at each look, the last one again and again; `said`: status and body of an order."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.looks = [[node("lb-1", 3)]]
        self.status = {
            "name": "front",
            "node": "lb-1",
            "role": "leader",
            "leader": {"node": "lb-1", "epoch": 2},
            "engine": {"name": "etcd", "reachable": True, "age": 0.1, "error": ""},
            "published": HEAD,
            "running": {"revision": 0},
            "trouble": "",
            "rollout": None,
        }
        self.said = (200, {"revision": 4, "message": ""})
        self.age = 0.0
        self.document = "routes: {}\n"
        self.orders = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def say(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        it = self.server
        if self.path == "/api/v1/cluster":
            nodes = it.looks.pop(0) if len(it.looks) > 1 else it.looks[0]
            self.say(200, {**it.status, "nodes": nodes})
        elif self.path == "/api/v1/cluster/history":
            self.say(200, {"revisions": [HEAD] if it.status["published"] else [], "age": it.age})
        elif self.path.startswith("/api/v1/cluster/diff/"):
            self.say(200, b"--- a\n+++ b\n+new\n")
        elif self.path == "/api/v1/cluster/revisions/3":
            self.say(200, it.document.encode())
        else:
            self.say(404, {"error": "no_such_revision", "message": "there is no revision 9 (any more)"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.query = self.path.partition("?")[2]
        self.server.orders.append((self.path.partition("?")[0], self.headers.get("If-Match"), body))
        self.say(*self.server.said)


@pytest.fixture
def admin(monkeypatch):
    monkeypatch.setattr(publishing, "STEP", 0.01)
    server = Admin()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def push(admin, tmp_path, capsys):
    def order(text="routes: {}\n", base="", timeout=""):
        file = tmp_path / "shared.yaml"
        file.write_bytes(text.encode())
        code = publishing.push(Signed(admin.url, "ada", "why"), file, base, {}, timeout)
        return code, "".join(capsys.readouterr())

    return order


@pytest.mark.parametrize(
    "text, base, given",
    [
        ("routes: {}\n", "3", '"3"'),
        ("routes: {}\n", "current", "*"),
        ("# lb cluster revision 2\nroutes: {}\n", "", '"2"'),
        ("# lb cluster revision 2\r\nroutes: {}\n", "", '"2"'),
        ("# lb cluster revision 2\nroutes: {}\n", "3", '"3"'),
        ("# lb cluster revision 2", "", '"2"'),
    ],
)
def test_what_a_document_was_made_from(push, admin, text, base, given):
    assert push(text, base) == (OK, "revision 4 is published\n")
    assert admin.orders == [("/api/v1/cluster/push", given, text.encode())]


@pytest.mark.parametrize(
    "text", ["routes: {}\n", "# lb cluster revision 2 was bad\n", "a: 1\n# lb cluster revision 2\n"]
)
def test_a_document_of_which_nobody_knows_is_refused(push, admin, text):
    code, said = push(text)
    assert code == USAGE and "--base 3 if you have seen it" in said and admin.orders == []
    admin.status["published"] = None
    assert push(text)[0] == OK
    assert admin.orders[0][1] == '"0"'


@pytest.mark.parametrize("base", ["three", "-1", "1" * 19, "*"])
def test_a_base_that_is_none(push, admin, base):
    assert push(base=base)[0] == USAGE and admin.orders == []


@pytest.mark.parametrize(
    "status, error, code",
    [
        (409, "conflict", OVERTAKEN),
        (422, "invalid_configuration", PROBLEMS),
        (503, "no_leader", CANNOT_RUN),
        (503, "engine_away", CANNOT_RUN),
        (503, "late", CANNOT_RUN),
        (404, "corrupt", USAGE),
        (428, "bad", USAGE),
    ],
)
def test_what_is_refused_has_an_exit_code(push, admin, status, error, code):
    problem = {"file": "a.yaml", "line": 3, "column": 0, "path": "routes", "message": "no"}
    admin.said = (status, {"error": error, "message": "because", "problems": [problem]})
    found, said = push(base="3")
    assert found == code and "a.yaml:3: routes: no" in said and "because" in said


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'"text"', b"{}"])
def test_what_is_no_lb_is_told_and_no_bug(push, admin, body):
    admin.said = (502, body)
    code, said = push(base="3")
    assert code == CANNOT_RUN and "answered 502" in said


def test_a_push_to_some_nodes_says_how_it_went(admin, tmp_path, capsys, monkeypatch):
    file = tmp_path / "shared.yaml"
    file.write_text("routes: {}\n")
    tried = {"first": "one", "watch": "1s", "requests": "0"}
    signed = Signed(admin.url, "ada", "why")
    assert publishing.push(signed, file, "3", tried, "") == OK
    assert "is tried on one" in capsys.readouterr().out
    assert all(f"{name}={value}" in admin.query for name, value in tried.items()), admin.query
    followed = []
    monkeypatch.setattr(
        publishing, "follow", lambda ask, revision, limit: followed.append((revision, limit)) or 5
    )
    assert publishing.push(signed, file, "3", tried, "10s") == 5
    assert followed == [(4, 11.0)]


def test_nobody_there(admin, push, tmp_path):
    admin.url = "http://127.0.0.1:1"
    assert push(base="3")[0] == CANNOT_RUN
    admin.url = "127.0.0.1:1"
    assert push(base="3")[0] == USAGE


def test_the_wait_ends_when_all_run_it(push, admin):
    admin.said = (200, {"revision": 3, "message": ""})
    admin.looks = [
        [node("lb-1", 2), node("lb-2", 2)],
        [node("lb-1", 3), node("lb-2", 2)],
        [node("lb-1", 3), node("lb-2", 4)],
    ]
    code, said = push(base="2", timeout="5s")
    assert code == OK
    assert said.splitlines() == [
        "revision 3 is published",
        *(f"{n} of 2 nodes run revision 3" for n in range(3)),
    ]


def test_the_wait_is_over_when_a_node_refuses_or_the_time_is_up(push, admin):
    admin.said = (200, {"revision": 3, "message": ""})
    admin.looks = [[node("lb-1", 3), node("lb-2", 2, refused=3, error="the address is taken")]]
    code, said = push(base="2", timeout="10s")
    assert code == NOT_DONE and "lb-2 runs revision 2: the address is taken" in said
    admin.looks = [[node("lb-1", 2)]]
    code, said = push(base="2", timeout="50ms")
    assert code == NOT_DONE and "lb-1 runs revision 2: waiting" in said
    admin.looks = [[]]
    assert push(base="2", timeout="50ms")[0] == NOT_DONE, "nobody runs it"


def test_a_node_that_is_silent_is_not_waited_for(push, admin):
    admin.said = (200, {"revision": 3, "message": "it is in force already"})
    admin.looks = [[node("lb-1", 3), node("dead", 1, age=61.0)]]
    code, said = push(base="2", timeout="5s")
    assert code == OK and "revision 3: it is in force already" in said and "1 of 1 nodes" in said


def test_a_time_that_is_none(push, admin):
    assert push(base="3", timeout="soon")[0] == USAGE and admin.orders == []


def test_show_puts_one_first_line_and_touches_no_other(admin, capsys):
    rest = "a: 1\n# lb cluster revision 9 was bad\n# lb cluster revision 8\n"
    for text in (rest, f"# lb cluster revision 2\n{rest}"):
        admin.document = text
        assert publishing.show(admin.url, 0) == OK
        assert capsys.readouterr().out == f"# lb cluster revision 3\n{rest}"
    assert publishing.show(admin.url, 9) == USAGE
    assert "no revision 9" in capsys.readouterr().err
    admin.status["published"] = None
    assert publishing.show(admin.url, 0) == USAGE
    assert "nothing is published yet" in capsys.readouterr().err
    admin.status |= {"running": {"revision": 3}, "trouble": "the store has no revision"}
    assert publishing.show(admin.url, 0) == USAGE
    assert "the store has no revision; lb-1 keeps its document" in capsys.readouterr().err


def test_status_in_words(admin, capsys):
    admin.looks = [[node("lb-1", 3), node("lb-2", 0, age=90.0), node("lb-3", 2, error="no room")]]
    assert publishing.status(admin.url, False) == OK
    said = capsys.readouterr().out
    for words in (
        "front: lb-1 is leader; engine etcd",
        "leader: lb-1, epoch 2",
        "published: revision 3 (epoch 2) by ada at 1970-01-01T00:00:00Z, revision 1 again: why",
        "lb-2: its own file, generation 4, silent for 90s",
        "    no room",
    ):
        assert words in said
    admin.status |= {"leader": None, "published": None, "trouble": "the store says revision 1"}
    admin.status["engine"] = {"name": "etcd", "reachable": False, "age": None, "error": "refused"}
    assert publishing.status(admin.url, False) == OK
    said = capsys.readouterr().out
    for words in (
        "leader: none",
        "last: never",
        "nothing can be published",
        "the store says revision 1",
        "published: nothing; every node runs its own file",
    ):
        assert words in said
    assert publishing.status(admin.url, True) == OK
    assert json.loads(capsys.readouterr().out)["name"] == "front"


def test_a_history_that_was_read_before_says_its_age(admin, capsys):
    publishing.history(admin.url, False)
    assert capsys.readouterr().err == ""
    admin.age = 12.3
    assert publishing.history(admin.url, False) == OK
    said = capsys.readouterr()
    assert "this was read 12.3s ago" in said.err and said.out.startswith("revision 3")


def test_history_diff_rollback_and_resign(admin, capsys):
    assert publishing.history(admin.url, False) == OK
    assert capsys.readouterr().out.startswith("revision 3 (epoch 2) by ada")
    assert publishing.history(admin.url, True) == OK
    assert json.loads(capsys.readouterr().out)["revisions"] == [HEAD]
    assert publishing.diff(admin.url, 1, 2) == OK
    assert capsys.readouterr().out == "--- a\n+++ b\n+new\n"
    signed = Signed(admin.url, "", "")
    assert publishing.rollback(signed, 2, "") == OK
    admin.said = (200, {"revision": 0, "message": ""})
    assert publishing.resign(signed) == OK
    assert "lb-1 resigned" in capsys.readouterr().out
    admin.said = (503, {"error": "no_leader", "message": "no leader took it"})
    assert publishing.resign(signed) == CANNOT_RUN
    admin.status["published"] = None
    assert publishing.history(admin.url, False) == OK
    assert "nothing is published yet" in capsys.readouterr().out
