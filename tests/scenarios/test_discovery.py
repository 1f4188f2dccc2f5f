"""Servers that come from a source: real processes, under load that counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from .harness import Origin, Scenario, answer, eventually
from .harness.process import ROOT
from .test_overrides import restart

CONFIG = """
workers: 2
listeners: [{{name: web, bind: "$web"}}]
services:
  app: {{discover: {{file: {path}}}}}
discovery: {{brake: {{grace: {grace}}}}}
routes: {{"/": app}}
"""


class Scene(Scenario):
    """A service of the servers that `put` names last."""

    def __init__(self, folder: Path, grace: str = "60s", config: str = CONFIG) -> None:
        self.path = folder / "servers.json"
        super().__init__(
            config.format(path=self.path, grace=grace),
            **{
                name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))
                for name in "abcd"
            },
        )

    def put(self, *names: object) -> None:
        entries = [
            {**name, "address": self.names[name["address"]]}
            if isinstance(name, dict)
            else self.names.get(name, name)
            for name in names
        ]
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(entries))
        os.replace(fresh, self.path)

    def __enter__(self) -> Scene:
        # the origins have their addresses before lb starts
        self.put(*self.first)
        super().__enter__()
        return self

    first: tuple[object, ...] = ("a", "b")


class Load:
    """Requests without a pause; counts answers by server, and everything else. `failed`: what was no server's letter,
    from the beginning."""

    def __init__(self, s: Scene) -> None:
        self.counts: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._s = s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with self._s.client() as c:
            while not self._stop.is_set():
                got = c.get()
                word = got.body.decode() if got.status == 200 else str(got.status)
                self.counts[word] += 1
                if len(word) > 1:
                    self.failed[word] += 1

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def now(self) -> set[str]:
        """Who answers from now on."""
        self.counts.clear()
        eventually(lambda: sum(self.counts.values()) >= 40)
        return set(self.counts)


def sources(s: Scene) -> dict:
    status, text = s.lb.admin("GET", "/api/v1/discovery")
    assert status == 200, text
    return json.loads(text)["services"][0]


def test_servers_come_and_go_and_no_request_fails(tmp_path):
    with Scene(tmp_path) as s, Load(s) as load:
        assert load.now() == {"a", "b"}
        s.put("a", "b", "c")
        eventually(lambda: "c" in load.now(), because="it does not come")
        s.put("b", {"address": "c", "weight": 3})
        eventually(lambda: load.now() == {"b", "c"})
        s.put("b", {"address": "c", "state": "down"})
        eventually(lambda: load.now() == {"b"})
        s.put("b", {"address": "c", "state": "drain"})
        eventually(lambda: s.lb.metric(r'lb_service_servers\{service="app",status="draining"') == 1)
        assert load.now() == {"b"}
        s.put("b", "c", "nonsense")
        eventually(lambda: load.now() == {"b", "c"})
        found = sources(s)
        assert found["answered"] and found["members"] == 2
        assert [bad["entry"] for bad in found["unusable"]] == ["nonsense"]
        assert s.lb.metric("lb_discovery_unusable") == 1
        _, text = s.lb.admin("GET", f"/api/v1/servers?service=app&address={s.names['c']}")
        assert json.loads(text)["servers"][0]["layers"]["discovery"]["state"] == "up"


def test_a_source_that_loses_everything_is_not_believed_at_once_and_an_operator_may(tmp_path):
    with Scene(tmp_path) as s, Load(s) as load:
        s.put()
        eventually(lambda: len(sources(s)["held"]) == 2)
        assert load.now() == {"a", "b"}
        assert s.lb.metric("lb_discovery_held") == 2
        command = [
            sys.executable,
            "-m",
            "lb",
            "discovery",
            "accept",
            "app",
            "--admin",
            f"http://{s.lb.admin_address}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert "0 servers" in done.stdout
        eventually(lambda: load.now() == {"503"})
        again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
        assert again.returncode == 2 and "nothing of app is held" in again.stderr


def test_of_what_is_held_our_own_checks_decide(tmp_path):
    config = CONFIG.replace(
        "{path}}}}}", "{path}}}, health_check: {{http: /, interval: 100ms, fall: 2, rise: 2}}}}"
    )
    with Scene(tmp_path, config=config) as s, Load(s) as load:
        s.put()
        eventually(lambda: len(sources(s)["held"]) == 2)
        assert load.now() == {"a", "b"}
        s.b.behaviour = answer(b"HTTP/1.1 500 Broken\r\nContent-Length: 1\r\n\r\nx")
        eventually(lambda: load.now() == {"a"})
        assert len(sources(s)["held"]) == 2  # held all the same: the source names neither
        s.b.behaviour = s.b.first_behaviour
        eventually(lambda: load.now() == {"a", "b"})
        s.put("a", "b")
        eventually(lambda: not sources(s)["held"])


def test_what_is_held_goes_when_the_grace_is_over(tmp_path):
    with Scene(tmp_path, grace="1s") as s, Load(s) as load:
        s.put("c")
        eventually(lambda: load.now() == {"c"})
        assert "503" not in load.counts
        said = s.lb.said()
        assert said.index("removal_held") < said.index("removal_released")


def test_a_source_that_is_gone_changes_nothing_and_is_said(tmp_path):
    with Scene(tmp_path) as s, Load(s) as load:
        os.unlink(s.path)
        eventually(lambda: not sources(s)["answered"])
        assert "cannot be read" in sources(s)["error"]
        assert load.now() == {"a", "b"}
        eventually(lambda: s.lb.metric("lb_discovery_age_seconds") > 0)
        s.put("b", "c")
        eventually(lambda: load.now() == {"b", "c"}, within=20)


def test_a_start_without_its_source_begins_with_what_was_known(tmp_path):
    with Scene(tmp_path) as s:
        eventually(lambda: any(s.directory.rglob("discovery.json")))
        os.unlink(s.path)
        restart(s)
        with Load(s) as load:
            assert load.now() == {"a", "b"}
            assert not sources(s)["answered"] and sources(s)["age"] > 0
            s.put("c", "b")
            eventually(lambda: load.now() == {"b", "c"}, within=20)


def test_a_reload_keeps_who_follows_and_waits_for_who_begins(tmp_path):
    with Scene(tmp_path) as s, Load(s) as load:
        before = sources(s)["updates"]
        s.write(CONFIG.format(path=s.path, grace="60s") + "shutdown_grace: 7s\n")
        eventually(lambda: s.generation() == 2)
        assert sources(s)["updates"] == before, "it goes on"
        other = tmp_path / "others.json"
        other.write_text(json.dumps([s.names["d"]]))
        s.write(CONFIG.format(path=other, grace="60s"))
        eventually(lambda: load.now() == {"d"})
        assert "503" not in load.counts


def test_beside_servers_of_the_file(tmp_path):
    config = CONFIG.replace("app: {{", 'app: {{servers: [{{address: "$a", weight: 9}}], ')
    with Scene(tmp_path, config=config) as s, Load(s) as load:
        assert load.now() == {"a", "b"}
        s.put("b", {"address": "a", "weight": 1, "state": "down"})
        eventually(lambda: load.now() == {"b"}, because="the source takes out a server of the file as well")
        s.put("b")
        eventually(lambda: load.now() == {"a", "b"}, because="it says nothing of it any more")


def test_a_change_of_one_service_leaves_the_others_and_a_new_worker_has_the_last_members(tmp_path):
    config = (
        CONFIG.replace("workers: 2", "workers: 1")
        .replace("  app:", "  other: [$c, $d]\n  app:")
        .replace('{{"/": app}}', '{{"/": app, "/other": other}}')
    )
    with Scene(tmp_path, config=config) as s, s.client() as c:
        turns = []
        for name in "cdcdcd":
            before = s.generation()
            s.put("a", "b", s.names[name])
            eventually(lambda before=before: s.generation() > before)
            turns.append(c.get("/other").body)
        assert turns in ([b"c", b"d"] * 3, [b"d", b"c"] * 3), "an algorithm that was built anew begins anew"
        (pid,) = s.lb.workers()
        os.kill(pid, signal.SIGKILL)
        s.put("a", "b")  # while there is no worker, or one that is just starting
        eventually(lambda: s.lb.workers() not in ([], [pid]))
        eventually(lambda: {s.get("/").body for _ in range(6)} == {b"a", b"b"})
        assert s.get("/other").body in (b"c", b"d")
