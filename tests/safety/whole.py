"""The same histories with the whole lb: three `lb run`, each with a file of its own, admin API and traffic.

What a node wrote down is here what its admin API said, asked all the time, what control published
(tests.safety.inside), and what requests were answered with: a document is one fixed answer, its number.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import aiohttp

from tests.cluster.checker import Published, strays, violations
from tests.safety.engines import section
from tests.safety.harness import KINDS, Run
from tests.safety.spawning import Node
from tests.scenarios.harness.process import free_address

DOCUMENT = """
listeners: [{name: web, bind: "${LB_TEST_SAFETY_WEB}"}]
routes: [{name: all, respond: {body: "%d"}}]
"""
OFTEN = 0.1  # seconds between two questions to a node, and between two requests through it
PATIENCE = aiohttp.ClientTimeout(total=10.0)
NO_END = aiohttp.ClientTimeout(total=None)
TURNS = (
    100  # that a request may wait for its answer, each of OFTEN: a harness that stands still blames nobody
)


class WholeNode(Node):
    """One lb over its restarts. `asked`: requests through it that were judged."""

    def __init__(self, spawner, folder, name, wires, given):
        super().__init__(spawner, folder, name, wires, given)
        (self.web, web), (self.admin, admin) = free_address(), free_address()
        self.held = [web, admin]
        self.ttl, file = given["ttl"], folder / f"{name}.yaml"
        part = json.dumps(section(given["engine"], given["ports"], given["shared"]))
        file.write_text(
            DOCUMENT
            % 0
            + f'workers: 1\nadmin: {{bind: "{self.admin}"}}\ncluster: {{engine: {given["engine"]}, '
            f"name: {given['cluster']}, node: {name}, ttl: {self.ttl}s, {given['engine']}: {part}}}\n"
        )
        self.output = folder / f"{name}.output"
        self.given = {
            "command": [sys.executable, "-m", "tests.safety.inside", "run", str(file)],
            "environment": {
                "STATE_DIRECTORY": str(folder / name), "LB_TEST_SAFETY_WEB": self.web,
                "LB_TEST_SAFETY_LOG": str(self.log), "LB_TEST_SAFETY_ORDERS": self.given["orders"],
            },
            "output": str(self.output),
        }  # fmt: skip
        self.groups = []  # of all its lives: workers outlive their control
        self.serves = False  # it answered, and was not killed since
        self.stands = False  # its workers too
        self.lived = 0
        self.broken = 0  # times that its workers were killed, paused, or woken
        self.asked = 0
        self.answers = []  # numbers of documents, where the next is another
        self.tasks, self.pushes = [], set()

    async def start(self):
        await super().start()
        self.groups.append(self.pid)
        self.say("started")
        if not self.tasks:
            session = aiohttp.ClientSession(
                timeout=PATIENCE, connector=aiohttp.TCPConnector(force_close=True, limit=0)
            )
            self.session = session
            self.tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._load())]

    async def kill(self, only_control=False):
        self.lived += 1
        if only_control:
            return await super().kill()
        self.serves = self.stands = False
        self.broken += 1
        self._signal_all(signal.SIGKILL)
        while self.lives:
            await asyncio.sleep(0.01)

    def pause(self, on, only_control=False):
        if only_control:
            return super().pause(on)
        self._signal_all(signal.SIGSTOP if on else signal.SIGCONT)
        self.broken += self.stands or on
        self.stands = on

    def _signal_all(self, number):
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)

    async def leave(self):
        """Nobody asks it any more."""
        tasks = [*self.tasks, *self.pushes]
        for task in tasks:
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(error, Exception):
                self.say("bug", text=f"the harness: {error!r}")
        if self.tasks:
            await self.session.close()

    def close(self):
        super().close()
        for one in self.held:
            one.close()

    def say(self, what, **more):
        self.lines.append({"at": time.monotonic(), "what": what, **more})

    def order(self, words):
        match words.split():
            case ["push", number, *first] if self.lives:
                self._begin(self._push(int(number), *first))
            case ["resign"] if self.lives:
                self._begin(self._resign())
            case _:
                super().order(words)

    def _begin(self, work):
        self.pushes.add(task := asyncio.create_task(work))
        task.add_done_callback(self.pushes.discard)

    async def _push(self, number, first=""):
        text = document(number)
        stage = f"&first={first}&watch={self.ttl}s&requests=0" if first else ""
        status, answer = await self._admin("POST", f"push?author=ada{stage}", text, {"If-Match": "*"})
        if status == 200 and not answer.get("error"):
            digest = hashlib.sha256(text).hexdigest()
            self.say("promised", revision=answer["revision"], number=number, digest=digest)

    async def _resign(self):
        if (await self._admin("POST", "resign"))[0] == 200:
            self.say("did", fault="resign")

    async def _admin(self, method, path, data=None, headers=None):
        """Its status, 0 for none, and what it says."""
        url = f"http://{self.admin}/api/v1/cluster{path and '/'}{path}"
        try:
            async with self.session.request(method, url, data=data, headers=headers) as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}

    async def _watch(self):
        """What it runs, and whether it leads; a paused one answers later, or not."""
        term = life = 0
        ran = None
        while True:
            status, said = await self._admin("GET", "")
            if life != self.lived:
                life, term = self.lived, 0  # of one that was killed meanwhile
            elif status == 200:
                epoch = said["term"]["epoch"] if said["term"] else 0
                if epoch != term:
                    self.say("elected" if epoch else "deposed", epoch=epoch or term)
                    term = epoch
                if said["running"]["revision"] and said["running"] != ran:
                    ran = said["running"]
                    self.say("applied", **ran)
            await asyncio.sleep(OFTEN)

    async def _load(self):
        while True:
            broken, asked = self.broken, asyncio.create_task(self._asked())
            try:
                for _ in range(TURNS):
                    if (await asyncio.wait([asked], timeout=OFTEN))[0]:
                        break
                fault, body = asked.result() if asked.done() else ("no answer", "")
            finally:
                asked.cancel()
            if broken == self.broken and not self.stands:
                self.asked += self.serves
                if fault and self.serves:
                    self.say("bug", text=f"a request failed: {fault}")
                if not fault:
                    self.serves = True
                    if self.answers[-1:] != [int(body)]:
                        self.answers.append(int(body))
            await asyncio.sleep(OFTEN)

    async def _asked(self):
        """What is wrong with the answer, and the answer."""
        try:
            async with self.session.get(f"http://{self.web}/", timeout=NO_END) as answer:
                body = await answer.text()
                good = answer.status == 200 and body.isdigit()
                return ("", body) if good else (f"{answer.status} {body[:80]!r}", "")
        except aiohttp.ClientError as error:
            return repr(error), ""


class WholeRun(Run):
    """Its end is that of its answers too."""

    kinds, node, spawner = (*KINDS, "stop-control", "kill-control"), WholeNode, "tests.safety.keeper"
    longer = 0.5  # who is elected is asked of the admin API

    async def settle(self):
        await super().settle()
        await self.until(lambda: not by_answers(self), 5)
        self.found += [f"by its answers: {one}" for one in by_answers(self)]
        for node in self.nodes:
            self.faults["requests"] += node.asked
            if "Traceback" in Path(node.output).read_text(errors="replace"):
                self.found.append(f"{node.name}: a traceback, see {node.output}")

    async def end(self):
        for node in self.nodes:
            await node.leave()
        await super().end()


def document(number):
    return (DOCUMENT % number).encode()


def by_answers(run):
    """The violations among what requests were answered with."""
    answered = {node.name: placed(run, node) for node in run.nodes}
    live = [node.name for node in run.nodes if node.lives]
    return violations(run.published, answered, live) + strays(run.first, answered)


def placed(run, node):
    """Which publications its answers were. A document may be that of several: of a rollout first, then of all
    nodes, and again where one was taken back. It is the first that breaks no rule, where there is one."""
    found = [Published(0, 0, "")]
    for number in filter(None, node.answers):  # 0: of its file
        digest = hashlib.sha256(document(number)).hexdigest()
        same = [one for one in run.published if one.digest == digest]
        for_it = [one for one in same if node.name in run.first.get(one.revision, (node.name,))]
        later = [one for one in for_it if one.revision >= found[-1].revision]
        found += (later or for_it or same or [Published(0, 0, f"the answer {number}")])[:1]
    if run.published and found[-1].digest == run.published[-1].digest:
        found[-1] = run.published[-1]
    return found[1:]
