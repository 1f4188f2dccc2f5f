"""A store that lost everything, as an engine does whose disk was replaced: nodes go on, and say what is so."""

from __future__ import annotations

import shutil

from .harness import eventually
from .test_cluster import NODES, engine, nodes  # noqa: F401 - fixtures


def emptied(nodes):  # noqa: F811
    """The engine begins anew with nothing."""
    if nodes.name == "local":
        nodes.engine.rename(nodes.engine.with_name("lost"))  # at once: its nodes go on writing
        return
    nodes.engine.stop()
    for kept in nodes.engine.folder.iterdir():
        if kept.is_dir():
            shutil.rmtree(kept)
    nodes.engine.start()


def test_nothing_is_taken_back_and_the_next_revision_goes_on_above(nodes):  # noqa: F811
    nodes.leader()
    for base, letter in enumerate("bc"):
        # An answer of a busy engine can be late: then it is asked again, and 6 says that it was done all the same.
        push = ("push", nodes.document(letter), "--base", str(base))
        eventually(lambda push=push: nodes.cli(*push)[0] in (0, 6), 30)
    nodes.all_answer("c")
    emptied(nodes)
    eventually(
        lambda: all("the store has no revision" in nodes.status(node)["trouble"] for node in NODES),
        60, "it is not told",
    )  # fmt: skip
    code, said = nodes.cli("status")
    assert code == 0 and "revision 2 goes on" in said, said
    assert "its own file" not in said, said
    code, said = nodes.cli("show")
    assert code == 2 and "the store has no revision" in said and "config.yaml" in said, said
    nodes.kill("three")
    nodes.restart("three")
    assert set(nodes.answers().values()) == {"c"}
    nodes.leader(40)
    # A connection that broke with the engine may be noticed by the first push only; 6: it was done all the same.
    eventually(lambda: nodes.cli("push", nodes.document("b"), "--base", "2", "--no-wait")[0] in (0, 6), 20)
    nodes.all_answer("b")
    eventually(lambda: {nodes.status(node)["running"]["revision"] for node in NODES} == {3})
    assert not any(nodes.status(node)["trouble"] for node in NODES)
