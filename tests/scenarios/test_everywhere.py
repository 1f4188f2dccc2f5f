"""Orders that hold on all nodes of a cluster: real processes, real engines."""

from __future__ import annotations

import contextlib

import pytest

from tests.cluster.real import running

from .clusters import NODES, Nodes, named
from .harness import eventually

TEXT = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a", "$b"]}
routes: {"/": app}
"""


@pytest.fixture(params=["etcd", "redis"])
def nodes(request):
    for engine in running(request.param):
        with contextlib.ExitStack() as stack:
            yield Nodes(stack, request.param, engine, TEXT, {"a": named("a"), "b": named("b")})


def test_a_drain_everywhere(nodes):
    nodes.led()
    server = f"app/{nodes.servers['b'].address}"
    said = nodes.cli("two", "servers", "drain", server, "--everywhere", "--author", "ann", "--reason", "disk")
    assert said[0] == 0 and "everywhere: drain by ann: disk" in said[1], said
    eventually(lambda: nodes.words("b") == {"draining"}, 5)
    eventually(lambda: all(nodes.answers(node) == {"a"} for node in NODES), 5)
    # the later operator is told whose order it takes the place of, and the weight stands beside the drain
    code, said = nodes.cli("one", "servers", "weight", server, "50%", "--everywhere", "--author", "ben")
    assert code == 0 and "in place of: drain by ann: disk" in said and "drain, weight 50% by ben" in said
    # who has not seen it is refused
    path = f"/api/v1/services/app/servers/{nodes.servers['b'].address}/override/everywhere"
    lb = nodes.all["three"].lb
    code, text = lb.admin("PUT", path, '{"mode": "up"}', {"If-Match": '"1"'})
    assert code == 409 and "ben" in text, text
    # on this node alone, it is not undone
    code, said = nodes.cli("three", "servers", "up", server)
    assert code == 0 and "also ordered everywhere: drain" in said, said
    assert nodes.shown("three", "b")["status"] == "draining"
    assert nodes.cli("three", "servers", "clear", server)[0] == 0

    nodes.away()
    code, said = nodes.cli(
        "one", "servers", "maintenance", f"app/{nodes.servers['a'].address}", "--everywhere"
    )
    assert code == 4 and "of this node alone" in said, said
    code, said = nodes.cli("one", "servers", "list")
    assert code == 0 and "last heard" in said and "ordered everywhere: drain" in said, said
    nodes.restart("one")
    assert nodes.answers("one") == {"a"}
    assert nodes.shown("one", "b")["layers"]["everywhere"]["author"] == "ben"
    assert nodes.cli("one", "servers", "maintenance", f"app/{nodes.servers['a'].address}")[0] == 0  # alone
    assert nodes.cli("one", "servers", "clear", f"app/{nodes.servers['a'].address}")[0] == 0

    nodes.engine.start()
    said = eventually(
        lambda: (
            (told := nodes.cli("three", "servers", "clear", server, "--everywhere"))[0] in (0, 2) and told
        ),
        40,
    )
    with contextlib.ExitStack() as told:
        told.callback(lambda: print(said, [(nodes.shown(node, "b"), nodes.cluster(node)) for node in NODES]))
        eventually(lambda: nodes.words("b") == {"up"}, 10)
        told.pop_all()
    eventually(lambda: all(nodes.answers(node) == {"a", "b"} for node in NODES), 5)
    events = nodes.all["one"].lb.admin("GET", "/api/v1/events")[1]
    assert '"cleared"' in events and "everywhere" in events
