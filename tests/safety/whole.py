"""The same histories with the whole lb: three `lb run`, each with a file of its own, admin API and traffic.

What a node wrote down is here what its admin API said, asked all the time, and what requests were answered
with: a document is one fixed answer, its number. A pause is of control; workers go on.
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

from tests.cluster.checker import Published, violations
from tests.safety.engines import section
from tests.safety.harness import Run
from tests.safety.spawning import ROOT, Node
from tests.scenarios.harness.process import free_address

DOCUMENT = """
listeners: [{name: web, bind: "${LB_TEST_SAFETY_WEB}"}]
routes: [{name: all, respond: {body: "%d"}}]
"""
OFTEN = 0.05  # seconds between two questions to a node, and between two requests through it
PATIENCE = aiohttp.ClientTimeout(total=10.0)


class WholeNode(Node):
    """One lb over its restarts. `asked`: requests through it that were judged."""

    def __init__(self, _spawner, folder, name, wires, given):
        self.name, self.wires, self.lines, self.pid = name, wires, [], 0
        self.engine, self.folder = given["engine"], folder
        (self.web, web), (self.admin, admin) = free_address(), free_address()
        self.held = [web, admin]
        self.file, self.output = folder / f"{name}.yaml", folder / f"{name}.output"
        part = json.dumps(section(self.engine, given["ports"], given["shared"]))
        self.file.write_text(
            DOCUMENT % 0 + f'workers: 1\nadmin: {{bind: "{self.admin}"}}\ncluster: {{engine: {self.engine}, '
            f"name: {given['cluster']}, node: {name}, ttl: {given['ttl']}s, {self.engine}: {part}}}\n"
        )
        self.process = None
        self.serves = False  # it answered, and was not killed since
        self.life = self.asked = 0
        self.answers = []  # numbers of documents, where the next is another
        self.tasks, self.pushes = [], set()

    async def start(self):
        state = self.folder / self.name
        with open(self.output, "ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "lb", "run", str(self.file), cwd=ROOT, start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "STATE_DIRECTORY": str(state), "LB_TEST_SAFETY_WEB": self.web},
            )  # fmt: skip
        self.pid = self.process.pid
        self.say("started")
        if not self.tasks:
            session = aiohttp.ClientSession(
                timeout=PATIENCE, connector=aiohttp.TCPConnector(force_close=True, limit=0)
            )
            self.session = session
            self.tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._load())]

    async def kill(self):
        """Control and workers."""
        self.serves, self.life = False, self.life + 1
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()

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
        for one in self.held:
            one.close()

    def heard(self):
        return self.lines

    def say(self, what, **more):
        self.lines.append({"at": time.monotonic(), "what": what, **more})

    def order(self, words):
        if self.lives:
            word, *numbers = words.split()
            work = self._resign() if word == "resign" else self._push(int(numbers[0]))
            self.pushes.add(task := asyncio.create_task(work))
            task.add_done_callback(self.pushes.discard)

    async def _push(self, number):
        text = (DOCUMENT % number).encode()
        status, answer = await self._admin("POST", "push?author=ada", text, {"If-Match": "*"})
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
            if life != self.life:
                life, term = self.life, 0  # of one that was killed meanwhile
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
            life, fault, body = self.life, "", ""
            try:
                async with self.session.get(f"http://{self.web}/") as answer:
                    body = await answer.text()
                    if answer.status != 200 or not body.isdigit():
                        fault = f"{answer.status} {body[:80]!r}"
            except (aiohttp.ClientError, TimeoutError) as error:
                fault = repr(error)
            if life == self.life:
                self.asked += self.serves
                if fault and self.serves:
                    self.say("bug", text=f"a request failed: {fault}")
                if not fault:
                    self.serves = True
                    if self.answers[-1:] != [int(body)]:
                        self.answers.append(int(body))
            await asyncio.sleep(OFTEN)


class WholeRun(Run):
    """Without pushes to one node first: which document is whose is told by its number."""

    kinds, staged, node = ("stop", "kill", "cut", "deaf", "late", "resign"), 0.0, WholeNode

    async def settle(self):
        await super().settle()
        said = {one.digest: one for one in self.published}

        def answered():
            return {
                node.name: [
                    said.get(digest, Published(0, 0, f"the answer {number}"))
                    for number in node.answers if number
                    for digest in [hashlib.sha256((DOCUMENT % number).encode()).hexdigest()]
                ]
                for node in self.nodes
            }  # fmt: skip

        live = [node.name for node in self.nodes if node.lives]
        await self.until(lambda: not violations(self.published, answered(), live), 5)
        self.found += [f"by its answers: {one}" for one in violations(self.published, answered(), live)]
        for node in self.nodes:
            self.faults["requests"] += node.asked
            if "Traceback" in Path(node.output).read_text(errors="replace"):
                self.found.append(f"{node.name}: a traceback, see {node.output}")

    async def end(self):
        for node in self.nodes:
            await node.leave()
        await super().end()
