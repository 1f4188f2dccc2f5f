"""Servers behind wires that lose, cut, reset or delay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.faults.incident import Incident
from tests.faults.network import Delay, Network
from tests.faults.player import Player
from tests.faults.test_one_of_three import CONFIG, gone
from tests.scenarios.harness import eventually

able = os.geteuid() == 0 and shutil.which("ip") and shutil.which("nft")
pytestmark = pytest.mark.skipif(
    not able and not os.environ.get("CI"), reason="network namespaces need root, ip and nft"
)


class FarIncident(Incident):
    """Server 1 stands in a namespace of its own."""

    def __init__(self, far: Network, config: str = CONFIG) -> None:
        super().__init__(config)
        self.far = far

    def player(self, number: int) -> Player:
        if number != 1:
            return super().player(number)
        return Player(f"{self.far.host}:8080", "s1", self.far.prefix)


@pytest.fixture
def far() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.mark.parametrize("fault", ["is_silent", "hears_nothing", "says_nothing", "resets", "is_unreachable"])
def test_a_partition_is_noticed_and_then_fails_nobody(far: Network, fault: str) -> None:
    with FarIncident(far) as incident:
        bad = incident.servers[1]
        since = incident.now()
        getattr(far, fault)()
        eventually(lambda: gone(incident, bad), within=20, because="it was not noticed")
        detected = incident.now()
        incident.goes_on(500)
        before, after = incident.seen(since, detected), incident.seen(detected)
        print(fault, f"noticed after {detected - since:.2f}s; before", before, "after", after)
        assert [f for f in after.failed() if f.at > detected + 0.1] == []
        far.heals()
        eventually(
            lambda: incident.status(bad) in ("eligible", "up"), within=30, because="it did not come back"
        )


def test_some_loss_is_slow_but_right(far: Network) -> None:
    with FarIncident(far) as incident:
        since = incident.now()
        far.loses(3)
        incident.goes_on(1000)
        seen = incident.seen(since)
        print("3 % loss", seen)
        assert seen.failed() == []


def test_a_narrow_link_is_slow_but_right(far: Network) -> None:
    with FarIncident(far) as incident:
        far.is_narrow("512kbit")
        since = incident.now()
        incident.goes_on(600)
        seen = incident.seen(since)
        print("narrow", seen)
        assert len(seen.failed()) <= 5


def test_a_delay_is_no_failure() -> None:
    with Incident(CONFIG) as incident:
        slow = Delay(incident.servers[0].address, 0.1)
        try:
            incident.scenario.write(incident.config_with(slow.address))
            incident.lb.signal(1)
            since = incident.now()
            incident.goes_on(400)
            assert incident.seen(since).failed() == []
            assert incident.seen(since).slowest() >= 0.2
        finally:
            slow.close()
