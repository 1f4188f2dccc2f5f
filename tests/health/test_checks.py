"""The scheduler, with probes that are only counted and a clock that jumps from one timer to the next."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.health.attempt import Outcome
from lb.health.checks import Checks
from lb.health.plan import AgentProbe, AgentState, CheckPlan, HttpProbe, TcpProbe
from lb.health.probe import CannotProbeError
from lb.upstream.health import Health
from lb.upstream.status import Active
from tests.health.servers import gone, hang, play, saying, serving, sockets


class Jumping(selectors.DefaultSelector):
    """Waits for nothing: where nothing is ready, the clock goes to the next timer."""

    now = 1000.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits, and no timer is set")
        if not ready and timeout:
            self.now += timeout
        return ready


class FakeLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.clock = Jumping()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now


class Bench:
    """Checks at work, and what came of them: (seconds since the start, address) of each probe."""

    def __init__(self, pace="steady", takes=0.0, **options):
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.probes = []
        self.results = []
        self.most = self.running = 0
        self.pace = pace
        self.takes = takes
        self.checks = Checks(self.report, probe=self.probe, random=Random(1), **options)

    async def probe(self, plan, before):
        self.probes.append((round(self.loop.time() - self.began, 3), plan.address))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes)
            return await self.outcome(plan, before)
        finally:
            self.running -= 1

    async def outcome(self, plan, before):
        return Outcome(True, "fine")

    def report(self, result):
        self.results.append(result)
        return self.pace

    def times(self, address="a:1"):
        return [at for at, name in self.probes if name == address]


@pytest.fixture
def played():
    """Runs a test's coroutine on the fake loop."""

    def run(coroutine):
        with asyncio.Runner(loop_factory=FakeLoop) as runner:
            return runner.run(coroutine)

    return run


def plan(address="a:1", **settings):
    return CheckPlan("app", address, TcpProbe(), **{"interval": 5.0, "jitter": 0.0, **settings})


def test_the_first_probe_is_at_once_and_then_one_an_interval(played):
    async def test():
        bench = Bench(takes=1.0)
        bench.checks.reconcile([plan()])
        await asyncio.sleep(16)
        await bench.checks.close()
        assert bench.times() == [0, 5, 10, 15], "from start to start"
        assert len(bench.results) == 3
        assert bench.results[0][:5] == ("app", "a:1", TcpProbe(), True, "fine")
        assert bench.results[0].key == plan().key

    played(test())


def test_checks_that_began_together_do_not_stay_together(played):
    async def test():
        bench = Bench()
        bench.checks.reconcile([plan(f"a:{n}", jitter=0.1) for n in range(1, 2001)])
        await asyncio.sleep(30)
        await bench.checks.close()
        later = [at for at, _ in bench.probes if at >= 10]
        busiest = max(sum(start <= at < start + 0.5 for at in later) for start in range(10, 29))
        assert busiest < 300, "200 come in half a second when they are spread evenly"
        longest = max(b - a for n in range(1, 2001) for a, b in pairwise(bench.times(f"a:{n}")))
        assert longest <= 5.5

    played(test())


def test_the_interval_follows_the_pace(played):
    async def test():
        bench = Bench()
        bench.checks.reconcile([plan(interval_down=20.0, interval_rising=1.0)])
        await asyncio.sleep(7)
        bench.pace = "rising"
        await asyncio.sleep(5)
        bench.pace = "down"
        await asyncio.sleep(30)
        assert bench.times() == [0, 5, 10, 11, 12, 32]

    played(test())


def test_without_intervals_of_their_own_all_paces_are_one(played):
    async def test():
        bench = Bench(pace="down")
        bench.checks.reconcile([plan()])
        await asyncio.sleep(6)
        bench.pace = "rising"
        await asyncio.sleep(6)
        assert bench.times() == [0, 5, 10]

    played(test())


def test_jitter_spreads_within_its_share(played):
    async def test():
        bench = Bench()
        bench.checks.reconcile([plan(jitter=0.2)])
        await asyncio.sleep(1000)
        times = bench.times()
        gaps = [after - before for before, after in pairwise(times)]
        assert 4 <= min(gaps) < 4.2 and 5.8 < max(gaps) <= 6
        assert 4.8 < sum(gaps) / len(gaps) < 5.2

    played(test())


def test_a_probe_longer_than_its_interval_is_followed_at_once(played):
    async def test():
        bench = Bench(takes=7.0)
        bench.checks.reconcile([plan()])
        await asyncio.sleep(20)
        assert bench.times() == [0, 7, 14]
        assert bench.most == 1

    played(test())


