"""Help, version, demo: what a user meets first."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

import lb
from tests.cli.conftest import PYTHON, ROOT, Process

_NAMED = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"


def run(*args, **kwargs):
    return subprocess.run(
        [*PYTHON, *args], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, **kwargs
    )


def test_version_names_version_and_build():
    ended = run("version")
    assert ended.returncode == 0
    assert re.fullmatch(
        rf"lb {re.escape(lb.__version__)} \((compiled|interpreted).*\), Python 3\.\d+\.\d+\n", ended.stdout
    )


@pytest.mark.parametrize("command", ["version", "--help"])
def test_the_quick_commands_do_not_load_the_slow_modules(command):
    script = (
        "import sys\nsys.argv[1:] = [sys.argv[1]]\nfrom lb.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    slow = ('aiohttp', 'uvloop', 'yaml', 'msgspec', 'lb.config', 'lb.control')\n"
        "    print([name for name in slow if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert ended.stdout.endswith("[]\n")


def test_help_lists_all_commands_and_the_exit_codes():
    ended = run("--help", env={**os.environ, "COLUMNS": "200"})
    assert ended.returncode == 0
    for command in ("run", "check", "explain", "servers", "events", "schema", "demo", "version"):
        assert re.search(rf"│ {command} ", ended.stdout)
    assert "3 an address cannot be listened on" in ended.stdout
    assert "\x1b" not in ended.stdout


COMMANDS = ("run", "check", "explain", "servers", "events", "top", "simulate", "schema", "demo", "version")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    ended = run(command, "--help")
    assert ended.returncode == 0
    assert "Usage" in ended.stdout


def test_an_unknown_command_is_exit_2():
    assert run("rum").returncode == 2


def test_completion_can_be_shown():
    # Which shell it is for is otherwise seen from who started it: nobody's shell did in a container.
    ended = run("--show-completion", "bash", env={**os.environ, _NAMED: "1"})
    assert ended.returncode == 0, ended.stderr
    assert "_LB_COMPLETE" in ended.stdout or "complete" in ended.stdout


def test_check_and_schema_are_reached(tmp_path):
    path = tmp_path / "lb.yaml"
    path.write_text('listeners: [":8080"]\nservices: {app: ["127.0.0.1:1"]}\nroutes: {"/": app}\n')
    assert run("check", str(path)).returncode == 0
    assert "workers: auto" in run("check", str(path), "--resolved").stdout
    assert '"$schema"' in run("schema").stdout or '"properties"' in run("schema").stdout
    path.write_text("nothing: 1\n")
    assert run("check", str(path)).returncode == 1


def test_the_demo_shows_what_to_try_and_ends_with_ctrl_c(tmp_path, free_port):
    path = tmp_path / "demo.yaml"
    path.write_text(
        "admin: {bind: '127.0.0.1:0'}\naccess_log: off\nworkers: 1\nlisteners: ['127.0.0.1:0']\n"
        f"routes: {{'/': app}}\nservices: {{app: ['127.0.0.1:{free_port}']}}\n"
    )
    demo = Process(*PYTHON, "demo", str(path))
    try:
        demo.until(" ready ", 30)
        port = re.search(r"listener=\S+ address=127\.0\.0\.1:(\d+)", demo.until("listening"))[1]
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/", timeout=10
        ) as response:
            assert response.read() == b"hello from app-1\n"
        os.killpg(demo.process.pid, signal.SIGINT)
        assert demo.wait() == 0
        shown = "".join(demo.output)
        assert f"curl http://127.0.0.1:{port}/headers" in shown
        assert f"curl -N http://127.0.0.1:{port}/events" in shown
        assert "/metrics" in shown
        assert "Traceback" not in "".join(demo.lines)
    finally:
        demo.end()


def test_a_demo_whose_ports_are_taken_says_so(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = tmp_path / "demo.yaml"
        path.write_text(
            "admin: off\nlisteners: ['127.0.0.1:0']\nroutes: {'/': app}\n"
            f"services: {{app: ['127.0.0.1:{taken.getsockname()[1]}']}}\n"
        )
        ended = run("demo", str(path))
    assert ended.returncode == 3
    assert "the demo server app-1 cannot listen on" in ended.stderr
