"""lb as a service of a real Consul: there while it serves."""

from __future__ import annotations

import os
import shutil
import signal
import time

from .harness import Origin, Scenario, answer, eventually
from .test_consul import consul  # noqa: F401 - a fixture
from .test_upgrade import control, gone, upgrade

CONFIG = """
workers: 1
state_dir: "$dir"
listeners: [{name: web, bind: "$web"}]
services: {app: [$a]}
discovery: {consul: {address: "http://127.0.0.1:%d", registration: {name: front, port: 8080, tags: [edge], ttl: 3s}}}
routes: {"/": app}
"""


def there(consul):  # noqa: F811
    """The entry and whether its check passes; nothing where Consul has none."""
    return [
        (entry["Service"]["ID"], entry["Service"]["Tags"], entry["Checks"][-1]["Status"])
        for entry in consul.ask("GET", "health/service/front")
    ]


def test_lb_is_in_consul_while_it_serves(consul):  # noqa: F811
    origin = Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"))
    passing = [("front-8080", ["edge"], "passing")]
    with Scenario(CONFIG % consul.server.port, a=origin) as s:
        eventually(lambda: there(consul) == passing, 5, "it is not registered")
        consul.server.stop()
        eventually(lambda: '"registered":false' in state(s), 10, "it is not told")
        with s.client() as c:
            assert c.get().status == 200
        shutil.rmtree(consul.server.folder / "data")
        consul.server.start()
        eventually(consul.leads, 20)
        eventually(lambda: there(consul) == passing, 20, "it is not registered again")
        eventually(lambda: '"registered":true' in state(s))  # Consul has it before lb has read the answer
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: there(consul) == [], 5, "it is not taken out")


def test_two_with_one_port_at_one_agent(consul):  # noqa: F811
    origin = Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"))
    config = CONFIG.replace("port: 8080", "port: 8080, address: %s")
    found = [(f"front-10.0.0.{n}-8080", ["edge"], "passing") for n in (1, 2)]
    with Scenario(config % (consul.server.port, "10.0.0.1"), a=origin) as one:
        with Scenario(config % (consul.server.port, "10.0.0.2"), a=origin):
            eventually(lambda: there(consul) == found, 5, "one took the place of the other")
        eventually(lambda: there(consul) == found[:1], 5, "the other went with it")
        assert '"registered":true' in state(one)


def state(s):
    return s.lb.admin("GET", "/api/v1/discovery")[1].replace(" ", "")


def test_an_upgrade_leaves_the_entry_and_an_lb_that_dies_is_critical(consul):  # noqa: F811
    origin = Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"))
    passing = [("front-8080", ["edge"], "passing")]
    with Scenario(CONFIG % consul.server.port, a=origin) as s:
        eventually(lambda: there(consul) == passing, 5, "it is not registered")
        before = control(s)
        said = upgrade(s)
        assert said.returncode == 0, said.stderr
        eventually(lambda: gone(before), 20, "the one before stays")
        until = time.monotonic() + 7  # twice the TTL
        while time.monotonic() < until:
            assert there(consul) == passing
            time.sleep(0.1)
        assert '"registered":true' in state(s)
        os.kill(control(s), signal.SIGKILL)
        eventually(lambda: there(consul) == [("front-8080", ["edge"], "critical")], 10, "it is not missed")
