"""What of the cluster has no value is not there: shared health that is not configured, an age of nothing."""

from __future__ import annotations

from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger
from lb.telemetry.metrics import Metrics
from tests.telemetry.facts import Facts


def samples(facts, name="lb_cluster_health_"):
    text = Metrics(Cells(-1, 0, 1, 4096), Ledger(4096), facts).render().decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(name))
    return {name: float(value) for name, value in lines}


def test_both_kinds_of_disagreement_are_always_there():
    assert samples(Facts()) == {
        'lb_cluster_health_disagreements{between="nodes"}': 2,
        'lb_cluster_health_disagreements{between="passive"}': 0,
        "lb_cluster_health_nodes": 3,
    }


def test_without_shared_health_there_are_none():
    facts = Facts()
    facts.cluster_said = facts.cluster_said._replace(disagreements=None)
    assert samples(facts) == {}


def test_an_engine_that_was_never_heard_has_no_age():
    facts, name = Facts(), "lb_cluster_engine_age_seconds"
    assert samples(facts, name) == {name: 0.5}
    facts.cluster_said = facts.cluster_said._replace(age=None)
    assert samples(facts, name) == {}
