"""Noticing changes of files."""

from __future__ import annotations

import asyncio
import os

import pytest

from lb.control import filewatch
from lb.control.filewatch import look, watch


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(filewatch, "EVERY", 0.01)
    monkeypatch.setattr(filewatch, "SETTLE", 0.02)


async def changes_seen(files, change, wanted):
    """How often `watch` called back; waits until it was `wanted` times, and a little longer."""
    seen = 0
    news = asyncio.Event()

    async def changed():
        nonlocal seen
        seen += 1
        news.set()

    watching = asyncio.create_task(watch(files, changed, look(files())))
    await asyncio.sleep(0)  # its first look
    change()
    async with asyncio.timeout(5):
        while seen < wanted:
            news.clear()
            await news.wait()
    await asyncio.sleep(0.1)  # would a second call come?
    watching.cancel()
    return seen


def rename_over(path):
    new = path.with_suffix(".new")
    new.write_text("bb")
    new.rename(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("bb"),
        rename_over,
        lambda path: path.unlink(),
        lambda path: os.utime(path, (1, 1)),
        lambda path: (path.parent / "b.yaml").write_text("new"),
    ],
    ids=["written", "replaced", "removed", "touched", "added"],
)
def test_one_change_is_one_call(tmp_path, change):
    path = tmp_path / "a.yaml"
    path.write_text("aa")

    def files():
        return sorted(tmp_path.glob("*.yaml"))

    assert asyncio.run(changes_seen(files, lambda: change(path), 1)) == 1


def test_a_link_that_is_swapped_is_a_change(tmp_path):
    """How Kubernetes replaces a mounted ConfigMap."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lb.yaml").write_text("same size")
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "lb.yaml").symlink_to("data/lb.yaml")

    def swap():
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "data")

    assert asyncio.run(changes_seen(lambda: [tmp_path / "lb.yaml"], swap, 1)) == 1


def test_a_writer_that_takes_its_time_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(filewatch, "SETTLE", 0.05)
    path = tmp_path / "a.yaml"
    path.write_text("")
    seen = []

    async def scenario():
        async def changed():
            seen.append(path.read_text())

        watching = asyncio.create_task(watch(lambda: [path], changed, look([path])))
        await asyncio.sleep(0)
        with path.open("a") as file:
            for _ in range(10):
                file.write("piece ")
                file.flush()
                await asyncio.sleep(0.015)
        async with asyncio.timeout(5):
            while not seen:
                await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(scenario())
    assert seen == ["piece " * 10]


def test_a_missing_file_is_a_version(tmp_path):
    assert look([tmp_path / "none"]) == {}
