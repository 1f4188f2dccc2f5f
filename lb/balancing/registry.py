"""The algorithms by name, and a user's own by dotted path.

Lives here: the literal table, the choice by pool size, and every check that an algorithm can be used as
configured. Must not live here: algorithms.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from random import Random

from lb.balancing.contract import AlgorithmError, Balancer
from lb.balancing.deadline import DeadlineRoundRobin
from lb.balancing.ewma import Ewma
from lb.balancing.first import First
from lb.balancing.ketama import Ketama
from lb.balancing.least_connections import LeastConnections
from lb.balancing.maglev import Maglev
from lb.balancing.power_of_two import PowerOfTwo
from lb.balancing.rendezvous import Rendezvous
from lb.balancing.round_robin import SmoothRoundRobin
from lb.balancing.uniform import UniformRandom
from lb.balancing.weighted_random import WeightedRandom
from lb.plan import AlgorithmPlan

ALGORITHMS: dict[str, type[Balancer]] = {
    "round_robin": SmoothRoundRobin,
    "random": UniformRandom,
    "weighted_random": WeightedRandom,
    "least_connections": LeastConnections,
    "power_of_two": PowerOfTwo,
    "ewma": Ewma,
    "consistent_hash": Rendezvous,
    "first": First,
}

# What runs under the same name in pools of more than SMALL servers, where O(n) a pick is too much.
SMALL = 50
LARGE: dict[str, type[Balancer]] = {"round_robin": DeadlineRoundRobin, "consistent_hash": Maglev}

# The option `method` of consistent_hash.
AUTO = "auto"
METHODS: dict[str, type[Balancer]] = {"rendezvous": Rendezvous, "maglev": Maglev, "ketama": Ketama}


def make(plan: AlgorithmPlan, count: int, rng: Random, clock: Callable[[], float]) -> Balancer:
    """The algorithm of `plan` for a service with `count` configured servers, healthy or not (so that
    health does not change the method, which would move keys). Raises AlgorithmError."""
    options = dict(plan.options)
    chosen: type[Balancer]
    method = options.pop("method", AUTO) if plan.name == "consistent_hash" else AUTO
    if method != AUTO:
        if method not in METHODS:
            raise AlgorithmError(f"method {method!r} is not known: use one of {AUTO}, {', '.join(METHODS)}")
        chosen = METHODS[str(method)]
    elif count > SMALL and plan.name in LARGE:
        chosen = LARGE[plan.name]
    else:
        chosen = find(plan.name)
    check_options(plan.name, chosen, options)
    try:
        return chosen(rng, clock, options)
    except AlgorithmError as error:
        raise AlgorithmError(f"algorithm {plan.name}: {error}") from error
    except Exception as error:  # a user's class may raise anything
        raise AlgorithmError(f"algorithm {plan.name}: {type(error).__name__}: {error}") from error


def find(name: str) -> type[Balancer]:
    """The class that `name` or "package.module:Class" stands for. Raises AlgorithmError."""
    if ":" not in name:
        if name not in ALGORITHMS:
            raise AlgorithmError(
                f"algorithm {name!r} is not known: use one of {', '.join(ALGORITHMS)},"
                " or package.module:Class for your own"
            )
        return ALGORITHMS[name]
    path, _, attribute = name.partition(":")
    try:
        module = import_module(path)
    except Exception as error:  # whatever the module does when it runs
        raise AlgorithmError(
            f"algorithm {name}: module {path!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        raise AlgorithmError(f"algorithm {name}: module {path!r} has no {attribute!r}")
    if not isinstance(found, type) or not issubclass(found, Balancer):
        raise AlgorithmError(
            f"algorithm {name}: {attribute} must be a subclass of lb.balancing.contract.Balancer"
        )
    if found.pick is Balancer.pick:
        raise AlgorithmError(f"algorithm {name}: {attribute} must define pick(key, tried)")
    return found


def check_options(name: str, chosen: type[Balancer], options: dict[str, str | int | float | bool]) -> None:
    """Raises AlgorithmError where `options` has one that `chosen` does not name in OPTIONS."""
    allowed = set(chosen.OPTIONS)
    unknown = sorted(set(options) - allowed)
    if unknown:
        if name == "consistent_hash":
            allowed.add("method")
        known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes none"
        raise AlgorithmError(f"algorithm {name}: unknown option {', '.join(unknown)}: {known}")
