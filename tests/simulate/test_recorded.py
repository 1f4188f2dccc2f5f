"""A load out of an access log: what is read, what is refused."""

from __future__ import annotations

import json

import pytest

from lb.simulate.load import LoadError, drawn
from lb.simulate.recorded import MOST_LINE, recorded
from lb.telemetry.accesslog import compile_format
from lb.telemetry.record import ExchangeRecord
from tests.simulate.making import plan, run, tell


def line(second=1.0, duration=0.5, **more):
    fields = {
        "time": f"2026-01-01T00:00:{second:06.3f}Z", "client": "10.0.0.9", "service": "app", "method": "GET",
        "host": "x", "target": "/", "duration": duration, "ttfb": duration,
    }  # fmt: skip
    return json.dumps({**fields, **more}).encode() + b"\n"


def test_a_request_begins_its_duration_before_its_line_and_takes_its_ttfb():
    load = recorded([line(5.0, 1.0, ttfb=0.25), line(4.5, 2.5)], "app").load
    assert list(load.at) == pytest.approx([0.0, 2.0])
    assert list(load.seconds) == [2.5, 0.25]
    assert load.seconds_long == pytest.approx(2.0)


def test_the_lines_that_lb_writes_are_read():
    record = ExchangeRecord()
    record.time, record.duration, record.ttfb = 1735787045.25, 0.5, 0.25
    record.client, record.service = "192.0.2.17", b"app"
    record.method, record.target, record.host = b"GET", b"/users?id=1", b"example.com"
    reading = recorded([compile_format("json").line(record)] * 2, "app")
    assert (reading.bad, reading.sampled, list(reading.load.seconds)) == (0, 0, [0.25, 0.25])
    assert reading.load.senders == [("192.0.2.17", b"GET /users?id=1 HTTP/1.1\r\nhost: example.com\r\n\r\n")]


def test_fields_that_the_log_leaves_out_are_not_needed():
    bare = b'{"time":"2026-01-01T00:00:00Z","service":"app","duration":0.5}'
    reading = recorded([bare], "app")
    assert (reading.bad, len(reading.load)) == (0, 1)


def test_without_an_answer_the_duration_counts():
    bare = json.loads(line(3.0, 0.5))
    del bare["ttfb"]
    assert list(recorded([json.dumps(bare).encode()], "app").load.seconds) == [0.5]


@pytest.mark.parametrize(
    "bad",
    [
        b"\n", b"no json\n", b"[]\n", b'{"time":"2026-01-01T00:00:00Z"}\n', line(duration=-1),
        line(duration=1e9), line(time="yesterday"), line(time="2026-01-01T00:00:00"), line(sample=0),
        line(ttfb="1"), line(service=None), line(target="/" * MOST_LINE), b"\xff\n",
        line().replace(b"0.5", b"NaN"),
    ],
)  # fmt: skip
def test_lines_that_are_none_are_counted(bad):
    reading = recorded([bad, line()], "app")
    assert (reading.bad, len(reading.load)) == (1, 1)


def test_other_services_and_samples_are_counted():
    reading = recorded([line(service="next"), line(sample=0.1), line()], "app")
    assert (reading.others, reading.sampled, len(reading.load)) == (1, 1, 2)
    with pytest.raises(
        LoadError,
        match=r"no line .* service app \(1 to other services, 1 that are none of a JSON access log\)",
    ):
        recorded([line(service="next"), b"x"], "app")


def test_keys_are_those_that_the_service_would_hash():
    lines = [line(at / 100, 0.001, target=f"/{at % 7}?n={at}", client=f"10.0.0.{at}") for at in range(1, 200)]
    load = recorded(lines, "app").load
    by_path = plan(algorithm="consistent_hash", key="path")
    found = run(load, "consistent_hash", 10, by_path)
    assert (found.known, found.kept) == (199 - 7, 199 - 7)
    # a head that no client could send has no key
    odd = recorded([line(target="no target")] * 3, "app").load
    assert tell(odd, "consistent_hash", 10, by_path).kept is None


def test_all_algorithms_get_the_requests_of_the_log():
    load = recorded([line(at / 10, 0.05) for at in range(1, 100)], "app").load
    for name in ("round_robin", "ewma"):
        assert sum(server.requests for server in tell(load, name).servers) == 99


def test_a_load_of_nothing_or_of_too_much():
    with pytest.raises(LoadError, match=r"no request comes within 0\.001 s"):
        drawn(0.001, 0.001, 0.01, seed=1)
    with pytest.raises(LoadError, match="more than 10,000,000: ask for fewer"):
        drawn(1e7, 2, 0.01, seed=1)
