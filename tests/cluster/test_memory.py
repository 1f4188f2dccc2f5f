"""What a node remembers, whichever of its writes was the last before the power went."""

from __future__ import annotations

import pytest

from lb.cluster.memory import Mark, Memory
from lb.cluster.shared import digest_of


class PowerCut(Exception):
    pass


def marked(number):
    return Mark(number, 1, digest_of(str(number).encode()))


@pytest.mark.parametrize("after", range(8))
def test_a_crash_between_any_two_writes_loses_nothing_and_goes_nowhere_back(after, tmp_path):
    writes = []

    def write(path, data):
        if len(writes) == after:
            raise PowerCut
        writes.append(path.name)
        path.write_bytes(data)

    memory, seen, ran = Memory(tmp_path, write), 0, 0
    try:
        for number in (1, 2):
            memory.remember(marked(number))
            seen = number
            memory.keep(marked(number), str(number).encode())
            ran = number
    except PowerCut:
        pass
    again = Memory(tmp_path, write)
    assert again.seen.revision >= seen
    kept = again.kept()
    assert (kept is None) == (ran == 0 and "config.yaml" not in writes)
    if kept is not None:
        assert kept.mark == marked(int(kept.text)), "the document of another mark"
        assert ran <= kept.mark.revision <= again.seen.revision


def test_what_was_seen_already_is_not_written_again(tmp_path):
    writes = []
    memory = Memory(tmp_path, lambda path, data: writes.append(path))
    memory.remember(marked(1))
    memory.remember(marked(1))
    assert len(writes) == 1


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b'{"seen":1}', b'{"x":' + b"[" * 9000])
def test_a_file_that_makes_no_sense_is_named(raw, tmp_path):
    (tmp_path / "seen.json").write_bytes(raw)
    with pytest.raises(ValueError, match=r"seen\.json makes no sense"):
        Memory(tmp_path, None)


def test_a_document_that_somebody_changed_is_not_what_ran(tmp_path):
    memory = Memory(tmp_path, lambda path, data: path.write_bytes(data))
    memory.remember(marked(1))
    memory.keep(marked(1), b"1")
    memory.path.write_bytes(b"2")
    with pytest.raises(ValueError, match="is not what"):
        Memory(tmp_path, None).kept()
    memory.forget()
    assert (memory.applied, memory.seen) == (Mark(), marked(1))
