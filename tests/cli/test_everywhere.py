"""`lb servers … --everywhere` against an admin API that the test plays: what is named, what is said."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from lb.cli.orders import Order, give, lift, show

HELD = {
    "mode": "drain", "weight": None, "author": "ben", "reason": "disk", "since": "x", "until": None,
    "number": 7,
}  # fmt: skip
PATH = "/api/v1/services/app/servers/a%3A1/override"


class Answering(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.say({"servers": [self.shown()], "everywhere": self.server.sure})

    def do_PUT(self):
        self.ordered(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_DELETE(self):
        self.ordered(None)

    def ordered(self, body):
        self.server.asked.append((self.command, self.path, self.headers["If-Match"], body))
        if self.server.refuses:
            return self.say({"error": "x", "message": "because"}, self.server.refuses)
        layer = "everywhere" if "/everywhere" in self.path else "override"
        self.server.layers[layer] = body and {**HELD, **body, "weight": body["weight"] and 0.5, "number": 8}
        return self.say({**self.shown(), "saved": True})

    def shown(self):
        return {
            "service": "app", "address": "a:1", "status": "up", "in_flight": 0, "connections": {"busy": 0},
            "layers": {"file": None, "discovery": None, **self.server.layers},
        }  # fmt: skip

    def say(self, data, status=200):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(data).encode())


@pytest.fixture
def admin():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.layers, server.asked, server.refuses = {"override": None, "everywhere": None}, [], 0
    server.sure = {"number": 7, "age": 0.1, "error": "", "trouble": ""}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def order(admin, mode=None, weight=None, everywhere=True):
    return Order(admin.url, "app/a:1", mode, weight, "", "", "ann", everywhere)


def test_the_first_takes_the_place_of_none(admin, capsys):
    assert give(order(admin, "drain")) == 0
    ((method, path, base, body),) = admin.asked
    assert (method, path, base) == ("PUT", f"{PATH}/everywhere", '"0"')
    assert (body["mode"], body["author"]) == ("drain", "ann")
    assert "app/a:1, everywhere: drain by ann" in capsys.readouterr().out


def test_the_next_names_what_it_takes_the_place_of_and_keeps_what_it_does_not_speak_of(admin, capsys):
    admin.layers["everywhere"] = HELD
    assert give(order(admin, weight="50%")) == 0
    assert admin.asked[0][2] == '"7"' and admin.asked[0][3]["mode"] == "drain"
    assert "in place of: drain by ben: disk" in capsys.readouterr().out
    assert lift(order(admin)) == 0
    assert admin.asked[1][:3] == ("DELETE", f"{PATH}/everywhere?author=ann", '"8"')
    assert "nothing is ordered" in capsys.readouterr().out


def test_one_of_this_node_alone_leaves_it_and_says_so(admin, capsys):
    admin.layers["everywhere"] = HELD
    assert give(order(admin, "up", everywhere=False)) == 0
    assert admin.asked[0][1:3] == (PATH, None)
    said = capsys.readouterr().out
    assert "also ordered everywhere: drain by ben: disk; the more cautious one holds" in said


@pytest.mark.parametrize(("status", "code"), [(409, 6), (503, 4), (404, 2)])
def test_why_not_is_said(admin, capsys, status, code):
    admin.refuses = status
    assert give(order(admin, "drain")) == code
    assert "because" in capsys.readouterr().err


def test_the_list_shows_both_and_how_old_they_are(admin, capsys):
    admin.layers["everywhere"] = HELD
    assert show(admin.url, "", False) == 0
    found = capsys.readouterr()
    assert "ordered everywhere: drain by ben: disk" in found.out and found.err == ""
    admin.sure = {"number": 7, "age": 12.0, "error": "etcd: no answer", "trouble": "orders 2 were seen"}
    assert show(admin.url, "", False) == 0
    said = capsys.readouterr().err
    assert "last heard 12s ago: etcd: no answer" in said and "orders 2 were seen" in said
