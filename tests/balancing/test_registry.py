"""The registry: names, sizes, options, dotted paths, and errors that say what to do."""

from __future__ import annotations

import pytest

from lb.balancing.contract import AlgorithmError
from lb.balancing.deadline import DeadlineRoundRobin
from lb.balancing.maglev import Maglev
from lb.balancing.registry import ALGORITHMS, METHODS
from lb.balancing.rendezvous import Rendezvous
from lb.balancing.round_robin import SmoothRoundRobin
from lb.plan import AlgorithmPlan
from tests.balancing.cases import OWN, Case, servers
from tests.balancing.own import Quietest


def make(name, count=5, **options):
    return Case(name, AlgorithmPlan(name, options=options), count).make()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_name_gives_its_class(name):
    assert type(make(name)) is ALGORITHMS[name]


@pytest.mark.parametrize(
    ("name", "count", "kind"),
    [
        ("round_robin", 50, SmoothRoundRobin),
        ("round_robin", 51, DeadlineRoundRobin),
        ("consistent_hash", 50, Rendezvous),
        ("consistent_hash", 51, Maglev),
    ],
)
def test_large_pools_get_another_class(name, count, kind):
    assert type(make(name, count)) is kind


@pytest.mark.parametrize("count", [5, 500])
@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_was_asked_for_is_used_at_any_size(method, count):
    assert type(make("consistent_hash", count, method=method)) is METHODS[method]


def test_method_auto_is_the_default():
    assert type(make("consistent_hash", 5, method="auto")) is Rendezvous
    assert type(make("consistent_hash", 500, method="auto")) is Maglev


def test_a_dotted_path_gives_the_users_class():
    balancer = make(OWN, sample=4)
    assert isinstance(balancer, Quietest)
    assert balancer.sample == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("robin", {}, "'robin' is not known: use one of round_robin, random,.* or package.module:Class"),
        ("no.such.module:Class", {}, "'no.such.module' cannot be imported: ModuleNotFoundError"),
        (":Class", {}, "'' cannot be imported"),
        ("tests.balancing.own:Absent", {}, "'tests.balancing.own' has no 'Absent'"),
        ("tests.balancing.own:NOT_A_CLASS", {}, "NOT_A_CLASS must be a subclass of lb.balancing"),
        ("pathlib:Path", {}, "Path must be a subclass of lb.balancing"),
        ("tests.balancing.own:Lost", {}, r"Lost must define pick\(key, tried\)"),
        ("lb.balancing.contract:Balancer", {}, r"must define pick\(key, tried\)"),
        ("tests.balancing.own:Broken", {}, "RuntimeError: no luck today"),
        (OWN, {"smaple": 3}, "unknown option smaple: it takes sample"),
        (OWN, {"sample": "many"}, "ValueError: invalid literal"),
        ("random", {"seed": 1}, "algorithm random: unknown option seed: it takes none"),
        ("round_robin", {"method": "maglev"}, "unknown option method"),
        ("consistent_hash", {"bound": 1}, "unknown option bound: it takes bounded_load, method"),
        (
            "consistent_hash",
            {"method": "md5"},
            "'md5' is not known: use one of auto, rendezvous, maglev, ketama",
        ),
        ("consistent_hash", {"method": 3}, "method 3 is not known"),
        ("consistent_hash", {"bounded_load": 0.9}, "bounded_load is 0.9: give 0 for none or a number from 1"),
        ("consistent_hash", {"bounded_load": "1.25"}, "bounded_load is '1.25'"),
        ("consistent_hash", {"bounded_load": True}, "bounded_load is True"),
        ("consistent_hash", {"bounded_load": float("nan")}, "bounded_load is nan"),
    ],
)
def test_errors_say_what_is_wrong(name, options, message):
    with pytest.raises(AlgorithmError, match=message):
        make(name, **options)


def test_bounded_load_zero_is_no_bound():
    balancer = make("consistent_hash", bounded_load=0)
    members = servers(3)
    balancer.rebuild(members)
    owner = balancer.pick(b"k", ())
    owner.load = 1000
    assert balancer.pick(b"k", ()) is owner
