"""The registry of engines."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from lb.cluster.engines import ENGINES, MissingExtraError, connect
from lb.config.cluster import ENGINES as NAMES
from lb.config.cluster import ClusterSpec


def test_every_engine_that_can_be_configured_is_there():
    assert tuple(ENGINES) == NAMES


@pytest.mark.parametrize("engine, package", [("redis", "redis"), ("zookeeper", "kazoo")])
def test_a_missing_extra_is_named(engine, package, monkeypatch, tmp_path):
    for name in list(sys.modules):
        if name.split(".")[0] == package or name.startswith(f"lb.cluster.engines.{engine}"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"not installed; pip install 'lb\[{engine}\]'"):
        connect(ClusterSpec(engine=engine), tmp_path)


@pytest.mark.parametrize("engine", ["local", "consul", "etcd"])
def test_the_others_need_nothing_else_and_open_nothing(engine, monkeypatch, tmp_path):
    for package in ("redis", "kazoo", "consul"):
        monkeypatch.setitem(sys.modules, package, None)
    made = connect(ClusterSpec(engine=engine), tmp_path)
    assert made.name == engine
    asyncio.run(made.close())


def test_where_the_local_folder_is(tmp_path):
    for spec, place in (
        (ClusterSpec(name="a"), tmp_path / "cluster" / "a"),
        (
            ClusterSpec.model_validate({"name": "b", "local": {"folder": f"{tmp_path}/own"}}),
            tmp_path / "own" / "b",
        ),
    ):
        engine = connect(spec, tmp_path)
        assert asyncio.run(engine.holder()) is None
        assert engine._folder.path == Path(place)