def test_very_many_new_checks_are_spread(played):
    async def test():
        bench = Bench(takes=0.01)
        bench.checks.reconcile([plan(f"a:{number}") for number in range(2000)])
        await asyncio.sleep(4.1)
        times = [at for at, _ in bench.probes]
        assert len(times) == 2000 and times[0] == 0
        assert max(times) <= 4
        assert bench.most < 30

    played(test())


def test_no_more_probes_at_a_time_than_the_limit_and_nobody_is_forgotten(played):
    async def test():
        bench = Bench(takes=2.0, limit=10)
        bench.checks.reconcile([plan(f"a:{number}", interval=1.0) for number in range(25)])
        await asyncio.sleep(1)
        assert (bench.checks.running, bench.checks.waiting) == (10, 15)
        await asyncio.sleep(100)
        assert bench.most == 10
        counts = [len(bench.times(f"a:{number}")) for number in range(25)]
        assert max(counts) - min(counts) <= 1, "in turn"

    played(test())


def test_what_stays_keeps_its_rhythm_what_went_is_silent_what_is_new_is_probed_at_once(played):
    async def test():
        bench = Bench(takes=1.0)
        bench.checks.reconcile([plan("a:1"), plan("a:2")])
        await asyncio.sleep(3)
        bench.checks.reconcile([plan("a:3"), plan("a:1")])
        await asyncio.sleep(5.5)
        assert bench.times("a:1") == [0, 5]
        assert bench.times("a:2") == [0.002]
        assert bench.times("a:3") == [3, 8]

    played(test())


def test_a_check_that_goes_during_its_probe_is_cancelled_and_not_reported(played):
    async def test():
        bench = Bench(takes=2.0)
        bench.checks.reconcile([plan()])
        await asyncio.sleep(1)
        bench.checks.reconcile([])
        await asyncio.sleep(10)
        assert (bench.running, bench.results, bench.times()) == (0, [], [0])

    played(test())


def test_a_probe_that_ends_instead_of_being_cancelled_is_not_reported(played):
    async def test():
        bench = Bench()

        async def stubborn(plan, before):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(2)
            return Outcome(False, "connection lost")

        bench.outcome = stubborn
        bench.checks.reconcile([plan()])
        await asyncio.sleep(1)
        bench.checks.reconcile([])
        await asyncio.sleep(10)
        assert (bench.results, bench.times()) == ([], [0])

    played(test())


def test_a_check_that_goes_while_it_waits_for_a_place_is_not_probed(played):
    async def test():
        bench = Bench(takes=2.0, limit=1)
        bench.checks.reconcile([plan("a:1"), plan("a:2")])
        await asyncio.sleep(1)
        bench.checks.reconcile([plan("a:1")])
        assert bench.checks.waiting == 0
        await asyncio.sleep(10)
        assert bench.times("a:2") == []
        assert bench.times("a:1") == [0, 5, 10]

    played(test())


def test_a_new_interval_holds_from_the_last_probe_on(played):
    async def test():
        bench = Bench()
        bench.checks.reconcile([plan(interval=60.0)])
        await asyncio.sleep(10)
        bench.checks.reconcile([plan(interval=15.0)])
        await asyncio.sleep(10)
        assert bench.times() == [0, 15], "no probe of its own for a change of rhythm"
        bench.checks.reconcile([CheckPlan("app", "a:1", HttpProbe("/"), jitter=0.0)])
        await asyncio.sleep(1)
        assert bench.times() == [0, 15, 20], "another probe is another check"

    played(test())


