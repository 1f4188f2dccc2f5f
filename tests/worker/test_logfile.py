"""The access log's file on real files and pipes."""

from __future__ import annotations

import os

import pytest

from lb.worker import logfile
from lb.worker.logfile import LogFile


def test_lines_are_collected_and_appended(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(b"before\n")
    log = LogFile(str(path))
    log.write(b"one\n")
    log.write(b"two\nthree\n")
    assert path.read_bytes() == b"before\n"
    log.flush()
    assert path.read_bytes() == b"before\none\ntwo\nthree\n"
    log.close()


def test_a_full_buffer_is_written_at_once(tmp_path):
    path = tmp_path / "access.log"
    log = LogFile(str(path))
    line = b"x" * 1023 + b"\n"
    for _ in range(64):
        log.write(line)
    assert path.stat().st_size == 64 * 1024
    log.close()


@pytest.mark.parametrize("how", ["renamed", "removed"])
def test_rotation_is_noticed(tmp_path, how):
    path = tmp_path / "access.log"
    log = LogFile(str(path))
    log.write(b"old\n")
    log.reopen_if_moved()
    if how == "renamed":
        path.rename(tmp_path / "access.log.1")
    else:
        path.unlink()
    log.write(b"old too\n")
    log.reopen_if_moved()
    log.write(b"new\n")
    log.close()
    assert path.read_bytes() == b"new\n"
    if how == "renamed":
        assert (tmp_path / "access.log.1").read_bytes() == b"old\nold too\n"


def test_a_file_that_cannot_be_reopened_stays_open(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = LogFile(str(folder / "access.log"))
    folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        log.reopen()
    log.write(b"still here\n")
    log.close()
    assert (tmp_path / "moved" / "access.log").read_bytes() == b"still here\n"


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        LogFile(str(tmp_path / "no" / "access.log"))


@pytest.fixture
def pipe(monkeypatch):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    monkeypatch.setitem(logfile.STREAMS, "stdout", writer)
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            continue


def read_all(reader):
    found = b""
    while True:
        try:
            found += os.read(reader, 1 << 20)
        except BlockingIOError:
            return found


def test_a_pipe_that_nobody_reads_never_blocks_and_loses_only_whole_lines(pipe, monkeypatch):
    reader, _ = pipe
    monkeypatch.setattr(logfile, "MAX_BUFFERED", 200_000)
    log = LogFile("stdout")
    lines = [b"%06d %s\n" % (number, b"x" * 100) for number in range(5000)]
    for line in lines:
        log.write(line)
    assert log.dropped > 0
    found = read_all(reader)
    for _ in range(20):
        log.flush()
        found += read_all(reader)
    kept = found.splitlines(keepends=True)
    assert kept == lines[: len(kept)]
    assert len(kept) + log.dropped == 5000
    log.close()


def test_a_line_longer_than_the_pipe_takes_at_once_arrives_whole(pipe):
    reader, _ = pipe
    log = LogFile("stdout")
    log.write(b"y" * 50_000 + b"\n")
    log.flush()
    assert read_all(reader) == b"y" * 50_000 + b"\n"
    log.close()


def test_a_reader_that_went_away_costs_lines_and_nothing_else(pipe):
    reader, _ = pipe
    log = LogFile("stdout")
    os.close(reader)
    log.write(b"one\ntwo\n")
    log.flush()
    assert log.dropped == 2
    log.close()
