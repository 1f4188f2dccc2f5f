"""Access-log lines: what they say, and that nothing from the network can break out of them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lb.decisions import Select
from lb.message import RequestHead
from lb.outcomes import TABLE
from lb.telemetry import fields
from lb.telemetry.accesslog import compile_format
from lb.telemetry.record import ExchangeRecord


def head(*lines: bytes) -> RequestHead:
    raw = b"GET / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    found = RequestHead()
    found.raw, found.lines, found.end = raw, raw.index(b"\r\n") + 2, len(raw)
    return found


def ordinary() -> ExchangeRecord:
    e = ExchangeRecord()
    e.time = 1735787045.1239
    e.client = "192.0.2.17"
    e.listener, e.route, e.service, e.server = b"web", b"api", b"app", b"10.0.0.1:8080"
    e.method, e.target, e.host = b"GET", b"/v1/users?id=1", b"api.example.com"
    e.status, e.bytes_out = 200, 1024
    e.duration, e.ttfb = 0.0012344, 1.5
    e.reason = int(Select.TURN)
    e.request_id = b"0123456789abcdef"
    e.trace_id = b"0a" * 16
    e.generation = 7
    e.head = head(b"User-Agent: curl/8.0", b"Referer: https://example.com/")
    return e


def test_json_line_of_an_ordinary_exchange():
    line = compile_format("json").line(ordinary())
    assert line.endswith(b"}\n")
    assert b": " not in line
    assert json.loads(line) == {
        "time": "2025-01-02T03:04:05.123Z",
        "client": "192.0.2.17",
        "listener": "web",
        "route": "api",
        "service": "app",
        "server": "10.0.0.1:8080",
        "method": "GET",
        "host": "api.example.com",
        "target": "/v1/users?id=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes_in": 0,
        "bytes_out": 1024,
        "duration": 0.001234,
        "ttfb": 1.5,
        "flag": "--",
        "reason": "turn",
        "request_id": "0123456789abcdef",
        "trace_id": "0a" * 16,
        "generation": 7,
    }


def test_json_line_with_everything():
    e = ordinary()
    e.attempts = [(b"10.0.0.1:8080", 0, 2.0, b"ST", b""), (b"10.0.0.2:8080", 200, 0.0000004, b"--", b"hedge")]
    e.picks = [(int(Select.TURN), 0.0, False, -1.0, b""), (int(Select.HASH), 0.5, True, -1.0, b"")]
    e.connect, e.queue, e.minor, e.upgraded = 0.0, 0.25, 0, True
    compiled = compile_format("json", sample=0.5)
    while not compiled.keeps(False, 0.0):
        pass
    found = json.loads(compiled.line(e))
    assert list(found) == list(fields.FIELDS)
    assert found["attempts"] == [
        {
            "server": "10.0.0.1:8080",
            "reason": "turn",
            "began": 0.0,
            "status": 0,
            "duration": 2.0,
            "flag": "ST",
        },
        {
            "server": "10.0.0.2:8080",
            "reason": "hash",
            "began": 0.5,
            "reused": True,
            "status": 200,
            "duration": 0.0,
            "flag": "--",
            "word": "hedge",
        },
    ]
    assert (found["connect"], found["queue"], found["upgraded"]) == (0.0, 0.25, True)
    assert found["protocol"] == "HTTP/1.0"
    e.picks[0] = (int(Select.TURN), 0.0, False, 0.25, b"")
    again = json.loads(compiled.line(e))["attempts"]
    assert again[0]["connect"] == 0.25
    page = (Path(__file__).resolve().parents[2] / "docs" / "access-log.md").read_text()
    table = page.partition("\nOf each attempt:\n\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` ", table, re.M)) == {*again[0], *again[1]}


def test_empty_record_is_a_line_too():
    e = ExchangeRecord()
    assert json.loads(compile_format("json").line(e))["status"] == 0
    assert compile_format("combined").line(e) == (
        b'- - - [01/Jan/1970:00:00:00 +0000] "- - HTTP/1.1" 0 0 "-" "-"\n'
    )


def test_record_is_used_again():
    e, compiled = ordinary(), compile_format("json")
    first = compiled.line(e)
    e.clear()
    assert compiled.line(e) == compile_format("json").line(ExchangeRecord())
    assert first == compile_format("json").line(ordinary())


def test_common_and_combined():
    assert compile_format("common").line(ordinary()) == (
        b'192.0.2.17 - - [02/Jan/2025:03:04:05 +0000] "GET /v1/users?id=1 HTTP/1.1" 200 1024\n'
    )
    assert compile_format("combined").line(ordinary()) == (
        b'192.0.2.17 - - [02/Jan/2025:03:04:05 +0000] "GET /v1/users?id=1 HTTP/1.1" 200 1024 '
        b'"https://example.com/" "curl/8.0"\n'
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${status}", "200"),
        ("cost $5 ${status}${status}$", "cost $5 200200$"),
        ("${header:X-None} ${header:USER-agent}", "- curl/8.0"),
        ("${duration} ${ttfb} ${connect}", "0.001234 1.500000 -"),
        ("${attempts}", "10.0.0.1:8080:200:1.500000:--"),
        ("ü ${flag} ${upgraded}", "ü -- -"),
        ("${reason} ${generation}", "turn 7"),
    ],
)
def test_template(template, expected):
    assert compile_format(template).line(ordinary()) == expected.encode() + b"\n"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${statsu}", r"did you mean \$\{status\}"),
        ("${status", "without a closing brace"),
        ("${header:a b}", "not a header name"),
        ("plain", "has no field"),
        ("${status}\n${status}", "one line"),
    ],
)
def test_template_that_cannot_be(template, message):
    with pytest.raises(ValueError, match=message):
        compile_format(template)


@pytest.mark.parametrize("field", [*fields.FIELDS, "time_common", "header:user-agent"])
def test_every_field_stands_in_a_template(field):
    e = ordinary()
    e.connect = e.queue = 1.0
    e.upgraded = True
    compiled = compile_format("[${" + field + "}]", sample=0.5)
    while not compiled.keeps(False, 0.0):
        pass
    line = compiled.line(e)
    assert re.fullmatch(rb"\[[^\]-][^\]]*\]\n|\[--\]\n", line), line


@pytest.mark.parametrize("field", [name for name in fields.FIELDS if name not in ("time", "sample")])
def test_every_field_can_be_left_out_of_every_format(field):
    def full() -> ExchangeRecord:
        e = ordinary()
        e.connect = e.queue = 1.0
        e.upgraded = True
        e.attempts, e.picks = [(b"10.0.0.1:80", 0, 1.0, b"SC", b"")], [(1, 0.0, False, -1.0, b"")]
        return e

    whole = json.loads(compile_format("json").line(full()))
    del whole[field]
    assert json.loads(compile_format("json", omit=[field]).line(full())) == whole
    assert compile_format("[${" + field + "}]", omit=[field]).line(full()) == b"[-]\n"


def test_every_reason_and_flag():
    e, compiled = ordinary(), compile_format("json")
    for reason in Select:
        e.reason = int(reason)
        assert json.loads(compiled.line(e)).get("reason", "none") == reason.name.lower()
    for row in TABLE.values():
        e.flag = row.flag.encode()
        assert json.loads(compiled.line(e))["flag"] == row.flag


def expected_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@given(target=st.binary(min_size=1, max_size=200), host=st.binary(max_size=30), route=st.text(max_size=9))
def test_json_of_any_bytes_is_one_ascii_line_that_reads_back(target, host, route):
    e = ordinary()
    e.target, e.host, e.route = target, host, route.encode("utf-8", "replace")
    e.attempts, e.picks = [(host, 0, 0.0, b"--", b"")], [(1, 0.0, False, -1.0, b"")]
    line = compile_format("json").line(e)
    assert line.isascii()
    assert all(32 <= c < 127 for c in line[:-1])
    found = json.loads(line)
    assert found["target"] == expected_text(target)
    assert found.get("host", "") == expected_text(host)
    assert found["attempts"][0]["server"] == expected_text(host)


@given(target=st.binary(min_size=1, max_size=200), agent=st.binary(min_size=1, max_size=30))
def test_text_of_any_bytes_is_one_ascii_line_with_its_quotes_in_place(target, agent):
    e = ordinary()
    e.target = target
    e.head = head(b"user-agent: x" + agent.replace(b"\r", b"").replace(b"\n", b"") + b"x")
    line = compile_format("combined").line(e)
    assert all(32 <= c < 127 for c in line[:-1])
    assert line.endswith(b"\n")
    assert line.count(b'"') == 6
    shown = line.split(b'"')[1].removeprefix(b"GET ").removesuffix(b" HTTP/1.1")
    assert re.sub(rb"\\x(..)", lambda m: bytes.fromhex(m[1].decode()), shown) == target


@given(st.integers(0, 2**63 - 1), st.floats(0, 1e9), st.floats(0, 4e9))
@example(10**18, 0.0, 0.0)
@example(2**63 - 1, 0.0, 0.0)
def test_numbers(count, seconds, when):
    e = ordinary()
    e.bytes_out, e.duration, e.time = count, seconds, when
    found = json.loads(compile_format("json").line(e))
    assert found["bytes_out"] == count
    assert found["duration"] == pytest.approx(seconds, abs=1e-6, rel=1e-12)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])


def test_line_longer_than_the_buffer():
    e, compiled = ordinary(), compile_format("json")
    short = compiled.line(e)
    e.target = b"/" + b"x" * 100_000
    e.host = b"\xff" * 10_000
    found = json.loads(compiled.line(e))
    assert found["target"] == e.target.decode()
    assert found["host"] == "ÿ" * 10_000
    assert compiled.line(ordinary()) == short
