"""What `lb cluster` does: asking a running lb, and watching the nodes take a revision over.

Lives here: the words for people, the wait. Must not live here: what the user types (lb.cli.cluster),
publishing (lb.cluster).
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from lb.cli.admin import CANNOT_RUN, USAGE, UnansweredError, ask, request
from lb.cli.orders import login
from lb.cli.rollout import follow, trial
from lb.cli.terminal import coloured, complain, paint, say

OK, PROBLEMS, NOT_DONE, OVERTAKEN = 0, 1, 5, 6
EXIT = {"invalid_configuration": PROBLEMS, "conflict": OVERTAKEN}
PATIENCE = 40.0  # seconds for the leader's answer
STEP = 0.25  # seconds between two looks at the nodes
SILENT = 60.0  # seconds after which a node that says nothing is not waited for

_HEADER = re.compile(r"\A# lb cluster revision ([0-9]+)\r?(?:\n|\Z)")

Data = Mapping[str, Any]


class Signed(NamedTuple):
    """Whom to ask, and who asks why."""

    admin: str
    author: str
    message: str

    def query(self, **more: str) -> str:
        return urlencode({"author": self.author or login(), "message": self.message, **more})


def _answered(command: Callable[..., int]) -> Callable[..., int]:
    def guarded(*given: Any) -> int:
        try:
            return command(*given)
        except UnansweredError as error:
            for line in str(error).splitlines():
                complain(line)
            return error.code

    return guarded


@_answered
def status(admin: str, as_json: bool) -> int:
    """Returns the exit code, as all do here."""
    found = _status(admin)
    if as_json:
        json.dump(found, sys.stdout, indent=2)
        say()
        return OK
    engine, leader = found["engine"], found["leader"]
    say(f"{paint(found['name'], 'bold')}: {found['node']} is {found['role']}; engine {engine['name']}")
    if not engine["reachable"]:
        age = "never" if engine["age"] is None else f"{engine['age']:g}s ago"
        say(paint(f"the engine does not answer (last: {age}): {engine['error']}", "red"))
        say("traffic goes on, nothing can be published; what follows is what was read last")
    say(f"leader: {leader['node']}, epoch {leader['epoch']}" if leader else paint("leader: none", "yellow"))
    say(f"published: {_named(found['published'], found['running']['revision'])}")
    if found["rollout"]:
        say(f"tried on {', '.join(found['rollout']['first'])}: {trial(found['rollout'])}")
    if found["trouble"]:
        say(paint(found["trouble"], "red"))
    if found.get("shared_health"):
        say(_sharing_line(found["shared_health"]))
    for node in found["nodes"]:
        say(_node_line(node, found["published"]))
    return OK


@_answered
def show(admin: str, number: int) -> int:
    if not number:
        found = _status(admin)
        number = (found["published"] or {}).get("revision", 0)
        if not number:
            raise UnansweredError(USAGE, _unpublished(found))
    with request(admin, "GET", f"/api/v1/cluster/revisions/{number}") as response:
        text = response.read().decode()
    sys.stdout.write(f"# lb cluster revision {number}\n{_HEADER.sub('', text, count=1)}")
    return OK


@_answered
def history(admin: str, as_json: bool) -> int:
    found = ask(admin, "GET", "/api/v1/cluster/history")
    if as_json:
        json.dump(found, sys.stdout, indent=2)
        say()
        return OK
    if found["age"]:
        complain(f"the engine does not answer; this was read {found['age']:g}s ago")
    for revision in found["revisions"]:
        say(_named(revision))
    if not found["revisions"]:
        say("nothing is published yet")
    return OK


@_answered
def diff(admin: str, one: int, other: int) -> int:
    with request(admin, "GET", f"/api/v1/cluster/diff/{one}/{other}") as response:
        for line in response.read().decode().splitlines():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            say(paint(line, colour) if colour else line)
    return OK


@_answered
def push(signed: Signed, file: Path, base: str, stage: Mapping[str, str], timeout: str) -> int:
    """`stage`: the parameters of a rollout as the admin API has them, empty: to all nodes."""
    limit = _limit(timeout)
    data = file.read_bytes()
    if not base:
        found = _HEADER.match(data[:60].decode(errors="replace"))
        base = found[1] if found else ""
    if not base:
        published = _status(signed.admin)["published"]
        if published is not None:
            raise UnansweredError(
                USAGE,
                f"in force is {_named(published)}; say which revision {file} was made from: "
                f"--base {published['revision']} if you have seen it, --base current if that does not matter",
            )
        base = "0"
    if base != "current" and not re.fullmatch("[0-9]{1,18}", base):
        raise UnansweredError(USAGE, f"found --base {base}; expected a revision's number, or current")
    given = "*" if base == "current" else f'"{base}"'
    path = f"/api/v1/cluster/push?{signed.query(file=str(file), **stage)}"
    said = _order(signed.admin, path, data, {"If-Match": given})
    if said.get("error") or not stage or said["message"]:  # with a message: it was in force already
        return _published(signed.admin, said, limit)
    say(f"revision {said['revision']} is tried on {stage['first']}")
    ask_status = partial(_status, signed.admin)
    return follow(ask_status, said["revision"], limit + _limit(stage["watch"])) if limit else OK


@_answered
def rollback(signed: Signed, revision: int, timeout: str) -> int:
    limit = _limit(timeout)
    path = f"/api/v1/cluster/rollback/{revision}?{signed.query()}"
    return _published(signed.admin, _order(signed.admin, path, b"", {}), limit)


@_answered
def end_rollout(signed: Signed, way: str, timeout: str) -> int:
    """`way`: promote or abort."""
    limit = _limit(timeout)
    said = _order(signed.admin, f"/api/v1/cluster/{way}?{signed.query()}", b"", {})
    return _published(signed.admin, said, limit)


@_answered
def resign(signed: Signed) -> int:
    before = _status(signed.admin)["leader"]
    said = _order(signed.admin, f"/api/v1/cluster/resign?{signed.query()}", b"", {})
    if said.get("error"):
        return _refused(said)
    say(f"{before['node'] if before else 'the leader'} resigned")
    return OK


# ------------------------------------------------------------------------------------ asking


def _status(admin: str) -> Data:
    found: Data = ask(admin, "GET", "/api/v1/cluster")
    return found


def _order(admin: str, path: str, data: bytes, headers: dict[str, str]) -> Data:
    """What lb says, also where it refuses. Raises UnansweredError."""
    if not admin.startswith(("http://", "https://")):
        raise UnansweredError(USAGE, f"found --admin {admin}; write it like http://127.0.0.1:9900")
    asked = Request(  # noqa: S310 (the scheme was checked)
        admin.rstrip("/") + path, data, {"Content-Type": "application/yaml", **headers}, method="POST"
    )
    try:
        with build_opener(ProxyHandler({})).open(asked, timeout=PATIENCE) as response:
            found: Data = json.load(response)
            return found
    except HTTPError as error:
        with contextlib.suppress(ValueError):
            refused = json.load(error)
            if isinstance(refused, dict) and "error" in refused and "message" in refused:
                return refused
        return {"error": "failed", "message": f"{error.url} answered {error.code}"}
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnansweredError(CANNOT_RUN, f"{admin} does not answer: {reason}") from None


def _refused(said: Data) -> int:
    for problem in said.get("problems") or ():
        place = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem[key])
        complain(": ".join(part for part in (place, problem["path"], problem["message"]) if part))
    complain(said["message"])
    away = ("no_leader", "engine_away", "late", "failed", "internal_error")
    return EXIT.get(said["error"], CANNOT_RUN if said["error"] in away else USAGE)


def _limit(timeout: str) -> float:
    """Seconds; 0: do not wait."""
    from lb.config.values import duration

    if not timeout:
        return 0.0
    try:
        limit: float = duration().check(timeout)
    except ValueError as error:
        raise UnansweredError(USAGE, f"--timeout: {error}") from None
    return limit


def _published(admin: str, said: Data, limit: float) -> int:
    if said.get("error"):
        return _refused(said)
    number = said["revision"]
    say(f"revision {number} is published" if not said["message"] else f"revision {number}: {said['message']}")
    return _watch(admin, number, limit) if limit else OK


def _watch(admin: str, number: int, limit: float) -> int:
    """A line that says how many nodes run it, until all do."""
    began, live, last = time.monotonic(), coloured(sys.stdout), ""
    while True:
        nodes = [node for node in _status(admin)["nodes"] if node["age"] < SILENT]
        there = [node for node in nodes if node["revision"] >= number]
        refusing = [node for node in nodes if node["refused"] == number]
        line = f"{len(there)} of {len(nodes)} nodes run revision {number}"
        if live:
            sys.stdout.write(f"\r\x1b[K{line} ({time.monotonic() - began:.0f}s)")
            sys.stdout.flush()
        elif line != last:
            say(line)
        last = line
        done = bool(nodes) and len(there) == len(nodes)
        if done or len(there) + len(refusing) == len(nodes) > 0 or time.monotonic() - began > limit:
            if live:
                say()
            for node in nodes:
                if node not in there:
                    complain(f"{node['node']} runs revision {node['revision']}: {node['error'] or 'waiting'}")
            return OK if done else NOT_DONE
        time.sleep(STEP)


# ------------------------------------------------------------------------------------ words


def _unpublished(found: Data) -> str:
    if not found["running"]["revision"]:
        return "nothing is published yet"
    return f"{found['trouble']}; {found['node']} keeps its document as cluster/config.yaml in its state_dir"


def _named(revision: Data | None, running: int = 0) -> str:
    """`running`: what runs where nothing is published (any more)."""
    if revision is None:
        return "nothing" if running else "nothing; every node runs its own file"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(revision["at"]))
    again = f", revision {revision['restores']} again" if revision["restores"] else ""
    said = f": {revision['message']}" if revision["message"] else ""
    author = revision["author"] or "somebody"
    return f"revision {revision['revision']} (epoch {revision['epoch']}) by {author} at {when}{again}{said}"


def _sharing_line(health: Data) -> str:
    who = ", ".join(health["nodes"])
    said = f"health is shared by {who}" if len(health["nodes"]) > 1 else paint("health: alone", "yellow")
    return f"{said}; {health['here']} of {health['servers']} servers are checked here"


def _node_line(node: Data, published: Data | None) -> str:
    wanted = published["revision"] if published else 0
    colour = "red" if node["error"] else "green" if node["revision"] == wanted else "yellow"
    what = f"revision {node['revision']}" if node["revision"] else "its own file"
    silent = f", silent for {node['age']:.0f}s" if node["age"] > SILENT else ""
    line = f"  {node['node']}: {paint(what, colour)}, generation {node['generation']}{silent}"
    return f"{line}\n    {paint(node['error'], 'red')}" if node["error"] else line
