"""The effective status: every combination of signals against a table, and what must always hold."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.upstream.status import Active, Agent, Mode, Override, Registry, Signals, effective


def says(mode: Mode, weight: float | None = None) -> Override:
    return Override(mode, weight, "ann", "new disk", 1000.0)


# The truth table: what each signal says alone. "": nothing. The combinations follow from the rules below.
OPERATOR = {
    None: "",
    Mode.AUTO: "",
    Mode.UP: "force",
    Mode.DRAIN: "drain",
    Mode.MAINTENANCE: "down",
}
REGISTRY = {Registry.NONE: "", Registry.UP: "", Registry.DRAIN: "drain", Registry.DOWN: "down"}
ACTIVE = {
    (Active.NONE, True): "",
    (Active.NONE, False): "",
    (Active.UNKNOWN, True): "",
    (Active.UNKNOWN, False): "down",
    (Active.UP, True): "",
    (Active.UP, False): "",
    (Active.DOWN, True): "down",
    (Active.DOWN, False): "down",
}
AGENT = {"": "", "up": "", "drain": "drain", "down": "down"}
EJECTED = {False: "", True: "down"}
ALL = list(product(OPERATOR, REGISTRY, ACTIVE, AGENT, EJECTED))


def signals(mode, registry, active, agent, ejected) -> Signals:
    return Signals(
        override=None if mode is None else says(mode),
        registry=registry,
        active=active[0],
        active_why="HTTP 503",
        unknown_is_up=active[1],
        agent=Agent(state=agent),
        ejected=ejected,
        passive_why="7 failures" if ejected else "",
    )


def test_the_truth_table():
    """5 × 4 × 8 × 4 × 2 combinations: out if any signal objects, draining if none of them says down; an
    operator's UP stands above all."""
    assert len(ALL) == 1280
    for mode, registry, active, agent, ejected in ALL:
        words = [OPERATOR[mode], REGISTRY[registry], ACTIVE[active], AGENT[agent], EJECTED[ejected]]
        if "force" in words or not {"drain", "down"} & set(words):
            expected = (True, False)
        else:
            expected = (False, "down" not in words)
        found = effective(signals(mode, registry, active, agent, ejected))
        assert (found.usable, found.draining) == expected, (words, found)


@pytest.mark.parametrize(
    ("given_signals", "word", "decided", "reasons"),
    [
        (Signals(), "up", "", ()),
        (Signals(active=Active.UP, active_why="HTTP 200"), "up", "check", ("check: up: HTTP 200",)),
        (Signals(active=Active.UNKNOWN), "up", "check", ("check: no result yet, counts as up",)),
        (
            Signals(active=Active.UNKNOWN, unknown_is_up=False), "down", "check",
            ("check: no result yet, counts as down",),
        ),
        (
            Signals(override=says(Mode.MAINTENANCE), active=Active.UP), "maintenance", "operator",
            ("operator ann: maintenance: new disk", "check: up"),
        ),
        (
            Signals(override=says(Mode.DRAIN), active=Active.DOWN, active_why="refused"), "down", "operator",
            ("operator ann: drain: new disk", "check: down: refused"),
        ),
        (
            Signals(override=says(Mode.UP), active=Active.DOWN, ejected=True, passive_why="slow"), "up",
            "operator", ("operator ann: up: new disk", "check: down", "passive: ejected: slow"),
        ),
        (
            Signals(override=says(Mode.AUTO, 0.5), active=Active.DOWN), "down", "check",
            ("check: down", "operator ann: auto, weight ×0.5: new disk"),
        ),
        (
            Signals(registry=Registry.DRAIN, active=Active.UP, agent=Agent(0.75)), "draining", "registry",
            ("registry: drain", "check: up", "agent: weight ×0.75"),
        ),
        (
            Signals(registry=Registry.UP, agent=Agent(state="down", reason="backup runs")), "down", "agent",
            ("agent: down: backup runs", "registry: up"),
        ),
        (
            Signals(ejected=True, passive_why="5 failures in a row"), "ejected", "passive",
            ("passive: ejected: 5 failures in a row",),
        ),
        (Signals(passive_why="slow (shadow)"), "up", "passive", ("passive: watched: slow (shadow)",)),
    ],
)  # fmt: skip
def test_words_and_reasons(given_signals, word, decided, reasons):
    found = effective(given_signals)
    assert (found.word, found.decided, found.reasons) == (word, decided, reasons)


