"""What must hold of any history of a cluster, whoever wrote it: knows nothing of how lb works."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple


class Published(NamedTuple):
    revision: int
    epoch: int
    digest: str


def violations(
    accepted: Sequence[Published], applied: Mapping[str, Sequence[Published]], live: Sequence[str]
) -> list[str]:
    """`accepted`: in the order of the store; `applied`: what each node put in force, in its order, over its
    restarts; `live`: the nodes that had time to reach the end."""
    found = []
    by_revision: dict[int, Published] = {}
    for before, after in itertools.pairwise(accepted):
        if after.epoch < before.epoch:
            found.append(f"{after} was accepted after {before}: an old term after a newer one")
    for one in accepted:
        if one.revision in by_revision:
            found.append(f"{one} and {by_revision[one.revision]} are the same revision")
        by_revision[one.revision] = one
    for name, sequence in applied.items():
        for before, after in itertools.pairwise(sequence):
            if after.revision < before.revision or after.epoch < before.epoch:
                found.append(f"{name} went back from {before} to {after}")
        found += [f"{name} runs {one}, which was never accepted" for one in sequence if one not in accepted]
    if accepted:
        for name in live:
            if not applied.get(name) or applied[name][-1] != accepted[-1]:
                last = applied[name][-1] if applied.get(name) else None
                found.append(f"{name} ended at {last}, not at {accepted[-1]}")
    return found


def strays(first: Mapping[int, Collection[str]], applied: Mapping[str, Sequence[Published]]) -> list[str]:
    """`first`: by revision that is for some nodes only, which; who else ran one of them?"""
    return [
        f"{name} ran {one}, which is for {', '.join(first[one.revision])}"
        for name, sequence in applied.items()
        for one in sequence
        if name not in first.get(one.revision, (name,))
    ]
