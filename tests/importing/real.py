"""A real nginx or HAProxy and an lb on what `lb import` makes of the same file, before the same servers.

The programs are on the path, or what tests.cluster.packages fetched. Where there are none the tests are
skipped by name; with CI=true they fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lb.importing.result import Draft
from tests.cluster.packages import PROXIES, cache
from tests.scenarios.harness import Client, Exchange, Lb, Origin, Response, eventually, free_address

DOCS = Path(__file__).resolve().parents[2] / "docs"
SAMPLES = Path(__file__).parent / "samples" / "alike"
# What lb says to servers by itself, and what belongs to one connection.
OURS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "via", "forwarded"}
HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}
# What every program answers in its own words, or its own framing.
ANSWERS = {"server", "date", "connection", "keep-alive", "content-length", "transfer-encoding"}


def program(name: str) -> str:
    """The path of `nginx` or `haproxy`."""
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:{cache(PROXIES)}/usr/sbin"
    if found := shutil.which(name, path=places):
        return found
    missing = f"there is no {name} (python -m tests.cluster.packages)"
    if os.environ.get("CI") == "true":
        raise FileNotFoundError(missing)
    pytest.skip(missing)


@dataclass
class Ask:
    """One request. `differs`: the answers are not alike, and the list of the import, or the page on moving,
    has this text."""

    target: str
    host: str = "shop.test"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    differs: str = ""

    def __str__(self) -> str:
        more = "".join(f" {name}={value}" for name, value in self.headers.items())
        return f"{self.method} {self.host}{self.target}{more}"


def telling(name: str) -> Callable[[Exchange], None]:
    """A server that answers with its name and the request; `?say=503` and `?wait=0.5` say how."""

    def behave(x: Exchange) -> None:
        given = parse_qs(urlsplit(x.target).query)
        size = len(x.body())
        time.sleep(float(given.get("wait", ["0"])[0]))
        headers = [(key.decode().lower(), value.decode("latin-1")) for key, value in x.head.fields]
        told = {"server": name, "method": x.method, "target": x.target, "headers": headers, "body": size}
        status = given.get("say", ["200"])[0]
        x.respond(
            json.dumps(told).encode(),
            f"{status} Said",
            "Content-Type: application/json\r\nX-Powered-By: python\r\nServer: little\r\n",
        )

    return behave


class Alike:
    """`file` with `@name@` filled in: `@web@` a listener, `@closed1@` where nobody listens, `@dir@` the
    folder with the other samples, others servers; as the real `kind` reads it, and as lb after `imported`."""

    def __init__(self, kind: str, file: str, imported: Callable[[Path], Draft]) -> None:
        path = program(kind)
        self.page = (DOCS / f"moving-from-{kind}.md").read_text()
        self.folder = Path(tempfile.mkdtemp(prefix="lb-alike-"))
        text = (SAMPLES / file).read_text()
        names = sorted(set(re.findall(r"@(\w+)@", text)))
        self._held = []
        self.servers = {
            name: Origin(telling(name))
            for name in names
            if name[-1].isdigit() and not name.startswith("closed")
        }
        self.places = {"real": {"dir": str(self.folder)}, "lb": {"dir": str(self.folder)}}
        for name in names:
            for places in self.places.values():
                if name in self.servers:
                    places[name] = self.servers[name].address
                elif name != "dir" and (not name.startswith("closed") or name not in self.places["real"]):
                    places[name], held = free_address()
                    self._held.append(held)
            if name.startswith("closed"):
                self.places["lb"][name] = self.places["real"][name]
        for name, places in self.places.items():
            (self.folder / f"{name}.{kind}").write_text(_filled(text, places))
        for other in SAMPLES.glob("*"):
            shutil.copy(other, self.folder)
        self.draft = imported(self.folder / f"lb.{kind}")
        assert self.draft.problems() == []
        admin, held = free_address()
        self._held.append(held)
        file_of_lb = self.folder / "lb.yaml"
        self.draft.top.update(workers=1, admin={"bind": admin})
        file_of_lb.write_text(self.draft.text())
        self._process = getattr(self, f"_{kind}")(path, self.folder / f"real.{kind}")
        try:
            self.lb = Lb(file_of_lb, admin)
            eventually(lambda: _listens(self.places["real"]["web"]), 10, f"{kind} does not listen")
        except BaseException:
            print((self.folder / "log").read_text())
            self.close()
            raise

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        if hasattr(self, "lb"):
            self.lb.kill()
        for origin in self.servers.values():
            origin.close()
        for held in self._held:
            held.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        root = f"{cache(PROXIES)}/usr/lib/x86_64-linux-gnu"
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, "LD_LIBRARY_PATH": root}
            )

    def _nginx(self, path: str, file: Path) -> subprocess.Popen[bytes]:
        text = file.read_text()
        if "http {" not in text:  # a file of conf.d
            text = f"events {{ }}\nhttp {{\n{text}\n}}\n"
        temporary = "".join(
            f"{one}_temp_path {self.folder}/{one};"
            for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(text.replace("http {", f"http {{ {temporary}", 1))
        whole = f"daemon off; master_process off; pid {self.folder}/nginx.pid; error_log stderr;"
        return self._start([path, "-p", str(self.folder), "-c", str(file), "-e", "stderr", "-g", whole])

    def _haproxy(self, path: str, file: Path) -> subprocess.Popen[bytes]:
        return self._start([path, "-db", "-f", str(file)])

    def both(self, ask: Ask) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the real one makes of a request, and what lb does."""
        found = [self.seen(side, ask) for side in ("real", "lb")]
        return found[0], found[1]

    def seen(self, side: str, ask: Ask, listener: str = "web") -> dict[str, Any]:
        """What the client and the server get."""
        return self._told(self.answer(side, ask, listener), ask, side, listener)

    def answer(self, side: str, ask: Ask, listener: str = "web") -> Response:
        with Client(self.places[side][listener], ask.host) as client:
            return client.request(ask.method, ask.target, ask.headers, ask.body)

    def _told(self, response: Response, ask: Ask, side: str, listener: str) -> dict[str, Any]:
        lines = [(name.decode().lower(), value.decode("latin-1")) for name, value in response.head.fields]
        told: dict[str, Any] = {"status": response.status, "text": ""}
        if response.body.startswith(b'{"server"'):
            told |= json.loads(response.body)
            told["service"] = told["server"].rstrip("0123456789")
            sent = [(name, value) for name, value in told.pop("headers")]
            told["forwarded"] = {name: value for name, value in sent if name in OURS}
            told["sent"] = sorted(line for line in sent if line[0] not in OURS and line[0] not in HOPS)
        elif b"<" not in response.body and response.status < 400:
            told["text"] = response.text
        else:  # a page of the program's own
            lines = [line for line in lines if line[0] not in ("content-type", "cache-control")]
        if response.status // 100 == 3:
            port = self.places[side][listener].rpartition(":")[2]
            lines = [(name, _absolute(value, ask.host, port)) for name, value in lines if name == "location"]
        told["headers"] = sorted(
            (name, value.replace("; charset=utf-8", "")) for name, value in lines if name not in ANSWERS
        )
        return told


def _absolute(location: str, host: str, port: str) -> str:
    """nginx names itself in what is local."""
    return f"http://{host}{location}" if location[0] == "/" else location.replace(f":{port}/", "/")


def compared(alike: Alike, ask: Ask) -> None:
    """Fails where the two differ and the import did not say so, or said so and they do not."""
    real, ours = alike.both(ask)
    differing = {
        name: (real.get(name), ours.get(name))
        for name in {*real, *ours} - {"server", "forwarded"}
        if real.get(name) != ours.get(name)
    }
    if not ask.differs:
        assert not differing, f"{ask}: the real one, lb: {differing}"
        return
    assert differing, f"{ask}: it does not differ any more"
    said = [*(str(gap) for gap in alike.draft.gaps), alike.page]
    assert any(ask.differs in one for one in said), said


def steady(alike: Alike, ask: Ask, server: str) -> None:
    """Waits until checks have left `server` alone on both sides."""
    for side in ("real", "lb"):
        eventually(
            lambda at=side: all(alike.seen(at, ask).get("server") == server for _ in range(3)), 10, str(ask)
        )


def _filled(text: str, places: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: places[found[1]], text)


def _listens(address: str) -> bool:
    try:
        Client(address).close()
    except OSError:
        return False
    return True
