"""An agent of Consul that is cut from its servers by the network, while all of them live."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.network import run
from tests.scenarios.test_consul import CONFIG, Agent, ClientAgent, Voter, changed, source, three_and
from tests.scenarios.test_discovery import Load

from .harness import Origin, Scenario, answer, eventually

NOBODY = 65534  # what the agent runs as: on loopback only this tells its packets from the servers'

pytestmark = pytest.mark.skipif(
    not (os.geteuid() == 0 and shutil.which("nft") and shutil.which("setpriv")) and not os.environ.get("CI"),
    reason="rules for packets need root and nft",
)


class Foreign(ClientAgent):
    """The agent under a user of its own, that may read the files of the test."""

    def _consul(self) -> list[str]:
        free = "+dac_override"
        return [
            "setpriv",
            f"--reuid={NOBODY}",
            f"--inh-caps={free}",
            f"--ambient-caps={free}",
            *super()._consul(),
        ]


@contextmanager
def cut(agent: Foreign, servers: list[Voter]) -> Iterator[None]:
    """No packet from the agent reaches a server, and none from a server the agent."""
    table = f"lbcut{os.getpid()}"
    theirs = ", ".join(str(port) for server in servers for port in server.others)
    ours = ", ".join(str(port) for port in agent.others)
    run("nft", f"add table inet {table}")
    try:
        run("nft", f"add chain inet {table} output {{ type filter hook output priority 0; }}")
        run("nft", f"add rule inet {table} output meta skuid {NOBODY} th dport {{ {theirs} }} drop")
        run("nft", f"add rule inet {table} output meta skuid != {NOBODY} th dport {{ {ours} }} drop")
        yield
    finally:
        run("nft", f"delete table inet {table}")


@pytest.fixture
def three() -> Iterator[list[Voter]]:
    yield from three_and(Foreign)


def test_an_agent_that_is_cut_from_its_servers_costs_nothing(three):
    *servers, last = three
    agent, server = Agent(last), Agent(servers[0])
    s = Scenario((CONFIG % last.port).replace('"]}', '"], wait: 2s}'), **{
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode())) for name in "abc"
    })  # fmt: skip
    for letter in "ab":
        agent.register(s, letter)
    with s, Load(s) as load:
        changed(load, "ab", "start", within=20)
        with cut(last, servers):
            eventually(lambda: not source(s)["answered"], 60, "it is not told that the agent knows nothing")
            assert source(s)["error"] and source(s)["members"] == 2, source(s)
            assert server.leads(), "the servers are well"
            eventually(lambda: s.lb.metric("lb_discovery_age_seconds") > 0)
            assert load.now() == {"a", "b"}
        eventually(agent.leads, 40, "the agent does not find its servers again")
        agent.register(s, "c")
        changed(load, "abc", "registered after the cut", within=60)
        assert source(s)["answered"] and not load.failed
