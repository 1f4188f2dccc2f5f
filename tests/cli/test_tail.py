"""What `lb tail` prints of a stream."""

from __future__ import annotations

import io
import json

import pytest

from lb.admin.happened import shape
from lb.cli import tail as module
from tests.admin.test_requests import FAILED

REQUEST = b"event: request\ndata: %b\n\n" % json.dumps(shape(FAILED)).encode()
LEFT_OUT = b'event: left_out\ndata: {"count":%d}\n\n'


@pytest.fixture
def tail(monkeypatch, capsys):
    def run(stream: bytes, as_json: bool = False) -> list[str]:
        monkeypatch.setattr(module, "request", lambda *_, **__: io.BytesIO(stream))
        assert module.tail("http://x", "", 10, as_json) == 4
        return capsys.readouterr().out.splitlines()

    return run


def test_what_was_left_out_is_told_once_before_the_next_request(tail):
    said = tail(b": lb\n\n" + REQUEST + LEFT_OUT % 2 + LEFT_OUT % 3 + REQUEST)
    assert [line[:8] for line in said] == ["1970-01-", "… and 5 ", "1970-01-"]


def test_and_in_a_silence(tail):
    assert tail(LEFT_OUT % 2 + b":\n\n:\n\n" + LEFT_OUT % 1 + b":\n\n") == ["… and 2 more", "… and 1 more"]


def test_json_is_passed_on_line_by_line(tail):
    said = tail(REQUEST + LEFT_OUT % 2, as_json=True)
    assert json.loads(said[0])["request_id"] == "one" and json.loads(said[1]) == {"count": 2}
