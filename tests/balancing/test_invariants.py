"""What the contract promises, for every algorithm of the registry and for a user's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decisions import Select
from tests.balancing.cases import CASES, Case, Clock, Server

weights = st.one_of(st.integers(1, 10).map(float), st.floats(0.01, 1000, allow_nan=False))
light = st.one_of(st.integers(1, 3).map(float), st.floats(0.01, 3, allow_nan=False))


@st.composite
def pools(draw, at_most=60, weights=weights):
    count = draw(st.one_of(st.integers(1, 5), st.integers(1, at_most)))
    made = []
    for i in range(count):
        server = Server(f"app/10.0.0.{i}:80", draw(weights), draw(st.integers(0, 20)))
        if draw(st.booleans()):
            server.latency.observe(draw(st.floats(0, 100)), draw(st.booleans()), 990.0)
        made.append(server)
    return made


keys = st.one_of(st.just(b""), st.binary(min_size=1, max_size=40))


@st.composite
def requests(draw, members):
    """Requests in a row: a key and who was tried, often nearly everyone, sometimes strangers too."""
    made = []
    for _ in range(draw(st.integers(1, 8))):
        tried = draw(st.sampled_from([(), (), "some", "most", "all"]))
        if tried == "some":
            tried = draw(st.lists(st.sampled_from(members), max_size=5))
        elif tried == "most":
            spared = draw(st.integers(0, len(members) - 1))
            tried = members[:spared] + members[spared + 1 :]
        elif tried == "all":
            tried = list(members)
        if tried and draw(st.booleans()):
            tried = (*tried, Server("app/gone:80"))
        made.append((draw(keys), tried))
    return made


def examples(case: Case) -> int:
    return 5 if case.name.startswith(("consistent_hash, maglev", "consistent_hash, ketama")) else 20


def pools_for(case: Case):
    """Smaller where a table has to be built, which takes up to 50 ms interpreted."""
    return pools(20, light) if "ketama" in case.name else pools()


def run(balancer, wanted):
    return [(balancer.pick(key, tried), balancer.reason) for key, tried in wanted]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_picks_an_eligible_member_that_was_not_tried(case):
    @settings(max_examples=examples(case), deadline=None)
    @given(st.data())
    def check(data):
        members = data.draw(pools_for(case))
        balancer = case.make(data.draw(st.integers(0, 99)))
        balancer.rebuild(members)
        for key, tried in data.draw(requests(members)):
            found = balancer.pick(key, tried)
            left = [member for member in members if member not in tried]
            if left:
                assert found in left
                assert Select(balancer.reason) not in (Select.NONE, Select.ALL_TRIED, Select.NOT_ELIGIBLE)
            else:
                assert found is None
                assert balancer.reason == Select.ALL_TRIED

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_generator_and_clock_same_picks(case):
    @settings(max_examples=examples(case), deadline=None)
    @given(st.data())
    def check(data):
        members = data.draw(pools_for(case))
        wanted = data.draw(requests(members))
        seed = data.draw(st.integers(0, 99))
        runs = []
        for _ in range(2):
            balancer = case.make(seed, Clock())
            balancer.rebuild(members)
            runs.append(run(balancer, wanted))
        assert runs[0] == runs[1]

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rebuild_leaves_nothing_of_the_past(case):
    @settings(max_examples=examples(case), deadline=None)
    @given(st.data())
    def check(data):
        before, members = data.draw(pools_for(case)), data.draw(pools_for(case))
        used = case.make(5)
        used.rebuild(before)
        run(used, data.draw(requests(before)))
        fresh = case.make(6)
        fresh.rng.setstate(used.rng.getstate())
        wanted = data.draw(requests(members))
        used.rebuild(members)
        fresh.rebuild(members)
        assert run(used, wanted) == run(fresh, wanted)

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_member_can_be_reached(case):
    """Tried one after another, all members come up once: a request can be retried on each of them."""
    members = [Server(f"app/{i}", 0.01 if i == 3 else 1.0, i % 3) for i in range(12)]
    balancer = case.make()
    balancer.rebuild(members)
    tried: list[Server] = []
    while (found := balancer.pick(b"key", tried)) is not None:
        tried.append(found)
    assert sorted(tried, key=members.index) == members


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_member_is_picked_whatever_its_load(case):
    alone = Server("app/alone", 0.5, 1000)
    balancer = case.make()
    balancer.rebuild([alone])
    assert {balancer.pick(key, ()) for key in (b"", b"a", b"b")} == {alone}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_weights_that_change_under_way_harm_nobody(case):
    """A slow start, an agent or an operator changes weights: those of the balancer in force with a rebuild,
    those that one of an older generation knows without."""

    @settings(max_examples=examples(case), deadline=None)
    @given(st.data())
    def check(data):
        everybody = data.draw(pools_for(case))
        balancer = case.make(data.draw(st.integers(0, 99)))
        balancer.rebuild(list(everybody))
        members = everybody
        for _ in range(data.draw(st.integers(1, 4))):
            for member in data.draw(st.lists(st.sampled_from(everybody), max_size=5)):
                member.weight = data.draw(light if "ketama" in case.name else weights)
            if data.draw(st.booleans()):
                members = data.draw(st.lists(st.sampled_from(everybody), min_size=1, unique=True))
                members.sort(key=everybody.index)
                balancer.rebuild(list(members))
            for key, tried in data.draw(requests(members)):
                found = balancer.pick(key, tried)
                left = [member for member in members if member not in tried]
                assert found in left or (found is None and not left)

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_who_says_that_weights_count_lets_them_count(case):
    """WEIGHTED decides whether the Service sees to slow start itself."""
    balancer = case.make()
    heavy, light_one = Server("app/heavy", 9.0, 9), Server("app/light", 1.0, 9)
    balancer.rebuild([light_one, heavy])
    picks = [balancer.pick(b"key %d" % n, ()) for n in range(600)]
    assert (picks.count(heavy) > 420) is balancer.WEIGHTED, picks.count(heavy)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_best_score_is_what_a_pick_takes(case):
    """Scores explain, so they must be true; asking for them changes no pick."""

    @settings(max_examples=examples(case), deadline=None)
    @given(st.data())
    def check(data):
        members = data.draw(pools_for(case))
        seed = data.draw(st.integers(0, 99))
        balancer, silent = case.make(seed, Clock()), case.make(seed, Clock())
        balancer.rebuild(list(members))
        silent.rebuild(list(members))
        for key, tried in data.draw(requests(members)):
            scores = balancer.scores(key, tried)
            found = balancer.pick(key, tried)
            assert (found, balancer.reason) == (silent.pick(key, tried), silent.reason)
            left = [member for member in members if member not in tried]
            if not scores or found is None or (balancer.DRAWS and len(left) > 2):
                continue
            assert len(scores) == len(members)
            of = dict(zip(members, scores, strict=True))
            assert of[found] <= min(of[member] for member in left) + 1e-9

    check()


def test_every_algorithm_of_the_registry_has_scores():
    for case in CASES:
        balancer = case.make()
        balancer.rebuild([Server("app/a"), Server("app/b")])
        assert bool(balancer.scores(b"k", ())) is bool(balancer.SCORE) is (case.name != "a user's own")
