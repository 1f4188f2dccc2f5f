"""The sentences of `lb why` for what the scenarios do not meet."""

from __future__ import annotations

from msgspec.structs import replace

from lb.admin.happened import shape
from lb.cli.why import row, sentences, shown
from lb.decisions import Attempt as Word
from lb.decisions import Select
from lb.outcomes import TABLE, Outcome
from lb.telemetry.decision import Attempt, Kept
from tests.admin.test_requests import FAILED, GOOD


def text(decision) -> str:
    return "\n".join(sentences(shape(decision)))


def test_every_outcome_reason_and_word_has_a_sentence():
    for outcome in Outcome:
        said = text(replace(FAILED, outcome=int(outcome)))
        assert outcome == Outcome.DONE or TABLE[outcome].text in said
    for reason in Select:
        for word in Word:
            name = "" if word == Word.NONE else word.name.lower()
            attempt = Attempt("a:1", 0.0, 1.0, 0, "SC", int(reason), name)
            assert "a:1" in text(replace(FAILED, attempts=(attempt,)))
    for kept in Kept:
        assert "kept because" in text(replace(GOOD, kept=int(kept)))


def test_no_attempt_says_why():
    said = text(replace(FAILED, attempts=(), reason=int(Select.NOT_ELIGIBLE), queue=0.25))
    assert "no attempt was made: no server is eligible" in said and "waited 250.0ms in the queue" in said


def test_a_refused_connection_has_no_request():
    refused = replace(FAILED, request_id="", method="", host="", target="", route="", service="", attempts=())
    assert "what was no valid request got 502" in text(refused)
    assert "(it had no id yet)" in text(refused)


def test_what_a_client_sent_is_harmless_on_a_terminal():
    hostile = replace(FAILED, target="/\x1b]0;x\x07\u202e\x9b2J", request_id="a\x1b[31m")
    for said in (text(hostile), row(shape(hostile))):
        assert not any(sign in said for sign in "\x1b\x07\x9b\u202e")
    assert shown("/grün") == "/grün"
