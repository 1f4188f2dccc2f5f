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
            memory.remember(marked(number), marked(number), str(number).encode())
            seen = number
            memory.keep(marked(number))
            ran = number
    except PowerCut:
        pass
    again = Memory(tmp_path, write)
    assert again.seen.revision >= seen
    kept = again.kept()
    assert [one.mark for one in kept] == [marked(int(one.data)) for one in kept], "of another mark"
    assert [one.mark.revision for one in kept][:1] == [again.seen.revision][: again.seen.revision]
    assert not ran or kept[-1].mark.revision >= ran, "what ran is lost"


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
    memory.remember(marked(1), marked(1), b"1")
    memory.keep(marked(1))
    memory.path.write_bytes(b"2")
    with pytest.raises(ValueError, match="is not what"):
        Memory(tmp_path, None).kept()
    memory.forget()
    assert (memory.applied, memory.seen) == (Mark(), marked(1))


def test_what_was_refused_here_is_not_started_with(tmp_path):
    memory = Memory(tmp_path, lambda path, data: path.write_bytes(data))
    memory.remember(marked(1), marked(1), b"1")
    memory.keep(marked(1))
    memory.remember(marked(2), marked(2), b"2")
    memory.refuse(marked(2))
    memory.remember(marked(2), marked(2), b"2")  # tried again, and the power goes
    assert [one.data for one in Memory(tmp_path, memory._write).kept()] == [b"1"]
    memory.keep(marked(2))
    assert [one.data for one in Memory(tmp_path, memory._write).kept()] == [b"2"]


def test_a_mark_that_cannot_be_saved_is_saved_later(tmp_path):
    """The document was moved already; the next publication must not make it a stranger."""
    full = []

    def write(path, data):
        if path.name in full:
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    memory = Memory(tmp_path, write)
    memory.remember(marked(1), marked(1), b"1")
    full.append("seen.json")
    with pytest.raises(OSError, match="No space"):
        memory.keep(marked(1))
    assert memory.applied == Mark()
    assert [one.mark for one in Memory(tmp_path, write).kept()] == [marked(1)]
    full.clear()
    memory.keep(marked(1))
    memory.remember(marked(2), marked(2), b"2")
    memory.refuse(marked(2))
    assert [one.mark for one in Memory(tmp_path, write).kept()] == [marked(1)]
