"""The file Provider: what it reads, and the suite of all Providers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from lb.discovery.contract import Member, Membership, ProviderError, Registered
from lb.discovery.file import FileProvider
from tests.discovery.suite import ProviderSuite


class Written:
    def __init__(self, path: Path) -> None:
        self.path = path

    def provider(self) -> FileProvider:
        return FileProvider(str(self.path))

    async def set(self, addresses: list[str]) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(addresses))
        os.replace(fresh, self.path)

    async def spoil(self) -> None:
        self.path.unlink()

    async def mend(self) -> None:
        """The next `set` does."""


class TestTheSuite(ProviderSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def source(self) -> AsyncIterator[Written]:
        yield Written(self.folder / "servers.yaml")


def first(path: Path) -> Membership:
    async def go() -> Membership:
        async with aclosing(FileProvider(str(path)).watch()) as words:
            return await anext(words)

    return asyncio.run(go())


def test_addresses_and_mappings(tmp_path):
    path = tmp_path / "servers"
    path.write_text(
        """
        - a:1
        - {address: b:1, weight: 3, priority: 1, zone: north, name: b-1}
        - {address: c:1, state: drain}
        """
    )
    assert first(path) == Membership(
        (
            Member("a:1"),
            Member("b:1", 3, 1, name="b-1", zone="north"),
            Member("c:1", state=Registered.DRAIN, why="drain in the file"),
        )
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("7", "expected an address"),
        ("{weight: 1}", "expected an address"),
        ("{address: a:1, wieght: 1}", "unknown key 'wieght'"),
        ("{address: a:1, weight: true}", "whole numbers"),
        ("{address: a:1, zone: 7}", "text"),
        ("{address: a:1, state: [up]}", "up, drain or down"),
        ("{address: a:1, state: gone}", "up, drain or down"),
        ("0x1" + "0" * 5000, "expected an address"),
        ("{address: a:1, ? 0x1" + "0" * 5000 + " : 1}", "unknown key of type int"),
        ("{address: a:1, ? " + "k" * 100_000 + " : 1}", "unknown key 'kkk"),
        ("[" * 300 + "]" * 300, "expected an address"),
    ],
)
def test_a_bad_entry_hurts_nobody(tmp_path, entry, reason):
    path = tmp_path / "servers"
    path.write_text(f"[good:1, {entry}]")
    found = first(path)
    assert found.members == (Member("good:1"),)
    (bad,) = found.unusable
    assert reason in bad.reason and len(bad.reason) < 300 and len(bad.entry) <= 200


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "holds no list"),
        (b"a: 1", "holds no list"),
        (b"[a:1", "servers:"),
        (b"- a\n  - b: [", "servers:2:"),
        (b"\xff\xfe\x00", "servers"),
        (b"[" * 5000, "servers"),
        (b"!!python/object/apply:os.system [x]", "servers:1:1"),
        (b"- {address: &host 'a:1'}\n- *host", "servers:2:3: an alias (*host)"),
        (
            "\n".join(["- &a0 [x]", *(f"- &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 26))]).encode(),
            "alias",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_an_error_with_its_place(tmp_path, content, text):
    path = tmp_path / "servers"
    path.write_bytes(content)
    with pytest.raises(ProviderError) as failed:
        first(path)
    assert text in str(failed.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("lb.discovery.file.MOST_BYTES", 10)
    path = tmp_path / "servers"
    path.write_text("[aaaaaaaaaa:1]")
    with pytest.raises(ProviderError, match="more than 10 bytes"):
        first(path)
