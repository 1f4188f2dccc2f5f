"""Following: restarts, bursts, bad entries, age; with Providers that a test plays and a clock that jumps."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lb.discovery.asking import FIRST_PAUSE, LONGEST_PAUSE, STEADY
from lb.discovery.brake import BrakeSettings
from lb.discovery.contract import Member, Membership, ProviderError, Registered, Unusable
from lb.discovery.following import GATHER, Following, sound
from tests.health.test_checks import FakeLoop

A, B, C, D = (Member(f"10.0.0.{n}:80") for n in range(1, 5))


class Played:
    """Each watch plays one script: words to yield, seconds to wait, errors to raise; then it waits."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.begun = []
        self.open = 0

    async def watch(self):
        self.begun.append(asyncio.get_running_loop().time() - 1000.0)
        self.open += 1
        try:
            for step in self.scripts.pop(0) if self.scripts else ():
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, (int, float)):
                    await asyncio.sleep(step)
                else:
                    yield step if isinstance(step, Membership) else Membership(tuple(step))
            await asyncio.Event().wait()
        finally:
            self.open -= 1


def play(*scripts, seconds, look=None, begin=None):
    """Follow for so long: the Following, what it told (seconds, cause, addresses), and the Provider."""

    async def go():
        loop = asyncio.get_running_loop()
        told = []
        provider = Played(*scripts)

        def changed(one, cause):
            told.append((round(loop.time() - 1000.0, 2), cause, [m.address[7] for m in one.members]))

        one = Following("app", "the source", provider, BrakeSettings(), changed, Random(1))
        if begin is not None:
            one.begin_with(tuple(begin), 100.0)
        task = asyncio.create_task(one.run())
        await asyncio.sleep(seconds)
        if look is not None:
            look(one)
        task.cancel()
        await asyncio.wait([task])
        assert provider.open == 0, "the source was left open"
        return one, told, provider

    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        return runner.run(go())


def test_the_first_word_is_at_once_and_bursts_are_one():
    burst = [[A, B, C], 0.01, [A, B], 0.01, [A, B, C, D], 0.01, [A, B, D], 5, [A, B]]
    _, told, _ = play([1, [A], 2, *burst], seconds=20)
    assert told == [
        (1.0, "answer", ["1"]),
        (3.0 + GATHER, "answer", ["1", "2", "4"]),
        (8.13, "answer", ["1", "2"]),
    ]


def test_the_same_word_again_is_no_news():
    _, told, _ = play([[A, B], 1, [B, A], 1, [A, B]], seconds=10)
    assert len(told) == 1


def test_a_source_that_fails_is_asked_again_with_pauses_that_grow_and_its_word_stays():
    failing = [ProviderError("refused")]

    def look(one):
        assert one.error == "refused" and 10 < one.errors < 30
        assert one.members == (A,)
        assert 100 < one.age <= 400

    _one, told, provider = play([[A], 1, OSError("broken pipe")], *[failing] * 100, seconds=300, look=look)
    assert told == [(0.0, "answer", ["1"])]
    pauses = [b - a for a, b in zip(provider.begun[1:], provider.begun[2:], strict=False)]
    assert max(pauses) <= LONGEST_PAUSE
    assert all(0.5 <= pause / min(LONGEST_PAUSE, 2.0**n) <= 1 for n, pause in enumerate(pauses))


def test_an_answer_ends_the_error_and_the_pauses_begin_anew():
    def look(one):
        assert (one.error, one.age) == ("", 0.0)

    one, _, provider = play(
        [[A], TimeoutError()], [ProviderError("x", wait=7)], [[A], LONGEST_PAUSE, ProviderError("y")], [[A]],
        seconds=60, look=look,
    )  # fmt: skip
    assert one.errors == 3
    assert 7.5 <= provider.begun[2] - provider.begun[1] <= 8, "the source asked to be left alone for 7 s"
    assert provider.begun[3] - provider.begun[2] - LONGEST_PAUSE <= 0.5


def test_a_source_that_answers_once_and_fails_is_asked_ever_less():
    one, told, provider = play(*[[[A], 1, OSError("broken pipe")]] * 1000, seconds=600)
    assert len(told) == 1 and one.errors < 40
    pauses = [b - a - 1 for a, b in zip(provider.begun, provider.begun[1:], strict=False)]
    assert min(pauses[-10:]) >= LONGEST_PAUSE / 2 and max(pauses) <= LONGEST_PAUSE


def test_a_source_that_fails_now_and_then_is_asked_soon_each_time():
    _one, _told, provider = play(*[[[A], 5, OSError("broken pipe")]] * 1000, seconds=600)
    assert max(b - a - 5 for a, b in zip(provider.begun, provider.begun[1:], strict=False)) <= FIRST_PAUSE


@pytest.mark.parametrize(("holds", "soon"), [(STEADY - 0.1, False), (STEADY, True)])
def test_who_holds_its_answer_for_two_seconds_is_healthy_again(holds, soon):
    _one, _told, provider = play(*[[[A], holds, OSError("cut off")]] * 1000, seconds=600)
    pauses = [b - a - holds for a, b in zip(provider.begun, provider.begun[1:], strict=False)]
    assert max(pauses) <= FIRST_PAUSE if soon else min(pauses[-10:]) >= LONGEST_PAUSE / 2