names = st.sets(st.sampled_from([f"a:{number}" for number in range(8)]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(names, st.floats(0, 12)), max_size=8), st.floats(0, 7), st.integers(1, 8))
def test_whatever_is_wanted_when(steps, takes, limit):
    """After random reconciliations: one probe of a key at a time, never more than the limit, no result of
    what is not wanted, and everything wanted is probed as often as the places allow."""

    async def test():
        bench = Bench(takes=takes, limit=limit)
        wanted = set()
        busy = set()

        async def outcome(plan, before):
            assert plan.address in wanted
            return Outcome(True, "fine")

        async def probe(plan, before):
            assert plan.address not in busy
            busy.add(plan.address)
            try:
                return await Bench.probe(bench, plan, before)
            finally:
                busy.discard(plan.address)

        bench.outcome = outcome
        bench.checks = Checks(bench.report, probe=probe, limit=limit, random=Random(1))
        for names, pause in steps:
            wanted = names
            bench.checks.reconcile([plan(name) for name in sorted(names)])
            await asyncio.sleep(pause)
        seen = len(bench.probes)
        longest = max(5.0, takes * -(-8 // limit)) + takes + 0.1  # a round of all that may stand before it
        await asyncio.sleep(2 * longest)
        assert {address for _, address in bench.probes[seen:]} == wanted
        assert bench.most <= limit
        assert len(bench.results) <= len(bench.probes)
        await bench.checks.close()
        assert (busy, bench.running, bench.checks.running) == (set(), 0, 0)

    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        runner.run(test())


def test_the_report_may_reconcile(played):
    async def test():
        bench = Bench()

        def report(result):
            bench.results.append(result)
            bench.checks.reconcile([])
            return "steady"

        bench.checks = Checks(report, probe=bench.probe)
        bench.checks.reconcile([plan()])
        await asyncio.sleep(20)
        assert bench.times() == [0] and len(bench.results) == 1

    played(test())


@pytest.mark.parametrize("problem", [RuntimeError("a bug"), CannotProbeError("too many open files")])
def test_a_probe_that_cannot_be_made_says_nothing_of_the_server(played, problem):
    async def test():
        bench = Bench()

        async def broken(plan, before):
            raise problem

        bench.outcome = broken
        bench.checks.reconcile([plan()])
        await asyncio.sleep(11)
        assert bench.times() == [0, 5, 10] and bench.results == []

    played(test())


def test_one_complaint_for_many(played, caplog):
    async def test():
        bench = Bench()

        async def broken(plan, before):
            raise CannotProbeError("too many open files")

        bench.outcome = broken
        bench.checks.reconcile([plan(f"a:{number}") for number in range(50)])
        await asyncio.sleep(9)

    caplog.set_level("INFO")
    played(test())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "too many open files" in caplog.text and "\n" not in caplog.messages[0]


def test_a_report_that_fails_does_not_end_the_check(played, caplog):
    async def test():
        bench = Bench()
        bench.checks = Checks(lambda _: 1 / 0, probe=bench.probe)
        bench.checks.reconcile([plan()])
        await asyncio.sleep(11)
        assert bench.times() == [0, 5, 10]

    played(test())
    assert "ZeroDivisionError" in caplog.text


def test_an_agent_is_told_what_it_said_before(played):
    async def test():
        bench = Bench()
        heard = []

        async def agent(plan, before):
            heard.append(before)
            if len(heard) == 2:
                return Outcome(False, "no line within 2s")
            return Outcome(True, "50%", AgentState(0.5))

        bench.outcome = agent
        bench.checks.reconcile([CheckPlan("app", "a:1", AgentProbe(9777), jitter=0.0)])
        await asyncio.sleep(11)
        assert heard == [AgentState(), AgentState(0.5), AgentState(0.5)]
        assert [result.agent for result in bench.results] == [AgentState(0.5), None, AgentState(0.5)]

    played(test())


def test_the_end_leaves_no_task_no_timer_and_no_socket():
    async def test():
        async with serving(hang) as address:
            before = sockets()
            results = []
            checks = Checks(lambda result: results.append(result) or "steady")
            probes = (HttpProbe("/"), TcpProbe(), AgentProbe(int(address.rpartition(":")[2])))
            checks.reconcile([CheckPlan("app", address, probe, timeout=60) for probe in probes])
            while len(results) < 1 or checks.running < 2:
                await asyncio.sleep(0.01)
            await checks.close()
            assert checks.running == 0
            assert [(result.probe, result.ok) for result in results] == [(TcpProbe(), True)]
            await gone(before)

    play(test())


def test_a_server_that_dies_hangs_and_returns_is_seen_to():
    """The whole of it on real sockets: probes, rhythm and machine."""

    async def test():
        behaviour = [saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]

        async def talk(reader, writer):
            await behaviour[-1](reader, writer)

        machine = Health(rise=2, fall=3)
        told = []

        def report(result):
            if change := machine.observe(result.ok):
                told.append((change, result.why))
            return "rising" if machine.changing else "steady" if machine.state is Active.UP else "down"

        async def until(count):
            while len(told) < count:
                await asyncio.sleep(0.01)

        quick = {"interval": 0.1, "interval_rising": 0.02, "timeout": 0.5}
        async with serving(talk) as address:
            checks = Checks(report)
            checks.reconcile([CheckPlan("app", address, HttpProbe("/"), **quick)])
            await until(1)
            behaviour.append(hang)
            await until(2)
            behaviour.append(behaviour[0])
            await until(3)
            behaviour.append(saying(b"HTTP/1.1 503 No\r\n\r\n"))
            await until(4)
        assert told == [
            (Active.UP, "HTTP 200"),
            (Active.DOWN, "no answer within 0.5s"),
            (Active.UP, "HTTP 200"),
            (Active.DOWN, "HTTP 503, expected 200-399"),
        ]
        await checks.close()

    play(test())
