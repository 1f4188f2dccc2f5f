"""docs/balancing.md: the algorithm of one's own runs as printed, and the page names what there is."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import yaml

from lb.balancing.contract import AlgorithmError
from lb.balancing.registry import ALGORITHMS, METHODS, make
from lb.plan import AlgorithmPlan
from tests.balancing.cases import Clock, servers

PAGE = (Path(__file__).parents[2] / "docs" / "balancing.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """The plan of the page's YAML, with the page's Python where that looks for it."""
    (source,) = blocks("python")
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "balancing.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    given = yaml.safe_load(blocks("yaml")[-1])["algorithm"]
    return AlgorithmPlan(given["name"], options=given["options"])


def test_the_printed_algorithm_runs(printed):
    balancer = make(printed, 10, Random(1), Clock())
    members = servers(10)
    for member in members[2:]:
        member.load = 5
    balancer.rebuild(members)
    counts = Counter(balancer.pick(b"", ()) for _ in range(2000))
    # four drawn of ten hold one of two quiet ones in 2/3 of the cases
    assert sum(counts[m] for m in members[:2]) == pytest.approx(2000 * 2 / 3, rel=0.1)
    assert balancer.pick(b"", members[:9]) is members[9]
    assert balancer.pick(b"", members) is None


def test_the_printed_algorithm_takes_only_its_options(printed):
    with pytest.raises(AlgorithmError, match="it takes sample"):
        make(AlgorithmPlan(printed.name, options={"samples": 1}), 10, Random(1), Clock())


def test_the_page_names_all_algorithms_and_methods():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [*sorted(ALGORITHMS, key=rows.index), *METHODS]
