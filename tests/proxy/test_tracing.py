"""The trace of a request: whose it is, whether it is sampled, and what a server is told of it."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.http1.request import read_request
from lb.message import RequestHead
from lb.outcomes import Outcome
from lb.plan import (
    DecisionsPlan,
    HeaderEditsPlan,
    MirrorPlan,
    RespondPlan,
    RetryPlan,
    RewritePlan,
    ServerPlan,
    ServicePlan,
    TracingPlan,
)
from lb.proxy import keeping
from lb.proxy.keeping import Keeping
from lb.proxy.tracing import Tracing, valid
from lb.telemetry import layout
from lb.telemetry.decision import Kept
from tests.proxy.playing import House, plan

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
SAMPLED, NOT = b"00-%b-%b-01" % (TRACE, SPAN), b"00-%b-%b-00" % (TRACE, SPAN)
OURS = re.compile(rb"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\r\n")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
ALL = TracingPlan(sample=1.0, export=True)
NONE = TracingPlan(sample=0.0, export=True)


def house(tracing: TracingPlan | None = ALL, **more) -> tuple[House, Keeping]:
    made = House(plan(**more))
    kept = Keeping(made.core, 0)
    kept.configure(DecisionsPlan(slow=0.0, sample=0.0))
    made.core.keep = kept.keep
    made.core.tracing = Tracing(tracing, Random(3)) if tracing is not None else None
    return made, kept


def asked(*lines: bytes) -> bytes:
    return b"GET /p?q=1 HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def sent(made: House, *lines: bytes) -> bytes:
    """The head that the server gets of a request with these lines."""
    made.ask(asked(*lines))
    side = next(side for side in made.opened if side.exchange is not None)
    if side.at == "opening":
        side.connect()
    side.answer(OK)
    return side.starts[-1]


def head_of(*lines: bytes) -> RequestHead:
    head, raw = RequestHead(), asked(*lines)
    assert read_request(raw, 0, 0, head, 65536, 100) == len(raw)
    return head


# ------------------------------------------------------------------------------------- the field

BAD = [
    b"",
    b"00",
    b"00-" + TRACE,
    b"00-%b-%b" % (TRACE, SPAN),
    b"00-%b-%b-0" % (TRACE, SPAN),
    b"00-%b-%b-011" % (TRACE, SPAN),
    b"00-%b-%b-01-" % (TRACE, SPAN),
    b"00-%b-%b-01-more" % (TRACE, SPAN),
    b"ff-%b-%b-01" % (TRACE, SPAN),
    b"0-%b-%b-01" % (TRACE, SPAN),
    b"0x-%b-%b-01" % (TRACE, SPAN),
    b"00-%b-%b-01" % (TRACE.upper(), SPAN),
    b"00-%b-%b-01" % (TRACE, SPAN.upper()),
    b"00-%b-%b-0A" % (TRACE, SPAN),
    b"00-%b-%b-01" % (b"0" * 32, SPAN),
    b"00-%b-%b-01" % (TRACE, b"0" * 16),
    b"00-%b-%b-01" % (TRACE[:-1] + b"g", SPAN),
    b"00_%b-%b-01" % (TRACE, SPAN),
    b"00-%b_%b-01" % (TRACE, SPAN),
    b"00-%b-%b_01" % (TRACE, SPAN),
    b"01-%b-%b-01.more" % (TRACE, SPAN),
    b"01-%b-%b-0" % (TRACE, SPAN),
    b"%b, %b" % (SAMPLED, SAMPLED),
    b"\xc3\xa9" * 28,
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_traceparent_begins_a_new_trace_and_goes_no_further(text):
    made, _ = house(NONE)
    out = sent(made, b"traceparent: " + text, b"tracestate: a=1")
    ((trace, span, flags),) = OURS.findall(out)
    assert not valid(text) and out.lower().count(b"traceparent") == 1 and b"tracestate" not in out
    assert trace not in (TRACE, b"0" * 32) and span not in (SPAN, b"0" * 16) and flags == b"00"


@pytest.mark.parametrize(
    "text",
    [SAMPLED, NOT, b"00-%b-%b-ff" % (TRACE, SPAN), b"cc-%b-%b-01-x.y" % (TRACE, SPAN), b"01" + SAMPLED[2:]],
)
def test_what_is_one(text):
    assert valid(text)
    trace = Tracing(ALL, Random(1)).trace(head_of(b"TraceParent:\t" + text + b" "))
    assert (trace.id, trace.parent, trace.flags) == (TRACE, SPAN, int(text[53:55], 16) & 3)


def test_several_are_none():
    trace = Tracing(ALL, Random(1)).trace(head_of(b"traceparent: " + SAMPLED, b"Traceparent: " + SAMPLED))
    assert trace.id != TRACE and trace.parent == b""


REFERENCE = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.DOTALL
)


def reference(text: bytes) -> bool:
    found = REFERENCE.fullmatch(text)
    return found is not None and (found[1] != b"00" or found[2] is None)


@st.composite
def nearly(draw) -> bytes:
    """A good one with a few bytes exchanged, cut or added."""
    text = bytearray(draw(st.sampled_from([SAMPLED, NOT, b"01" + SAMPLED[2:] + b"-x"])))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"0", b"f", b"-", b"F", b"\xff", b" "])
        )
    return bytes(text)


@given(st.one_of(st.binary(max_size=80), nearly()))
def test_it_never_raises_and_agrees_with_the_grammar(text):
    assert valid(text) == reference(text)


@given(nearly(), st.data())
def test_it_does_not_matter_in_which_pieces_it_comes(text, data):
    raw = asked(b"traceparent: " + bytes(c for c in text if 32 <= c < 127), b"tracestate: a=1")
    whole, again = RequestHead(), RequestHead()
    assert read_request(raw, 0, 0, whole, 65536, 100) == len(raw)
    cut = data.draw(st.integers(1, len(raw) - 1))
    assert read_request(raw[:cut], 0, 0, again, 65536, 100) == 0
    assert read_request(raw, 0, cut, again, 65536, 100) == len(raw)
    one, other = (Tracing(NONE, Random(5)).trace(head) for head in (whole, again))
    assert (one.id, one.parent, one.span, one.flags, one.drop) == (
        other.id, other.parent, other.span, other.flags, other.drop,
    )  # fmt: skip


# ------------------------------------------------------------------------- what goes to servers


def test_without_the_section_everything_goes_on_as_it_came():
    made, kept = house(None)
    for lines in ((b"Traceparent: garbage", b"traceparent: " + SAMPLED, b"tracestate: a=1"), ()):
        out = sent(made, *lines)
        assert [line for line in out.split(b"\r\n") if b"trace" in line.lower()] == list(lines)
    assert kept.take() == ([], {})


def test_a_trace_that_is_not_sampled_goes_on_as_it_came():
    for tracing in (ALL, NONE):
        made, kept = house(tracing)
        out = sent(made, b"Traceparent:  " + NOT, b"tracestate: a=1", b"tracestate: b=2")
        assert b"\r\nTraceparent:  %b\r\ntracestate: a=1\r\ntracestate: b=2\r\n" % NOT in out
        assert out.lower().count(b"traceparent") == 1 and kept.take() == ([], {})


def test_of_a_sampled_one_the_server_gets_the_span_of_its_attempt():
    made, kept = house(NONE)
    out = sent(made, b"Traceparent: " + SAMPLED, b"tracestate: a=1")
    ((trace, span, flags),) = OURS.findall(out)
    assert (trace, flags) == (TRACE, b"01") and b"\r\ntracestate: a=1\r\n" in out
    assert out.lower().count(b"traceparent") == 1
    ((one,), _) = kept.take()
    (attempt,) = one.attempts
    assert Kept(one.kept) == Kept.TRACE
    assert (one.trace_id, one.parent_id, one.trace_flags) == (TRACE.decode(), SPAN.decode(), "01")
    assert attempt.span_id == span.decode() and len({attempt.span_id, one.span_id, one.parent_id}) == 3
    assert (one.scheme, one.sent) == ("http", "/p?q=1")


def test_where_nothing_is_exported_no_span_of_ours_is_told():
    made, kept = house(TracingPlan(sample=1.0, export=False))
    assert b"\r\ntraceparent: %b\r\n" % SAMPLED in sent(made, b"traceparent: " + SAMPLED)
    ((trace, _, flags),) = OURS.findall(sent(made))
    found, _ = kept.take()
    assert [(one.trace_id, one.attempts[0].span_id) for one in found] == [
        (TRACE.decode(), ""),
        (trace.decode(), ""),
    ]
    assert flags == b"01"


def test_a_client_that_is_not_believed_begins_a_new_trace():
    made, _ = house(TracingPlan(sample=0.0, accept=False, export=True))
    out = sent(made, b"traceparent: " + SAMPLED, b"tracestate: a=1")
    ((trace, _, flags),) = OURS.findall(out)
    assert trace != TRACE and flags == b"00" and b"tracestate" not in out


def test_an_edit_of_the_route_counts():
    made, _ = house(request_headers=HeaderEditsPlan(set=(("traceparent", "mine"),)))
    out = sent(made, b"traceparent: " + SAMPLED)
    assert [line for line in out.split(b"\r\n") if b"trace" in line.lower()] == [b"traceparent: mine"]


def test_a_line_that_connection_names_is_replaced():
    made, _ = house()
    out = sent(made, b"traceparent: " + SAMPLED, b"Connection: traceparent")
    assert len(OURS.findall(out)) == 1 and out.lower().count(b"traceparent") == 1


# -------------------------------------------------------------------------------------- sampling


def test_about_the_share_of_new_traces_is_sampled():
    tracing, head = Tracing(TracingPlan(sample=0.1), Random(11)), head_of()
    traces = [tracing.trace(head) for _ in range(20_000)]
    count = sum(trace.flags for trace in traces)
    assert 1850 <= count <= 2150  # 2000 ± 3.5 σ
    assert len({trace.id for trace in traces}) == len({trace.span for trace in traces}) == 20_000
    # as OpenTelemetry's own sampler has it: the lower half of the id decides
    assert all((int(trace.id[16:], 16) < 0.1 * 2**64) == bool(trace.flags) for trace in traces)
    for share in (0.0, 1.0):
        tracing = Tracing(TracingPlan(sample=share), Random(11))
        assert {tracing.trace(head).flags for _ in range(100)} == {int(share)}


def test_traced_ones_have_a_bound_of_their_own(monkeypatch):
    monkeypatch.setattr(keeping, "TRACED", 3)
    monkeypatch.setattr(keeping, "MOST", 2)
    made, kept = house(respond=RespondPlan(200, "ok"))
    for _ in range(2):
        for _ in range(10):
            made.ask()
        assert [Kept(one.kept) for one in kept.take()[0]] == [Kept.TRACE] * 3
    assert made.cells.get(layout.WORKER_SPANS_DROPPED) == 14
    assert made.cells.get(layout.WORKER_DECISIONS_DROPPED) == 0
    for _ in range(5):
        made.ask()
    made.core.slow = 1e-9
    for _ in range(4):
        made.ask()
    found = [Kept(one.kept) for one in kept.take()[0]]
    assert found == [Kept.TRACE] * 3 + [Kept.SLOW] * 2  # a flood of traces drives out none that was slow
    assert made.cells.get(layout.WORKER_DECISIONS_DROPPED) == 2


def test_what_control_is_not_told_is_counted():
    made, kept = house(servers=("a:1",))
    sent(made)
    kept.lose(kept.take()[0])
    assert made.cells.get(layout.WORKER_SPANS_DROPPED) == 2
    assert made.cells.get(layout.WORKER_DECISIONS_DROPPED) == 1


def test_spans_that_nobody_wants_are_not_lost(monkeypatch):
    monkeypatch.setattr(keeping, "TRACED", 3)
    made, kept = house(TracingPlan(sample=1.0, export=False), respond=RespondPlan(200, "ok"))
    for line in (b"Accept: */*", b"traceparent: " + SAMPLED):
        for _ in range(5):
            made.ask(asked(line))
    found, _ = kept.take()
    assert [Kept(one.kept) for one in found] == [Kept.TRACE] * 3
    kept.lose(found)
    made.core.tracing = None
    kept.lose(found)
    assert made.cells.get(layout.WORKER_SPANS_DROPPED) == 0


# -------------------------------------------------------------------------------------- attempts


def test_a_second_attempt_has_a_span_of_its_own():
    made, kept = house(servers=("a:1", "b:1"), retry=RetryPlan(attempts=1, on=("503",)))
    made.ask(asked(b"traceparent: " + SAMPLED))
    told = []
    for answer in (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", OK):
        side = made.opened[-1]
        side.connect()
        told += OURS.findall(side.out)
        side.answer(answer)
        for timer in list(made.timers):
            timer.fire()
    ((one,), _) = kept.take()
    assert [trace for trace, _, _ in told] == [TRACE, TRACE]
    assert [span.decode() for _, span, _ in told] == [attempt.span_id for attempt in one.attempts]
    assert [attempt.status for attempt in one.attempts] == [503, 200]
    assert len({one.span_id, *(attempt.span_id for attempt in one.attempts)}) == 3


def test_one_that_could_not_connect_has_a_span_too():
    made, kept = house(servers=("a:1",), retry=RetryPlan(attempts=0))
    made.ask()
    made.opened[0].refuse()
    ((one,), _) = kept.take()
    assert one.outcome == Outcome.CONNECT_FAILED and Kept(one.kept) == Kept.TRACE | Kept.FAILED
    assert re.fullmatch("[0-9a-f]{16}", one.attempts[0].span_id)


@pytest.mark.parametrize("winner", [0, 1])
def test_of_a_hedge_both_attempts_have_one(winner):
    made, kept = house(servers=("a:1", "b:1"), retry=RetryPlan(hedge=0.2))
    asker = made.ask()
    made.opened[0].connect()
    made.later(0.3, asker)
    made.opened[1].connect()
    told = [OURS.findall(side.out)[0][1].decode() for side in made.opened]
    made.opened[winner].answer(OK)
    ((one,), _) = kept.take()
    spans = {attempt.span_id: attempt.status for attempt in one.attempts}
    assert len(spans) == 2 and set(spans) == set(told) and spans[told[winner]] == 200


def test_a_copy_is_below_the_exchange_and_not_sampled():
    mirror = MirrorPlan("other", slot=6000)
    other = ServicePlan("other", servers=(ServerPlan("m:1", slot=5000),))
    made, kept = house(servers=("a:1",), mirror=mirror, more=(other,))
    sent(made, b"traceparent: " + SAMPLED)
    ((one,), _) = kept.take()
    copy = made.opened[-1]
    copy.connect()
    assert OURS.findall(copy.out) == [(TRACE, one.span_id.encode(), b"00")]


@pytest.mark.parametrize("sampled", [SAMPLED, b"cc" + SAMPLED[2:]])
def test_a_copy_is_not_sampled_where_nothing_is_exported(sampled):
    mirror = MirrorPlan("other", slot=6000)
    other = ServicePlan("other", servers=(ServerPlan("m:1", slot=5000),))
    tracing = TracingPlan(sample=1.0, export=False)
    made, _ = house(tracing, servers=("a:1",), mirror=mirror, more=(other,))
    out = sent(made, b"traceparent: " + sampled, b"tracestate: a=1")
    copy = made.opened[-1]
    copy.connect()
    assert b"\r\ntraceparent: %b\r\n" % sampled in out
    assert OURS.findall(copy.out) == [(TRACE, SPAN, b"00")]
    assert copy.out.lower().count(b"traceparent") == 1 and b"\r\ntracestate: a=1\r\n" in copy.out


def test_a_copy_of_what_is_not_sampled_is_told_what_the_client_said():
    mirror = MirrorPlan("other", slot=6000)
    other = ServicePlan("other", servers=(ServerPlan("m:1", slot=5000),))
    made, _ = house(servers=("a:1",), mirror=mirror, more=(other,))
    sent(made, b"Traceparent:  " + NOT)
    made.opened[-1].connect()
    assert b"\r\nTraceparent:  %b\r\n" % NOT in made.opened[-1].out


def test_the_target_that_a_server_was_asked_for_is_kept():
    made, kept = house(servers=("a:1",), rewrite=RewritePlan(add_prefix="/v1"))
    assert sent(made).startswith(b"GET /v1/p?q=1 ")
    ((one,), _) = kept.take()
    assert (one.target, one.sent) == ("/p?q=1", "/v1/p?q=1")


def test_nothing_of_a_trace_is_left_for_the_next_exchange():
    made, kept = house(servers=("a:1",))
    sent(made)
    made.core.tracing = None
    assert b"traceparent" not in sent(made)
    assert len(kept.take()[0]) == 1
