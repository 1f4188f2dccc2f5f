"""Three lbs of one cluster, and all that operators ask of it: publishing, rollouts, orders, looking.

Lives here: what is asked, by command and by API, and what is seen of it. Must not live here: engines and what
becomes of them (availability.py), what the page says of it (test_availability.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from lb.cli import orders, publishing

from .checked import Servers
from .harness import Origin, Scenario, answer, eventually
from .harness.process import ROOT

NODES = ("one", "two", "three")
CHECKED = 10  # servers with a health check
SPARE = ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")  # nobody is sent there; orders are given of them
OWN = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["%s"], %s}
routes: {"/": app}
cluster: {engine: %s, name: front, node: %s, ttl: %gs, shared_health: {by: 2}, %s: %s}
"""
SHARED = """
listeners: [{name: web, bind: "${%s}"}]
services: {app: ["%s"], %s}
routes: {"/": app}
"""
MORE = "spare: %s, checked: {servers: %s, health_check: {http: /healthz, interval: 500ms, timeout: 500ms}}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%s"
BROKEN = b"HTTP/1.1 500 Oh\r\nContent-Length: 1\r\n\r\nx"
NEVER = {"watch": "1h", "requests": "1000000"}  # operators end it


class Front:
    """`all`: the lbs by node. Servers answer with a letter: own files name "a", documents the others; that of
    "x" fails."""

    def __init__(self, stack, engine: str, lease: float, section) -> None:
        """`section`: node → the engine's section in its file."""
        self.engine, self.lease, self._section = engine, lease, section
        self.web = f"LB_TEST_WEB_{engine.upper()}"
        stack.callback(os.environ.pop, self.web, None)
        self.letters = {letter: Origin(answer(OK % letter.encode())) for letter in "abcde"}
        self.letters["x"] = Origin(answer(BROKEN))
        for origin in self.letters.values():
            stack.enter_context(contextlib.closing(origin))
        self.checked = Servers(CHECKED)
        stack.callback(self.checked.end)
        self._more = MORE % (json.dumps(SPARE), json.dumps(self.checked.addresses))
        self.all: dict[str, Scenario] = {}
        for node in NODES:
            s = Scenario(self.own(node), quiet=True)
            os.environ[self.web] = s.names["web"]
            self.all[node] = stack.enter_context(s)
            self.checked.pids[s.lb.pid] = node
        self.documents = {letter: self.all["one"].directory / f"{letter}.yaml" for letter in self.letters}
        for letter, file in self.documents.items():
            file.write_text(SHARED % (self.web, self.letters[letter].address, self._more))

        eventually(lambda: self.known() == set(NODES), 60, "they do not report")

    def own(self, node: str) -> str:
        section = json.dumps(self._section(node))
        own = self.letters["a"].address, self._more, self.engine, node, self.lease, self.engine, section
        return OWN % own

    # ------------------------------------------------------------------------------- looking

    def ask(self, node, method, path, body=None, headers=None):
        code, text = self.all[node].lb.admin(method, path, body, headers)
        try:
            return code, json.loads(text)
        except ValueError:
            return code, text

    def status(self, node):
        return self.ask(node, "GET", "/api/v1/cluster")[1]

    def known(self):
        """The nodes that said what they run."""
        return {node["node"] for node in self.status("one")["nodes"]} & set(NODES)

    def metric(self, node, name):
        return self.all[node].lb.metrics()[f"lb_cluster_{name}"]

    def leaders(self, nodes=NODES):
        return [node for node in nodes if self.metric(node, "leader") == 1]

    def leader(self, within):
        return eventually(self.leaders, within, "nobody leads")[0]

    def reachable(self, nodes=NODES):
        return all(self.metric(node, "engine_reachable") == 1 for node in nodes)

    def traffic(self, nodes=NODES):
        return {node: self.all[node].get().text for node in nodes}

    def all_answer(self, letter, nodes=NODES, within=15):
        try:
            eventually(lambda: set(self.traffic(nodes).values()) == {letter}, within)
        except AssertionError:
            said = [self.status(node) for node in nodes]
            raise AssertionError(f"{letter} is not in force within {within} s: {said}") from None

    def server(self, node, service, address):
        return self.ask(node, "GET", f"/api/v1/servers?service={service}&address={address}")[1]["servers"][0]

    def ordered(self, address, nodes=NODES):
        """What is ordered everywhere of a spare server, by node."""
        return {
            node: order["mode"]
            if (order := self.server(node, "spare", address)["layers"]["everywhere"])
            else ""
            for node in nodes
        }

    def seen(self, node, revision):
        """Everything that only looks; `revision`: one to be shown."""
        asked = {
            "cluster": "/api/v1/cluster", "history": "/api/v1/cluster/history", "status": "/api/v1/status",
            "live": "/api/v1/live", "servers": "/api/v1/servers", "show": f"/api/v1/cluster/revisions/{revision}",
            "diff": f"/api/v1/cluster/diff/{revision}/{revision}",
        }  # fmt: skip
        typed = ("lb cluster status", "lb cluster history", "lb servers list")
        return {
            **{name: self.ask(node, "GET", path) for name, path in asked.items()},
            **{words: self._typed(node, words) for words in typed},
            "metrics": self.all[node].lb.metrics(),
        }

    def _typed(self, node, words):
        command = [sys.executable, "-m", *words.split(), "--admin", f"http://{self.all[node].names['admin']}"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
        return ended.returncode, ended.stdout + ended.stderr

    # ------------------------------------------------------------------------------- publishing

    def signed(self, node):
        return publishing.Signed(f"http://{self.all[node].names['admin']}", "ada", "")

    def push(self, letter, node="one", **stage):
        """`stage`: of a rollout. The exit code."""
        return publishing.push(self.signed(node), self.documents[letter], "current", stage, "")

    def published(self, letter, **stage):
        """A connection that broke with the engine may be noticed by the first order only, and what was refused
        for want of an answer may have been done."""
        codes: list[int] = []
        eventually(lambda: codes.append(self.push(letter, **stage)) or codes[-1] != publishing.CANNOT_RUN, 40)
        assert codes[-1] == publishing.OK or codes[-2:] == [publishing.CANNOT_RUN, publishing.OVERTAKEN], (
            codes
        )
        self.all_answer(letter, [stage["first"]] if stage else NODES)
        return publishing.OK

    def head(self, node="one"):
        return self.status(node)["published"]

    def goes_on(self):
        """A rollout that nobody ends; what was published after it."""
        self.published("e", first="two", watch="1s", requests="0", latency="999")
        self.all_answer("e", within=45)  # the next leader watches anew, should this one lose its term
        return self.head()

    def comes_back(self):
        """One whose requests fail; what was published after it."""
        before = self.traffic()
        self.published("x", first="two", watch="1h")
        tried = eventually(lambda: (head := self.head())["stage"] and head["revision"], 10)
        eventually(
            lambda: self.traffic() == before and self.head()["revision"] > tried, 30, "it is not taken back"
        )
        return self.head()

    def ended(self, way, letter, stays):
        """A rollout that an operator ends; the exit code."""
        self.published(letter, first="two", **NEVER)
        code = publishing.end_rollout(self.signed("three"), way, "")
        self.all_answer(stays)
        return code

    def ends_nothing(self):
        """Ending a rollout that the store does not know: exit code, status and error."""
        code = eventually(
            lambda: (found := publishing.end_rollout(self.signed("one"), "promote", "")) != 4 and found, 20
        )
        answered, said = self.ask("one", "POST", "/api/v1/cluster/abort")
        return code, answered, said["error"]

    def resigned(self, within):
        """The exit code, who led, and who leads then."""
        before = self.leader(within)
        code = publishing.resign(self.signed("three"))
        eventually(lambda: (now := self.leaders()) and now != [before], within, "it leads on")
        return code, before, self.leader(within)

    # ------------------------------------------------------------------------------- orders

    def order(self, address, mode, node="one", everywhere=True, for_=""):
        """The exit code."""
        admin = f"http://{self.all[node].names['admin']}"
        of = f"spare/{address}"
        if not mode:
            return orders.lift(orders.Order(admin, of, None, None, "", "", "ada", everywhere))
        return orders.give(orders.Order(admin, of, mode, None, "", for_, "ada", everywhere))

    def orders(self, address, mode, **more):
        """The exit code of the first that was not refused for want of an answer."""
        codes: list[int] = []
        eventually(
            lambda: codes.append(self.order(address, mode, **more)) or codes[-1] != publishing.CANNOT_RUN, 40
        )
        return codes[-1]

    def ordered_here(self, node):
        """What one can order of a node alone: exit codes, and what held meanwhile."""
        codes = [self.order(SPARE[2], "maintenance", node, everywhere=False)]
        held = self.server(node, "spare", SPARE[2])["status"]
        return [*codes, self.order(SPARE[2], "", node, everywhere=False)], held

    def refused(self, node):
        """All orders at once: the exit code, the status and the error of the API."""
        signed, text = self.signed(node), self.documents["a"].read_text()
        there = f"/api/v1/services/spare/servers/{quote(SPARE[2], safe='')}/override/everywhere"
        typed = {
            "push": lambda: self.push("a", node),
            "push --first": lambda: self.push("a", node, first="two", watch="1s"),
            "rollback": lambda: publishing.rollback(signed, 1, ""),
            "promote": lambda: publishing.end_rollout(signed, "promote", ""),
            "abort": lambda: publishing.end_rollout(signed, "abort", ""),
            "resign": lambda: publishing.resign(signed),
            "order everywhere": lambda: self.order(SPARE[2], "maintenance", node),
        }
        asked = {
            "push": ("POST", "/api/v1/cluster/push", text, {"If-Match": "*"}),
            "push --first": ("POST", "/api/v1/cluster/push?first=two", text, {"If-Match": "*"}),
            "rollback": ("POST", "/api/v1/cluster/rollback/1"),
            "promote": ("POST", "/api/v1/cluster/promote"),
            "abort": ("POST", "/api/v1/cluster/abort"),
            "resign": ("POST", "/api/v1/cluster/resign"),
            "order everywhere": ("PUT", there, '{"mode": "maintenance"}', {"If-Match": '"0"'}),
        }
        with ThreadPoolExecutor(len(typed) + len(asked)) as threads:
            codes = {name: threads.submit(command) for name, command in typed.items()}
            answers = {name: threads.submit(self.ask, node, *what) for name, what in asked.items()}
        return {
            name: (codes[name].result(), answers[name].result()[0], answers[name].result()[1].get("error"))
            for name in typed
        }

    # ------------------------------------------------------------------------------- shared health

    def sharing(self, nodes=NODES):
        """How many nodes share, as each of these says."""
        return {node: int(self.metric(node, "health_nodes")) for node in nodes}

    def here(self):
        """How many servers each node says it checks."""
        return [self.status(node)["shared_health"]["here"] for node in NODES]

    def asking(self):
        """Which nodes probe each server that is left, over some rounds."""
        self.checked.probes.clear()

        def rounds():
            found = {address: [] for address in self.checked.listening}
            for node, address in list(self.checked.probes.elements()):
                found.setdefault(address, []).append(node)
            return min(map(len, found.values())) >= 6 and found

        found = eventually(rounds, 20, "nobody checks")
        return {address: set(found[address]) for address in self.checked.listening}

    def words(self, address, nodes=NODES):
        return {self.server(node, "checked", address)["status"] for node in nodes}

    def dies(self, nodes=NODES):
        """One server more refuses all; seconds until it is down on these nodes, and whether others stay up."""
        dead, *others = self.checked.listening
        began = time.monotonic()
        self.checked.close(dead)
        eventually(lambda: self.words(dead, nodes) == {"down"}, 15, "it is not down")
        return time.monotonic() - began, {word for one in others for word in self.words(one, nodes)}

    def one_sees_less(self):
        """One node's network is broken, which all see: what the servers are meanwhile."""
        differ = 'lb_cluster_health_disagreements{between="nodes"}'

        def disagreements():
            return {self.all[node].lb.metrics()[differ] for node in NODES}

        self.checked.refused = {"two"}
        eventually(
            lambda: len(said := disagreements()) == 1 and said != {0}, 15, "nobody sees that they differ"
        )
        found = {word for one in self.checked.listening for word in self.words(one)}
        self.checked.refused = set()
        eventually(lambda: disagreements() == {0}, 15, "they still differ")
        return found