def test_a_stale_word_has_its_age_and_grows_older():
    ages = []

    def look(one):
        ages.append(one.age)

    play([Membership((A,), age=90.0)], seconds=5, look=look)
    play([Membership((A,), age=90.0), 5, OSError("gone")], *[[OSError("gone")]] * 9, seconds=10, look=look)
    play([Membership((A,), age=90.0), 5, [A]], seconds=10, look=look)
    assert ages == [95.0, 100.0, 0.0]


def test_a_bug_in_a_provider_costs_nothing_but_itself(caplog):
    _one, told, _ = play([[A], 1, ZeroDivisionError()], [[A, B]], seconds=60)
    assert told[-1][2] == ["1", "2"]
    assert "a bug in a provider" in caplog.text


def test_a_provider_that_ends_is_asked_again():
    class Short:
        async def watch(self):
            yield Membership((A,))

    async def go():
        one = Following("app", "x", Short(), BrakeSettings(), lambda *_: None, Random(1))
        task = asyncio.create_task(one.run())
        await asyncio.sleep(30)
        task.cancel()
        await asyncio.wait([task])
        return one

    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        one = runner.run(go())
    assert one.members == (A,) and "ended its answers" in one.error


def test_many_removed_are_held_and_go_by_themselves_when_the_grace_is_over():
    _one, told, _ = play([[A, B, C], 10, []], seconds=200)
    assert told == [
        (0.0, "answer", ["1", "2", "3"]),
        (10.0 + GATHER, "held", ["1", "2", "3"]),
        (70.0 + GATHER, "released", []),
    ]


def test_a_second_removal_is_told_and_has_a_grace_of_its_own():
    _one, told, _ = play([[A, B, C, D], 10, [A], 50, []], seconds=200)
    assert told == [
        (0.0, "answer", ["1", "2", "3", "4"]),
        (10.0 + GATHER, "held", ["1", "2", "3", "4"]),
        (60.0 + GATHER, "held", ["1", "2", "3", "4"]),
        (70.0 + GATHER, "returned", ["1"]),
        (120.0 + GATHER, "released", []),
    ]


def test_an_operator_ends_the_hold():
    _one, told, _ = play([[A, B, C], 1, []], seconds=5, look=Following.accept)
    assert told[-1] == (5.0, "released", [])


def test_who_comes_and_goes_is_kept_out_and_let_in_without_a_further_word():
    flapping = [step for _ in range(3) for step in (1, [B, C, D], 1, [A, B, C, D])]
    _one, told, _ = play([[A, B, C, D], *flapping], seconds=60)
    assert told[-2][2] == ["2", "3", "4"]
    assert told[-1][1:] == ("returned", ["1", "2", "3", "4"])
    assert told[-1][0] == pytest.approx(11.1, abs=0.11)


def test_a_registry_that_loses_and_regains_everything_empties_no_service():
    script = [[A, B, C, D]] + [step for _ in range(6) for step in (20, [], 5, [A, B, C, D])]
    one, told, _ = play(script, seconds=350)
    assert [len(addresses) for _, _, addresses in told] == [4] * len(told)
    assert one.hold_down.out == {}, "the brake kept them in force: nobody left"


def test_an_earlier_life_is_in_force_until_the_first_answer():
    def look(one):
        assert one.members == (A, B) and not one.heard
        assert one.age == pytest.approx(105, abs=0.1)

    play([20, [A]], seconds=5, look=look, begin=[A, B])
    _, told, _ = play([20, [A]], seconds=30, begin=[A, B])
    assert told == [(20.0, "answer", ["1"])]
    _, told, _ = play([20, []], seconds=30, begin=[A, B])
    assert told == [(20.0, "held", ["1", "2"])], "an empty registry after its restart"


def test_bad_entries_are_set_aside_with_their_reason(caplog):
    word = Membership(
        (A, Member("nonsense", name="web-7"), Member("b:1", weight=-1)), (Unusable("x", "no port"),)
    )
    one, _told, _ = play([word], seconds=1)
    assert one.members == (A,)
    assert [bad.entry for bad in one.unusable] == ["x", "web-7", "b:1"]
    assert "web-7" in caplog.text and "no port" in caplog.text


def test_what_a_part_of_the_source_spoke_of_stays_while_that_is_silent():
    one, two, other = Member(A.address, name="x"), Member(B.address, name="x"), Member(C.address, name="y")
    silent = Membership((other,), silent=("x",))
    found, told, _ = play([[one, two], 1, silent], seconds=100)
    assert found.members == (one, two, other) and not found.brake.held, "nothing goes, nor is it held"
    assert [letters for _, _, letters in told] == [["1", "2"], ["1", "2", "3"]]
    found, _, _ = play([silent, 1, [two, other]], seconds=5, begin=[one, two])
    assert found.members == (two, other), "it speaks again"


def test_addresses_come_in_normal_form_and_once():
    up, down = Member("A:080", name="1"), Member("a:80", state=Registered.DOWN, name="2")
    for order in ((up, down), (down, up)):
        good, bad = sound(order)
        assert [(m.address, m.state) for m in good] == [("a:80", Registered.UP)]
        assert len(bad) == 1 and "twice" in bad[0].reason


def test_a_word_that_its_source_calls_old_is_as_old_as_it_says():
    def look(one):
        assert (one.error, one.age) == ("", pytest.approx(27.0, abs=0.1))

    play([[A], 1, Membership((A,), age=20.0)], seconds=8, look=look)