weights = st.floats(0, 10)
overrides = st.none() | st.builds(
    Override, st.sampled_from(Mode), st.none() | weights, st.just("ann"), st.text(max_size=5), st.just(1.0)
)
agents = st.builds(Agent, weights, st.sampled_from(["", "up", "drain", "down"]), st.text(max_size=5))
anything = st.builds(
    Signals,
    override=overrides,
    everywhere=st.none(),  # two operators: below
    registry=st.sampled_from(Registry),
    active=st.sampled_from(Active),
    active_why=st.text(max_size=5),
    unknown_is_up=st.booleans(),
    agent=agents,
    ejected=st.booleans(),
    passive_why=st.text(max_size=5),
)


@given(anything)
def test_an_operator_stands_above_all(said):
    forced = effective(said._replace(override=says(Mode.UP)))
    assert forced.usable and not forced.draining and forced.decided == "operator"
    for mode in (Mode.DRAIN, Mode.MAINTENANCE):
        out = effective(said._replace(override=says(mode)))
        assert not out.usable and out.decided == "operator"
        assert not (mode is Mode.MAINTENANCE and out.draining)


@given(anything, weights)
def test_auto_is_only_a_weight(said, weight):
    without = effective(said._replace(override=None))
    auto = effective(said._replace(override=says(Mode.AUTO, weight)))
    assert (auto.usable, auto.draining) == (without.usable, without.draining)
    assert auto.weight == without.weight * weight


@given(anything)
def test_the_weight_is_the_product_whoever_decides(said):
    override = 1.0 if said.override is None or said.override.weight is None else said.override.weight
    assert effective(said).weight == said.agent.weight * override


@given(anything)
def test_every_speaking_signal_is_a_reason_and_the_deciding_one_is_the_first(said):
    found = effective(said)
    speaking = {
        "operator": said.override is not None,
        "registry": said.registry is not Registry.NONE,
        "check": said.active is not Active.NONE,
        "agent": bool(said.agent.state) or said.agent.weight != 1,
        "passive": said.ejected or bool(said.passive_why),
    }
    signals_shown = [reason.split(":")[0].split()[0] for reason in found.reasons]
    assert sorted(signals_shown) == sorted(name for name, speaks in speaking.items() if speaks)
    assert found.decided == (signals_shown[0] if signals_shown else "")


@given(anything)
def test_the_word_says_what_the_numbers_say(said):
    found = effective(said)
    assert found.usable == (found.word == "up") and found.draining == (found.word == "draining")
    assert not (found.usable and found.draining)


@given(anything)
def test_whoever_says_down_is_heard_but_for_an_operator(said):
    if said.override is not None and said.override.mode is Mode.UP:
        return
    for worse in (
        said._replace(ejected=True),
        said._replace(active=Active.DOWN),
        said._replace(registry=Registry.DOWN),
        said._replace(agent=said.agent._replace(state="down")),
    ):
        found = effective(worse)
        assert not found.usable and not found.draining


CAUTION = [Mode.MAINTENANCE, Mode.DRAIN, Mode.UP, Mode.AUTO]


@pytest.mark.parametrize("here", Mode)
@pytest.mark.parametrize("everywhere", Mode)
@pytest.mark.parametrize("active", [Active.UP, Active.DOWN])
def test_of_two_operators_the_more_cautious_one_holds(here, everywhere, active):
    both = effective(Signals(override=says(here), everywhere=says(everywhere), active=active))
    holds = min(here, everywhere, key=CAUTION.index)
    alone = effective(Signals(override=says(holds), active=active))
    assert (both.word, both.usable, both.draining) == (alone.word, alone.usable, alone.draining)
    assert both.decided == alone.decided
    assert len([one for one in both.reasons if one.startswith("operator ann")]) == 2  # both are shown
    turned = effective(Signals(override=says(everywhere), everywhere=says(here), active=active))
    assert turned.word == both.word


@pytest.mark.parametrize(
    ("here", "everywhere", "weight"),
    [
        (None, None, 1.0),
        (0.5, None, 0.5),
        (None, 0.25, 0.25),
        (0.5, 0.25, 0.25),
        (2.0, 0.5, 0.5),
        (2.0, None, 2.0),
    ],
)
def test_of_two_weights_the_smaller_one_holds(here, everywhere, weight):
    found = effective(Signals(override=says(Mode.AUTO, here), everywhere=says(Mode.AUTO, everywhere)))
    assert found.weight == weight
