"""Who is asked about a server and what the answers mean: the same on every node, and none decides alone."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.cluster.voting import Opinion, Vote, choose, decide, digest

names = st.lists(st.sampled_from([f"lb-{at}" for at in range(12)]), unique=True, min_size=1)
keys = st.integers(0, 2**64 - 1)
answers = st.sampled_from([True, False, None])


def known(nodes):
    return {node: digest(node) for node in nodes}


@given(keys, names, st.integers(1, 5))
def test_the_same_nodes_are_chosen_whatever_the_order(key, nodes, by):
    found = choose(key, known(nodes), by)
    assert found == choose(key, known(reversed(nodes)), by)
    assert len(found) == len(set(found)) == min(by, len(nodes)) and set(found) <= set(nodes)


@given(keys, names, st.integers(1, 5), st.just("lb-new"))
def test_who_comes_or_goes_moves_only_its_own(key, nodes, by, new):
    before, after = choose(key, known(nodes), by), choose(key, known([*nodes, new]), by)
    assert set(after) - set(before) <= {new}
    assert len(set(before) - set(after)) <= (new in after)


@pytest.mark.parametrize(("count", "by"), [(3, 2), (5, 2), (10, 3)])
def test_each_node_checks_about_its_share(count, by):
    nodes = known(f"lb-{at}.example.com" for at in range(count))
    all_keys = [digest("app", f"10.0.{at // 256}.{at % 256}:8080") for at in range(3000)]
    shares = Counter(node for key in all_keys for node in choose(key, nodes, by))
    for node in nodes:
        assert shares[node] == pytest.approx(3000 * by / count, rel=0.12)
    moved = sum(choose(key, nodes, by) != choose(key, known(list(nodes)[1:]), by) for key in all_keys)
    assert moved == shares[next(iter(nodes))]


def opinions(found):
    return [Opinion(f"n{at}", up, "" if up else "refused") for at, up in enumerate(found)]


def test_the_table():
    for size in (1, 2, 3, 4, 5):
        for downs in range(size + 1):
            for ups in range(size + 1 - downs):
                vote = decide(opinions([False] * downs + [True] * ups + [None] * (size - downs - ups)))
                if downs > size / 2:
                    assert vote is not None and not vote.up
                elif ups and ups >= size / 2:
                    assert vote is not None and vote.up
                else:
                    assert vote is None, (size, downs, ups)


@given(st.lists(answers, min_size=2, max_size=9))
def test_what_is_decided_holds_whatever_the_silent_ones_find(found):
    vote = decide(opinions(found))
    silent = [at for at, up in enumerate(found) if up is None]
    if vote is None:
        return
    for count in range(len(silent) + 1):
        for down in combinations(silent, count):
            filled = [
                (at not in down) if up is None else up for at, up in enumerate(found)
            ]  # fmt: skip
            assert decide(opinions(filled)).up == vote.up


@given(st.lists(st.booleans(), min_size=2, max_size=9), st.data())
def test_one_node_alone_takes_nothing_down_and_whom_it_joins_is_no_matter(found, data):
    vote = decide(opinions(found))
    assert vote is not None, "all have spoken"
    assert vote.up == (found.count(False) * 2 <= len(found))
    assert vote.up or found.count(False) > 1
    order = data.draw(st.permutations(found))
    assert decide(opinions(order)).up == vote.up
    worse = [up and at > 0 for at, up in enumerate(found)]  # more that find it down never bring it up
    assert vote.up or not decide(opinions(worse)).up


def test_words():
    assert Vote(False, tuple(opinions([False, False]))).text == "2 of 2 nodes: refused"
    assert Vote(True, tuple(opinions([True, False]))).text == "1 of 2 nodes"
    assert Vote(True, tuple(opinions([True, False]))).split
    assert not Vote(True, tuple(opinions([True, None]))).split
