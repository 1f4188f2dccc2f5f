"""The last lines of a log: the same as of the whole file, found from its end, bounded."""

from __future__ import annotations

import io
import os
import threading

import pytest

from lb.config import loglines
from lb.config.loglines import MOST_LINE, LastLines, kept


@pytest.mark.parametrize("block", [1, 2, 7, 1024])
@pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"a\n\nb\n", b"one\ntwo\nthree", b"\n\n", b"%d\n" * 300])
def test_they_are_the_last_of_the_whole(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(loglines, "_BLOCK", block)
    path = tmp_path / "log"
    path.write_bytes(text)
    for most in (1, 2, 3, 299, 300, 1000):
        lines = LastLines(path, most)
        found = list(lines)
        assert found == text.splitlines(keepends=True)[-most:]
        assert lines.count == len(found)


def test_the_beginning_of_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that is not there
        file.seek(0, 2)
        file.write(b"\n" + b"line\n" * 3)
    assert list(LastLines(path, 3)) == [b"line\n"] * 3


def test_a_line_over_the_bound_is_cut_and_seen_as_one():
    count, lines = kept(io.BytesIO(b"x" * (5 * MOST_LINE) + b"\nnext\n"), 10)
    long, after = lines
    assert (count, len(long), after) == (2, MOST_LINE + 1, b"next\n")


def test_what_comes_in_meanwhile_is_left_out(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    lines = LastLines(path, 10)
    with path.open("ab") as file:
        file.write(b"three\n")
    assert list(lines) == [b"one\n", b"two\n"]


def test_a_pipe_has_last_lines_too(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"one\ntwo\nthree\n"))
    writer.start()
    assert list(LastLines(path, 2)) == [b"two\n", b"three\n"]
    writer.join()
