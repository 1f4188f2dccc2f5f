"""docker/compose.yaml as plain processes: its commands and files, with the addresses of this test in place of the
containers' names."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections import Counter
from urllib.request import urlopen

import pytest
import yaml

from tests.cluster.real import Server, running

from .harness import Scenario, eventually
from .harness.process import ROOT, free_address

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
NODES = [name for name in SERVICES if name.startswith("lb-")]


class Composed(Server):
    """Consul by the command of the file, on loopback and ports of its own."""

    def _consul(self):
        program, *words = super()._consul()
        command = SERVICES["consul"]["command"]
        of_this_machine = (
            "-data-dir",
            "-http-port",
            "-dns-port",
            "-serf-lan-port",
            "-serf-wan-port",
            "-server-port",
        )
        options = [
            part for at, word in enumerate(words) if word in of_this_machine for part in words[at : at + 2]
        ]
        more = ["-bind=127.0.0.1", "-grpc-port=-1", *options]
        return [program, *(word.replace("0.0.0.0", "127.0.0.1") for word in command), *more]


@pytest.fixture
def consul(monkeypatch):
    monkeypatch.setattr("tests.cluster.real.Server", Composed)
    yield from running("consul")


@pytest.fixture
def placed(consul):
    """Text of a file with this test's addresses, `$web` and so on among them."""

    def place(text):
        names = {
            "http://consul:8500": f"http://127.0.0.1:{consul.port}", "0.0.0.0:8080": "$web",
            "0.0.0.0:9900": "$admin", "/var/lib/lb": "$dir/state",
        }  # fmt: skip
        for name, address in names.items():
            text = text.replace(name, address)
        return text

    return place


def started(name, consul):
    """A server of the file, and what holds its address until the end."""
    service = SERVICES[name]
    address, held = free_address()
    file, place = service["volumes"][0].split(":")[:2]
    of_file = {
        place: DOCKER / file,
        "0.0.0.0:9000": address,
        "http://consul:8500": f"http://127.0.0.1:{consul.port}",
    }
    command = [str(of_file.get(word, word)) for word in (*service["entrypoint"], *service["command"])]
    assert command[0] == "python"
    return subprocess.Popen([sys.executable, *command[1:]], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}), held


def takes_turns(s):
    return {s.get().body for _ in range(4)} == {b"hello from red\n", b"hello from blue\n"}


def test_the_cluster_of_the_file(consul, placed, monkeypatch):
    test = SERVICES["consul"]["healthcheck"]["test"]
    assert test[1].startswith("wget -qO- http://127.0.0.1:8500/v1/status/leader | grep -q :")
    leads = f"http://127.0.0.1:{consul.port}/v1/status/leader"
    eventually(lambda: b":" in urlopen(leads, timeout=5).read(), 20, "it is never healthy")

    own = placed((DOCKER / "cluster.yaml").read_text())
    nodes, servers, held = {}, {}, []
    try:
        for node in NODES:
            monkeypatch.setenv("LB_NODE", SERVICES[node]["environment"]["LB_NODE"])
            s = Scenario(own, quiet=True)
            monkeypatch.setenv("LB_TEST_WEB", s.names["web"])
            nodes[node] = s.__enter__()
        for name in ("red", "blue"):
            servers[name], holds = started(name, consul)
            held.append(holds)
        for s in nodes.values():
            eventually(lambda: takes_turns(s), 20, "not both answer")  # noqa: B023

        def cluster(node, *words):
            """As README.md has it: lb cluster … in the container of this node."""
            command = [sys.executable, "-m", "lb", "cluster", *words]
            command += ["--admin", f"http://{nodes[node].names['admin']}"]
            return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False)

        shared = nodes["lb-1"].directory / "shared.yaml"
        shared.write_text((DOCKER / "shared.yaml").read_text().replace("0.0.0.0:8080", "${LB_TEST_WEB}"))
        eventually(lambda: "leader: lb-" in cluster("lb-1", "status").stdout, 20, "nobody leads")
        said = cluster("lb-2", "push", str(shared), "--base", "0", "-m", "a teapot")
        assert said.returncode == 0 and "3 of 3 nodes run revision 1" in said.stdout, said
        assert [s.get("/teapot").status for s in nodes.values()] == [418] * 3

        # red takes itself out, and no request fails meanwhile
        servers["red"].send_signal(signal.SIGTERM)
        seen = Counter()

        def blue_alone():
            got = nodes["lb-1"].get()
            seen[got.status] += 1
            return servers["red"].poll() is not None and got.body == b"hello from blue\n"

        eventually(blue_alone, 10, "red stays")
        assert servers["red"].returncode == 0 and set(seen) == {200}

        nodes["lb-1"].lb.kill()
        said = cluster("lb-2", "status")
        assert said.returncode == 0, said
        assert {nodes[node].get().body for node in NODES[1:]} == {b"hello from blue\n"}
        consul.stop()
        assert {nodes[node].get().body for node in NODES[1:]} == {b"hello from blue\n"}
        assert nodes["lb-3"].get("/teapot").status == 418
    finally:
        for server in servers.values():
            server.kill()
            server.wait()
        for holds in held:
            holds.close()
        for s in nodes.values():
            s.__exit__(None)


def test_the_file_keeps_what_the_image_and_the_page_say():
    """What plain processes cannot show: who may write where, which files are there, which ports README names."""
    image = (DOCKER / "Dockerfile").read_text()
    page = (DOCKER / "README.md").read_text()
    state = yaml.safe_load((DOCKER / "cluster.yaml").read_text())["state_dir"]
    assert f"install -d -o lb -m 700 {state}" in image, "a volume there would belong to root"
    assert len(NODES) == 3
    for node in NODES:
        service = SERVICES[node]
        mounts = {place: what for what, place in (volume.split(":")[:2] for volume in service["volumes"])}
        assert mounts.pop(state) == node and node in COMPOSE["volumes"], "each node has a state of its own"
        for place, what in mounts.items():
            assert (DOCKER / what).is_file(), place
        assert service["command"] == ["run", "/etc/lb/cluster.yaml"] and "/etc/lb/cluster.yaml" in mounts
        assert service["environment"] == {"LB_NODE": node}
        assert service["depends_on"] == {"consul": {"condition": "service_healthy"}}
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports), "an admin API for everybody"
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    lines = [line.partition("#")[0] for line in page.splitlines() if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line[2:])
        for word in words[2:]:
            if word.startswith(("lb-", "red", "blue", "consul")):
                assert word in SERVICES, line
        if words[0] == "curl":
            assert words[1].split(":")[2].partition("/")[0] in {port.split(":")[1] for port in ports}, line
