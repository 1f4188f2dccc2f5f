"""The last good word on disk: round trip, and a file that makes no sense."""

from __future__ import annotations

import pytest

from lb.discovery.contract import Member, Registered
from lb.discovery.kept import KeptWord, encoded, read

WORD = KeptWord(
    "file /a", 1_700_000_000.5, (Member("a:1"), Member("b:1", 3, 1, Registered.DRAIN, "why", "n", "z"))
)


def test_there_and_back(tmp_path):
    path = tmp_path / "kept"
    assert read(path, pytest.fail) == {}
    path.write_bytes(encoded({"app": WORD, "empty": KeptWord("x", 1.0, ())}))
    assert read(path, pytest.fail) == {"app": WORD, "empty": KeptWord("x", 1.0, ())}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"services": {"app": {"source": 1, "at": 0, "members": []}}}']
)
def test_nonsense_is_told(tmp_path, content):
    path, told = tmp_path / "kept", []
    path.write_bytes(content)
    assert read(path, told.append) == {}
    assert len(told) == 1


def test_a_time_beyond_all_calendars_is_not_believed(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(encoded({"app": KeptWord("x", 1e300, ())}))
    assert read(path, pytest.fail) == {}
