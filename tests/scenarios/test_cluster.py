"""Three nodes of a cluster as real processes, on every engine: publishing, leaders that die, engines away."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys

import pytest

from tests.cluster.real import running

from .clusters import NODES, SECTIONS
from .harness import Origin, Scenario, answer, eventually
from .harness.process import ROOT, Lb

OWN = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: {"/": app}
cluster: {engine: %s, name: front, node: %s, ttl: %s, %s: %s}
"""
SHARED = """
listeners: [{name: web, bind: "${LB_TEST_WEB}"}]
services: {app: ["%s"]}
routes: {"/": app}
"""


@pytest.fixture(params=SECTIONS)
def engine(request, tmp_path):
    """Its name, and where it is."""
    if request.param == "local":
        yield request.param, tmp_path / "shared"
        return
    for server in running(request.param):
        yield request.param, server


class Nodes:
    def __init__(self, stack, engine, monkeypatch):
        self.name, self.engine = engine
        self.lapse = 30.0 if self.name == "consul" else 8.0  # seconds until a dead leader's lock is free
        self.all = {}
        self.letters = {letter: Origin(answer(OK % letter.encode())) for letter in "bc"}
        self._monkeypatch = monkeypatch
        for node in NODES:
            ports = [] if self.name == "local" else [self.engine.port]
            section = json.dumps(SECTIONS[self.name](ports, self.engine))
            ttl = "10s" if self.name == "consul" else "2s"
            own = OWN % (self.name, node, ttl, self.name, section)
            s = Scenario(
                own, quiet=True, a=Origin(answer(OK % b"a")), **(self.letters if not self.all else {})
            )
            monkeypatch.setenv("LB_TEST_WEB", s.names["web"])
            self.all[node] = stack.enter_context(s)
        self.live = dict(self.all)

    def status(self, node):
        code, text = self.all[node].lb.admin("GET", "/api/v1/cluster")
        assert code == 200, text
        return json.loads(text)

    def leader(self, within=None):
        """The one leader, once there is one."""

        def find():
            leading = among(self.live)
            assert len(set(leading.values())) == len(leading), "one term, two leaders"
            if len(leading) > 1:  # asked one after the other: the first may have handed over in between
                leading = among(leading)
            assert len(leading) < 2, leading
            return list(leading)

        def among(nodes):
            """Those that lead, with the epoch in which they do."""
            said = {node: self.status(node) for node in nodes}
            return {node: one["term"]["epoch"] for node, one in said.items() if one["role"] == "leader"}

        return eventually(find, within or self.lapse, "nobody leads")[0]

    def document(self, letter, ballast=0):
        """`ballast`: bytes of comments that do not compress."""
        file = self.all["one"].directory / f"{letter}.yaml"
        lines = "".join(f"# {random.randbytes(40).hex()}\n" for _ in range(ballast // 83))
        file.write_text(SHARED % self.letters[letter].address + lines)
        return str(file)

    def cli(self, *words, node=None):
        admin = f"http://{self.all[node or next(iter(self.live))].names['admin']}"
        command = [sys.executable, "-m", "lb", "cluster", *words, "--admin", admin]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=120)
        return ended.returncode, ended.stdout + ended.stderr

    def answers(self):
        return {node: s.get().body.decode() for node, s in self.live.items()}

    def all_answer(self, letter):
        eventually(lambda: set(self.answers().values()) == {letter}, 20, "not all nodes follow")

    def kill(self, node):
        self.all[node].lb.kill()
        del self.live[node]

    def restart(self, node):
        s = self.all[node]
        self._monkeypatch.setenv("LB_TEST_WEB", s.names["web"])
        s.lb = Lb(s.file, s.names["admin"])
        self.live[node] = s


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%s"


@pytest.fixture
def nodes(engine, monkeypatch):
    with contextlib.ExitStack() as stack:
        yield Nodes(stack, engine, monkeypatch)


def test_one_leads_and_all_run_what_it_published(nodes):
    nodes.leader()
    assert set(nodes.answers().values()) == {"a"}
    code, said = nodes.cli("push", nodes.document("b"), "--base", "0", "--author", "ada", "-m", "to b")
    assert code == 0, said
    assert "3 of 3 nodes run revision 1" in said
    nodes.all_answer("b")
    # two operators cannot overwrite each other unseen
    code, said = nodes.cli("push", nodes.document("c"), "--base", "0", node="two")
    assert code == 6 and "ada" in said, said
    # what is not valid is published nowhere
    bad = nodes.all["one"].directory / "bad.yaml"
    bad.write_text("listners: []\nadmin: off\n")
    code, said = nodes.cli("push", str(bad), "--base", "1", node="three")
    assert code == 1 and "listners" in said and "each node has its own" in said, said
    assert nodes.status("three")["published"]["revision"] == 1

    dead = nodes.leader()
    epoch = nodes.status(dead)["term"]["epoch"]
    nodes.kill(dead)
    heir = nodes.leader()
    assert nodes.status(heir)["term"]["epoch"] > epoch
    # larger than one value of Consul, ZooKeeper or etcd may be: it is stored in pieces
    code, said = nodes.cli("push", nodes.document("c", 1_500_000), "--base", "1", "--no-wait")
    assert code == 0, said
    nodes.all_answer("c")
    nodes.restart(dead)
    nodes.all_answer("c")
    eventually(lambda: {nodes.status(node)["running"]["revision"] for node in NODES} == {2})
    code, said = nodes.cli("rollback", "1", "--no-wait")
    assert code == 0, said
    nodes.all_answer("b")
    code, said = nodes.cli("history")
    assert "revision 3" in said and "revision 1 again" in said, said
    code, said = nodes.cli("diff", "2", "3")
    assert f'+services: {{app: ["{nodes.letters["b"].address}"]}}' in said, said
    before = nodes.leader()
    code, said = nodes.cli("resign")
    assert code == 0, said
    eventually(lambda: nodes.leader() != before, 20, "it leads on")


# a folder is not away while its machine is there
@pytest.mark.parametrize("engine", [name for name in SECTIONS if name != "local"], indirect=True)
def test_without_the_engine_traffic_goes_on_and_nothing_is_published(nodes):
    nodes.leader()
    assert nodes.cli("push", nodes.document("b"), "--base", "0")[0] == 0
    nodes.engine.stop()
    eventually(
        lambda: all(
            not (found := nodes.status(node))["engine"]["reachable"] and found["role"] == "follower"
            for node in NODES
        ),
        30, "it is not told",
    )  # fmt: skip
    assert set(nodes.answers().values()) == {"b"}
    code, said = nodes.cli("push", nodes.document("c"), "--base", "1")
    assert code == 4, said
    code, said = nodes.cli("status")
    assert code == 0 and "does not answer" in said and "nothing can be published" in said, said
    # a node that starts now runs what ran last
    nodes.kill("three")
    nodes.restart("three")
    assert set(nodes.answers().values()) == {"b"}
    nodes.engine.start()
    nodes.leader(40)
    # A connection that broke with the engine may be noticed by the first push only; 6: it was done all the same.
    eventually(lambda: nodes.cli("push", nodes.document("c"), "--base", "1", "--no-wait")[0] in (0, 6), 20)
    nodes.all_answer("c")
