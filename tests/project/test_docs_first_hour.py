"""docs/first-hour.md, done as it says: its files are written, its commands run in order by one shell, and
they print what the page says.

Ports are replaced by free ones. A block after `<!-- terminal -->` goes on in a terminal of its own, one after
`<!-- ends with 7 -->` has that exit code. In what is printed `…` stands for anything; the lines of the page
are looked for in order.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "first-hour.md").read_text()
BLOCK = re.compile(r"(?:<!-- (terminal|ends with \d) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("8080", "9900", "9001", "9002", "9003")
# `lb` and `python3` as a reader has them. Commands that ask the usual admin address ask this one.
LB = """#!/bin/sh
case "$1 $*" in
*--admin*) ;;
servers*|top*|events*|plan*) set -- "$@" --admin http://127.0.0.1:{admin} ;;
esac
exec {python} -m lb "$@"
"""


@pytest.fixture
def ports():
    """Held until the end: whoever binds with SO_REUSEADDR gets them, and nobody by chance."""
    with contextlib.ExitStack() as held:
        socks = [held.enter_context(socket.socket()) for _ in PORTS]
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", 0))
        yield dict(zip(PORTS, (str(sock.getsockname()[1]) for sock in socks), strict=True))


@pytest.fixture
def shell(tmp_path, ports):
    """`shell(commands, code)`: what they print, ending with `code`; `stay=True`: they are left running."""
    programs = tmp_path / "bin"
    programs.mkdir()
    python = shlex.quote(sys.executable)
    (programs / "lb").write_text(LB.format(admin=ports["9900"], python=python))
    (programs / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    folder = tmp_path / "hour"
    folder.mkdir()
    variables = {
        **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "STATE_DIRECTORY": str(tmp_path / "state"), "NO_PROXY": "127.0.0.1", "COLUMNS": "200",
    }  # fmt: skip
    running = []

    def run(commands, code=0, stay=False):
        if stay:
            with (tmp_path / "terminal.log").open("a") as log:
                terminal = subprocess.Popen(
                    ("bash", "-c", commands), cwd=folder, env=variables, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            running.append(terminal)
            return ""
        done = subprocess.run(
            ("bash", "-c", f"set -eo pipefail\n{commands}"), cwd=folder, env=variables,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        log = tmp_path / "terminal.log"
        told = f"{commands}\n{done.stdout}{done.stderr}\n{log.read_text() if log.exists() else ''}"
        assert done.returncode == code, told
        return done.stdout

    run.folder = folder
    yield run
    for process in reversed(running):
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
        return True
    return False


def test_the_first_hour_goes_as_the_page_says(shell, ports, eventually):
    page = re.sub(r"\b(8080|9900|900[123])\b", lambda found: ports[found[0]], PAGE)
    printed, done = "", []
    for mark, language, text in BLOCK.findall(page):
        done.append(language)
        if language == "yaml":
            name = re.match(r"# (\w+\.yaml)\n", text)[1]
            (shell.folder / name).write_text(text)
        elif language == "sh" and mark == "terminal":
            shell(text, stay=True)
            waited = ("8080", "9900") if "lb run" in text else ("9001", "9002", "9003")
            eventually(lambda asked=waited: all(listens(ports[port]) for port in asked), 60)
        elif language == "sh":
            printed = shell(text, int(mark[-1]) if mark else 0)
        else:
            assert language == "text"
            lines = [".*".join(map(re.escape, line.split("…"))) for line in text.splitlines()]
            wanted = "(.*\n)*?".join(f"^{line}\n" for line in lines)
            assert re.search(wanted, printed, re.MULTILINE), f"{text}\n--\n{printed}"
    assert {"yaml", "sh", "text"} == set(done)
    assert done.count("sh") == PAGE.count("```sh\n") > 8
