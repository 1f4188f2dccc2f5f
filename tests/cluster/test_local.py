"""The local engine keeps the contract; and what only a folder can suffer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lb.cluster.contract import EngineError, Write
from tests.cluster.ground import LONG, awaited
from tests.cluster.suite import EngineSuite
from tests.conftest import ROOT

# Adds one to a number, again and again, with compare and swap.
ADD = """
import asyncio, sys
from pathlib import Path
from lb.cluster.contract import Conflict, Write
from lb.cluster.engines.local import LocalEngine

async def main():
    engine, done = LocalEngine(Path(sys.argv[1]), 20.0), 0
    while done < int((sys.argv[2:] or ["30"])[0]):
        entry = await engine.get("n")
        try:
            await engine.put(Write("n", str(int(entry.value) + 1).encode(), entry.version))
            done += 1
        except Conflict:
            pass

asyncio.run(main())
"""


class TestLocal(EngineSuite):
    ENGINE = "local"

    async def forget(self, cluster):
        (cluster.folder / cluster.name / "state.json").unlink()

    async def drop_lock(self, cluster):
        from lb.cluster.engines.localfolder import Folder

        folder = Folder(cluster.folder / cluster.name, 1.0)
        with folder.locked() as state:
            state.lead = None
            folder.replace(state, [])

    @awaited
    async def test_a_document_that_makes_no_sense(self, cluster):
        engine = cluster.engine()
        await engine.put(Write("a", b"1"))
        document = cluster.folder / cluster.name / "state.json"
        good = document.read_bytes()
        for bad in (b"", b"{", b"[]", b'{"entries": {"a": "x"}}', good[:-2]):
            document.write_bytes(bad)
            for call in (
                engine.get("a"),
                engine.holder(),
                engine.put(Write("a", b"2")),
                engine.acquire("n", 5),
            ):
                with pytest.raises(EngineError, match=r"state\.json makes no sense"):
                    await call
            assert document.read_bytes() == bad
        document.write_bytes(good)
        assert (await engine.get("a")).value == b"1"

    @awaited
    async def test_a_folder_that_somebody_keeps_locked(self, cluster):
        import fcntl

        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG)
        place = os.open(cluster.folder / cluster.name / "lock", os.O_RDWR)
        fcntl.flock(place, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="keeps the folder locked"):
            await engine.commit(term, [Write("a", b"1")])
        os.close(place)
        await engine.commit(term, [Write("a", b"1")])

    @awaited
    async def test_values_that_nobody_names_are_swept(self, cluster):
        engine = cluster.engine()
        await engine.put(Write("a", b"1"))
        values = cluster.folder / cluster.name / "values"
        (values / "77").write_bytes(b"left by a process that died")
        await cluster.engine().put(Write("a", b"2"))
        assert [file.read_bytes() for file in values.iterdir()] == [b"2"]

    @awaited
    async def test_a_lease_of_another_boot_has_lapsed(self, cluster, monkeypatch):
        one = cluster.engine()
        term = await one.acquire("lb-1", LONG)
        monkeypatch.setattr("lb.cluster.engines.local.boot", lambda: "another")
        other = cluster.engine()
        assert await other.holder() is None
        assert (await other.acquire("lb-2", LONG)).epoch > term.epoch

    @awaited
    async def test_processes_lose_no_write(self, cluster):
        engine = cluster.engine()
        await engine.put(Write("n", b"0"))
        place = str(cluster.folder / cluster.name)
        processes = [subprocess.Popen([sys.executable, "-c", ADD, place], cwd=ROOT) for _ in range(3)]
        killed = subprocess.Popen([sys.executable, "-c", ADD, place, "1000000"], cwd=ROOT)
        for process in processes:
            assert process.wait(60) == 0
        killed.kill()  # wherever it is
        killed.wait()
        assert int((await engine.get("n")).value) >= 3 * 30
        term = await engine.acquire("lb-1", LONG)
        await engine.commit(term, [Write("n", None), Write("m", b"1")])

    @awaited
    async def test_nobody_else_may_read_it(self, cluster):
        await cluster.engine().put(Write("a", b"1"))
        for path in (cluster.folder / cluster.name).rglob("*"):
            if path.is_file():
                assert path.stat().st_mode & 0o077 == 0
