"""The agent probe: its words, what holds from line to line, and lines that are none."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.health.agent import MOST_LINE, LineError, heard
from lb.health.plan import AgentProbe, AgentState
from tests.health.servers import NOTHING, dripping, hang, play, probed, serving

LINES = {
    b"75%": AgentState(weight=0.75),
    b"0%\r": AgentState(weight=0.0),
    b"150%": AgentState(weight=1.5),
    b"up": AgentState(running="up"),
    b"UP Ready 100%": AgentState(running="up"),
    b"ready": AgentState(),
    b"drain": AgentState(admin="drain"),
    b"maint": AgentState(admin="maint"),
    b"maint # new disk": AgentState(admin="maint", reason="new disk"),
    b"down": AgentState(running="down", reason="down"),
    b"stopped": AgentState(running="down", reason="stopped"),
    b"failed": AgentState(running="down", reason="failed"),
    b"fail": AgentState(running="down", reason="fail"),
    b"down  disk full": AgentState(running="down", reason="disk full"),
    b"down#disk full": AgentState(running="down", reason="disk full"),
    b"50%,drain\tup": AgentState(0.5, "drain", "up"),
    b"50% drain down why not": AgentState(0.5, "drain", "down", "why not"),
}


@pytest.mark.parametrize("line", LINES)
def test_words(line):
    assert heard(AgentState(), line) == LINES[line]


@pytest.mark.parametrize(
    "line",
    [b"", b"  ", b"# only a note", b"yes", b"75", b"-5%", b"7.5%", b"1001%", b"99999%", b"75%%", b"up maybe",
     b"ready drain", b"maint ready", b"50% 60%", b"up down", b"maxconn:30", b"\x00up", b"up\x1b[2J",
     b"\xff\xfe", "७५%".encode(), b"down " + b"x" * MOST_LINE],
)  # fmt: skip
def test_a_line_is_taken_as_a_whole_or_not_at_all(line):
    with pytest.raises(LineError) as raised:
        heard(AgentState(), line)
    assert len(str(raised.value)) < 200 and str(raised.value).isprintable()


def test_a_word_holds_until_another_of_its_kind():
    state = AgentState()
    for line, weight, word in (
        (b"50%", 0.5, ""),
        (b"drain", 0.5, "drain"),
        (b"up", 0.5, "drain"),
        (b"down disk", 0.5, "down"),
        (b"ready", 0.5, "down"),
        (b"up 100%", 1.0, "up"),
        (b"maint", 1.0, "down"),
        (b"up", 1.0, "down"),
        (b"ready", 1.0, "up"),
    ):
        state = heard(state, line)
        assert (state.weight, state.state) == (weight, word), line


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_state_or_refused(line):
    try:
        state = heard(AgentState(), line)
    except LineError:
        return
    assert 0 <= state.weight <= 10
    assert state.state in ("", "up", "drain", "down")


def writing(answer, keep=None, stay=False):
    async def talk(reader, writer):
        if keep is not None:
            keep.append(await reader.readline())
        writer.write(answer)
        if stay:
            await reader.read()

    return talk


def asked(talk, send="", before=NOTHING, timeout=5.0):
    async def test():
        async with serving(talk) as address:
            port = int(address.rpartition(":")[2])
            return await probed("127.0.0.1:1", AgentProbe(port, send), timeout, before)

    return play(test())


def test_over_a_socket():
    assert asked(writing(b"75% up\n", stay=True)) == (True, "75% up", AgentState(0.75, "", "up"))
    assert asked(writing(b"drain"))[:2] == (True, "drain"), "the end of the connection ends the line"
    assert asked(dripping(b"up\n", 0.01)).ok
    assert asked(writing(b"up\nnonsense\n", stay=True)).ok, "one line counts"


def test_what_was_said_before_holds():
    outcome = asked(writing(b"up\n"), before=AgentState(0.5, "drain"))
    assert outcome.agent == AgentState(0.5, "drain", "up")


def test_it_is_sent_what_is_configured():
    kept = []
    assert asked(writing(b"up\n", kept), send="app\n").ok
    assert kept == [b"app\n"]


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (writing(b""), "the agent's line cannot be used: it is empty"),
        (writing(b"hello\n"), "the agent's line cannot be used: 'hello' is not one of its words"),
        (writing(b"x" * 100_000, stay=True), "the agent's line cannot be used: it is longer than 1024 bytes"),
        (hang, "no line within 1s"),
    ],
    ids=["nothing", "unknown", "endless", "hangs"],
)
def test_an_agent_that_cannot_be_understood(talk, why):
    assert asked(talk, timeout=1.0 if talk is hang else 5.0) == (False, why, None)


def test_an_agent_of_a_unix_socket_has_no_place():
    async def test():
        return await asyncio.wait_for(probed("unix:/run/app.sock", AgentProbe(9777)), 1)

    assert "port of its own" in play(test()).why
