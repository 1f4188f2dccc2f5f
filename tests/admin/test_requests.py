"""What happened to requests: the list, those of one id, the words where there is none."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from lb.admin.app import make_app
from lb.control.tails import MOST
from lb.decisions import Select
from lb.outcomes import Outcome
from lb.telemetry import layout
from lb.telemetry.decision import Attempt, Decision, Kept

STREAM = {"Accept": "text/event-stream"}
FAILED = Decision(
    90.5, 90.0, "one", "192.0.2.7", "web", "api", "app", "b:1", "GET", "h", "/v1/x", "HTTP/1.1", 502, 0, 9,
    0.5, -1.0, -1.0, -1.0, "SR", int(Outcome.SERVER_RESET), int(Select.TURN), 7, 1,
    int(Kept.FAILED | Kept.SLOW),
    (
        Attempt("a:1", 0.0, 0.1, 0, "SC", int(Select.TURN)),
        Attempt("b:1", 0.1, 0.4, 0, "SR", int(Select.ALL_TRIED), "budget", True),
    ),
)  # fmt: skip
GOOD = Decision(
    91.0, 90.9, "two", "192.0.2.8", "web", "api", "app", "a:1", "GET", "h", "/v2/y", "HTTP/1.1", 200, 0, 2,
    0.1, 0.05, 0.01, -1.0, "--", 0, int(Select.TURN), 7, 0, int(Kept.SAMPLE),
)  # fmt: skip


@pytest.fixture(autouse=True)
def kept(control):
    control.decisions.take([FAILED, GOOD])


def test_the_list_has_the_newest_first(ask):
    found = ask("GET", "/api/v1/requests").json()
    assert [one["request_id"] for one in found["requests"]] == ["two", "one"]
    assert (found["kept"], found["dropped"]) == (2, 0)
    assert found["requests"][0]["connect"] == 0.01 and found["requests"][0]["queue"] is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("condition=failed", ["one"]),
        ("condition=failed%3Dserver", ["one"]),
        ("condition=failed%3Dclient", []),
        ("condition=status%3D2xx%20path%3D/v2/", ["two"]),
        ("condition=slower%3D400ms", ["one"]),
        ("condition=route%3Dother", []),
        ("limit=1", ["two"]),
    ],
)
def test_conditions(ask, query, ids):
    found = ask("GET", f"/api/v1/requests?{query}").json()["requests"]
    assert [one["request_id"] for one in found] == ids


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "expected 1 to 1000"),
        ("limit=1001", "expected 1 to 1000"),
        ("limit=" + "9" * 5000, "expected 1 to 1000"),
        ("limit=%C2%B2", "expected 1 to 1000"),
        ("condition=rute%3Da", "did you mean route?"),
    ],
)
def test_a_question_that_makes_no_sense(ask, query, words):
    reply = ask("GET", f"/api/v1/requests?{query}")
    assert reply.status == 400 and words in reply.json()["message"]


def test_one_id_with_its_attempts(ask):
    (one,) = ask("GET", "/api/v1/requests/one").json()["requests"]
    assert (one["outcome"], one["reason"], one["kept"]) == ("server_reset", "turn", ["failed", "slow"])
    assert [(a["server"], a["flag"], a["reason"]) for a in one["attempts"]] == [
        ("a:1", "SC", "turn"), ("b:1", "SR", "all_tried"),
    ]  # fmt: skip
    assert one["attempts"][1]["word"] == "budget" and one["attempts"][1]["reused"]


def test_an_id_that_a_client_sent_twice(control, ask):
    control.decisions.take([FAILED])
    assert len(ask("GET", "/api/v1/requests/one").json()["requests"]) == 2


def test_an_id_of_which_nothing_is_kept(control, ask):
    control.cells.add(layout.WORKER_DECISIONS_DROPPED, 3)
    for unknown in ("on", "api", "%FF", "a%2Fb"):  # a part of one, another field, no UTF-8
        reply = ask("GET", f"/api/v1/requests/{unknown}")
        assert reply.status == 404
        said = reply.json()["message"]
        assert "kept are failed ones, those of 1s or more, a sample of 1% of all" in said
        assert "the last 2, back to 1970-01-01T00:01:30.500Z" in said and "3 were too many at a time" in said


def test_a_stream_shows_what_ends_and_what_it_left_out(control):
    async def go():
        async with TestServer(make_app(control)) as server, ClientSession() as session:
            url = server.make_url("/api/v1/requests?condition=failed&rate=1")
            streams = [await session.get(url, headers=STREAM) for _ in range(MOST)]
            first = streams[0].content
            assert await first.readuntil(b"\n\n") == b": lb\n\n"
            control.tails.take([replace(FAILED, tails=(1,))] * 3, {1: 2})
            shown = [await first.readuntil(b"\n\n") for _ in range(2)]
            too_many = await session.get(url, headers=STREAM)
            for stream in streams:
                stream.close()
            return shown, too_many.status

    (request, more), status = asyncio.run(go())
    assert request.startswith(b"event: request\ndata: ")
    assert json.loads(request.partition(b"data: ")[2])["request_id"] == "one"
    assert more == b'event: left_out\ndata: {"count":4}\n\n'
    assert status == 503
    assert control.watched[0][0].rate == 1 and control.watched[-1] == (), "all are closed with the server"


def test_a_stream_with_a_wrong_condition_is_refused(ask):
    assert ask("GET", "/api/v1/requests?condition=status%3D9", headers=STREAM).status == 400
