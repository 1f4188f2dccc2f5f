"""`lb run` from end to end: real processes, real sockets, the real data plane."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.cli.conftest import PYTHON, ROOT, Process, config


def respond(text):
    return f'[{{name: all, match: {{path_prefix: /}}, respond: {{status: 200, body: "{text}"}}}}]'


def test_it_starts_forwards_and_drains_on_sigterm(start_lb, servers, eventually):
    addresses = servers(2)
    lb = start_lb(config(addresses))
    assert {lb.get()[1] for _ in range(20)} == {"hello from server-1\n", "hello from server-2\n"}
    assert lb.ask_admin("/livez")[0] == 200
    assert lb.ask_admin("/readyz")[0] == 200
    workers = lb.workers()
    assert len(workers) == 2

    slow = []
    asking = threading.Thread(target=lambda: slow.append(lb.get("/slow")))
    asking.start()
    eventually(lambda: in_flight(lb) == 1)
    lb.signal(signal.SIGTERM)
    eventually(lambda: lb.ask_admin("/readyz")[0] == 503)
    assert lb.ask_admin("/livez")[0] == 200
    assert lb.get()[0] == 200, "the listeners must outlive readiness"
    eventually(lambda: refused(lb.port))
    assert lb.wait() == 0
    asking.join(5)
    assert slow[0][0] == 200
    assert slow[0][1].startswith("hello from server-")
    assert not any(alive(pid) for pid in workers)


def in_flight(lb):
    return sum(
        float(line.rpartition(" ")[2])
        for line in lb.ask_admin("/metrics")[1].splitlines()
        if "in_flight" in line and "server" in line and not line.startswith("#")
    )


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "ending", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT,)]
)
def test_a_second_signal_or_sigint_ends_at_once(start_lb, servers, eventually, ending):
    lb = start_lb(config(servers(1)))
    workers = lb.workers()
    broken = []

    def ask():
        try:
            lb.get("/slow")
        except OSError as error:
            broken.append(error)
        except Exception as error:  # http.client has its own
            broken.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: in_flight(lb) == 1)
    began = time.monotonic()
    for each in ending:
        lb.signal(each)
        if len(ending) > 1:
            lb.until("draining")
    assert lb.wait() == 0
    assert time.monotonic() - began < 1.5
    asking.join(5)
    assert broken
    assert not any(alive(pid) for pid in workers)


def write_unseen(path, text):
    """So that lb does not notice it by itself, and whoever tells it is not too late."""
    before = path.stat()
    path.write_text(text.ljust(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("how", ["signal", "file", "api"])
def test_a_reload_changes_all_workers_and_keeps_connections(start_lb, servers, how):
    lb = start_lb(config(servers(1), routes=respond("old")))
    assert lb.get() == (200, "old")
    kept = lb.connect()
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"old"
    sock = kept.sock

    new = config(["127.0.0.1:1"], routes=respond("new"))
    if how == "file":
        lb.write(new)
    else:
        write_unseen(lb.path, new)
    if how == "signal":
        lb.signal(signal.SIGHUP)
    elif how == "api":
        status, answer = lb.ask_admin("/api/v1/reload", "POST")
        assert status == 200, answer
    lb.until(f"reloaded trigger={how} generation=2", 5)
    assert {lb.get() for _ in range(20)} == {(200, "new")}
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"new"
    assert kept.sock is sock
    kept.close()


def test_a_reload_is_logged_as_a_diff(start_lb, servers):
    lb = start_lb(config(["127.0.0.1:9001"]))
    lb.write(config(["127.0.0.1:9001", "127.0.0.1:9002"]))
    lb.until("reloaded trigger=file generation=2 changes=1")
    lb.until("  service app: server 127.0.0.1:9002 added")


def test_a_signal_during_the_start_reloads_after_it(servers, tmp_path):
    path = tmp_path / "lb.yaml"
    path.write_text(config(servers(1)))
    lb = Process(*PYTHON, "run", str(path))
    try:
        lb.until(" starts ", 30)
        lb.signal(signal.SIGHUP)
        lb.until("reload: nothing changed trigger=signal generation=1", 30)
        assert [line for line in lb.lines if " ready " in line]
    finally:
        lb.end()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listeners: [", "lb.yaml:"),
        (config(["127.0.0.1:1"], routes='{"/": nothing}'), "nothing"),
        (config(["127.0.0.1:1"], routes="[{name: a, match: {path_regex: '('}, service: app}]"), "lb.yaml:"),
        (config(["127.0.0.1:1"]).replace("127.0.0.1:0'}]", "192.0.2.1:81'}]"), "machine has no such address"),
    ],
)  # fmt: skip
def test_a_bad_reload_keeps_the_old(start_lb, text, said):
    lb = start_lb(config(["127.0.0.1:1"], routes=respond("old")))
    lb.write(text)
    status, answer = lb.ask_admin("/api/v1/reload", "POST")
    assert status >= 400
    if said not in str(answer):
        lb.until(said)
    lb.until("the old configuration stays in force")
    assert {lb.get() for _ in range(20)} == {(200, "old")}
    lb.write(config(["127.0.0.1:1"], routes=respond("new")))
    lb.until("reloaded trigger=file")
    assert lb.get() == (200, "new")


def test_the_admin_api_tells_what_runs(start_lb):
    text = config(["127.0.0.1:1"]).replace(
        'app: ["127.0.0.1:1"]',
        """app: {servers: [
      "127.0.0.1:1", {address: "127.0.0.1:2", backup: true}]}""",
    )
    lb = start_lb(text)
    status, answer = lb.ask_admin("/api/v1/status")
    assert status == 200
    assert [worker["pid"] for worker in answer["workers"]] == lb.workers()
    assert {worker["state"] for worker in answer["workers"]} == {"running"}
    assert {worker["generation"] for worker in answer["workers"]} == {1}
    _, answer = lb.ask_admin("/api/v1/services")
    (service,) = answer["services"]
    states = {server["address"]: server["state"] for server in service["servers"]}
    assert states == {"127.0.0.1:1": "eligible", "127.0.0.1:2": "standby"}
    assert lb.ask_admin("/api/v1/config")[0] == 200
    assert "configuration" in lb.ask_admin("/readyz?verbose")[1]


def test_listeners_come_and_go_with_a_reload(start_lb, free_port, tmp_path, eventually):
    first = config(["127.0.0.1:1"], routes=respond("here"))
    lb = start_lb(first)
    path = tmp_path / "front.sock"
    more = f"bind: ['127.0.0.1:0', '127.0.0.1:{free_port}', '[::1]:{free_port}', 'unix:{path}']"
    lb.write(first.replace("bind: '127.0.0.1:0'}]", more + "}]"))
    lb.until("reloaded")
    addresses = {
        socket.AF_INET: ("127.0.0.1", free_port),
        socket.AF_INET6: ("::1", free_port),
        socket.AF_UNIX: str(path),
    }
    for family, address in addresses.items():
        for _ in range(5):
            with socket.socket(family) as sock:
                sock.settimeout(5)
                sock.connect(address)
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert sock.makefile("rb").read().endswith(b"here")
    lb.write(first)
    lb.until("reloaded trigger=file generation=3")
    eventually(lambda: refused(free_port))  # workers close theirs when they are told
    assert not path.exists()
    assert lb.get() == (200, "here")


def test_what_needs_a_restart_is_said(start_lb):
    text = config(["127.0.0.1:1"])
    lb = start_lb(text)
    lb.write(text.replace("workers: 2", "workers: 3").replace("admin: {bind: '127.0.0.1:0'}", "admin: off"))
    lb.until("workers: 3 are configured, 2 are running; restart lb to change that")
    lb.until("admin.bind: off is configured, 127.0.0.1:0 is in use; restart lb to change that")
    assert len(lb.workers()) == 2
    assert lb.ask_admin("/livez")[0] == 200


def time_to_import():
    began = time.monotonic()
    subprocess.run([*PYTHON[:1], "-c", "import lb.worker.main, lb.proxy.plane"], cwd=ROOT, check=True)
    return time.monotonic() - began


def test_a_killed_worker_is_replaced_within_a_second(start_lb, servers, eventually):
    lb = start_lb(config(servers(1)))
    assert lb.get()[0] == 200
    victim, other = lb.workers()
    limit = max(1.0, 3 * time_to_import())  # on a machine that is busy with something else
    before = len(lb.lines)
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    lb.until("worker started", after=before)
    assert time.monotonic() - began < limit
    assert [lb.get()[0] for _ in range(20)] == [200] * 20
    now = lb.workers()
    assert victim not in now
    assert other in now
    assert len(now) == 2


def test_workers_outlive_a_killed_control_and_end_on_sigterm(start_lb, servers, eventually):
    lb = start_lb(config(servers(1)))
    workers = lb.workers()
    lb.signal(signal.SIGKILL)
    lb.process.wait(5)
    try:
        assert [lb.get()[0] for _ in range(10)] == [200] * 10
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(alive_and_running(pid) for pid in workers))


def alive_and_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_sigusr1_reopens_the_access_log(start_lb, tmp_path, eventually):
    log = tmp_path / "access.log"
    lb = start_lb(
        config(["127.0.0.1:1"], routes=respond("x")).replace(
            "access_log: off", f"access_log: {{path: {log}}}"
        )
    )
    lb.get("/one")
    eventually(lambda: "/one" in log.read_text())
    old = log.rename(tmp_path / "old.log")
    lb.signal(signal.SIGUSR1)
    eventually(log.exists)
    eventually(lambda: not any(has_open(pid, old) for pid in lb.workers()))  # any of them may get the next
    lb.get("/two")
    eventually(lambda: "/two" in log.read_text())
    assert "/two" not in old.read_text()


def has_open(pid, path):
    return any(os.path.realpath(fd) == str(path) for fd in Path(f"/proc/{pid}/fd").iterdir())


def run(*args):
    return subprocess.run([*PYTHON, *args], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_a_bad_configuration_is_exit_1_with_every_problem(tmp_path):
    path = tmp_path / "lb.yaml"
    path.write_text('listners: [":0"]\nroutes: {"/": app}\nservices: {app: ["127.0.0.1"]}\n')
    ended = run("run", str(path))
    assert ended.returncode == 1
    assert f"{path}:1:1" in ended.stderr
    assert f"{path}:3:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_address_in_use_is_exit_3_and_names_the_process(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "lb.yaml"
        path.write_text(
            config(["127.0.0.1:1"]).replace(
                "name: web, bind: '127.0.0.1:0'", f"name: web, bind: '127.0.0.1:{port}'"
            )
        )
        ended = run("run", str(path))
    assert ended.returncode == 3
    assert f"the address is in use by process {os.getpid()}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_on_the_whole_group_ends_quietly(tmp_path):
    path = tmp_path / "lb.yaml"
    path.write_text(config(["127.0.0.1:1"]))
    lb = Process(*PYTHON, "run", str(path))
    try:
        lb.until(" ready ", 30)
        os.killpg(lb.process.pid, signal.SIGINT)
        assert lb.wait() == 0
        assert not any("Traceback" in line or "KeyboardInterrupt" in line for line in lb.lines)
    finally:
        lb.end()
