"""The log's sink: whole lines, rotation, a reader that does not read, a disk that is full."""

import os
import resource
import subprocess
import sys
import threading

import pytest

from lb.telemetry.logwriter import FLUSH_AT, LogWriter

FULL = "/dev/full"  # every write fails with ENOSPC


@pytest.fixture
def lost():
    return []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access.log"


def line(number: int, size: int = 100) -> bytes:
    return b"%d " % number + b"x" * (size - len(b"%d " % number) - 1) + b"\n"


def test_lines_are_gathered_until_a_tick(path, lost):
    writer = LogWriter(str(path), lost.append)
    writer.write(line(1))
    writer.write(line(2) + line(3))
    assert path.read_bytes() == b""
    writer.tick()
    assert path.read_bytes() == line(1) + line(2) + line(3)
    writer.close()
    assert lost == []


def test_full_buffer_is_written_at_once(path, lost):
    writer = LogWriter(str(path), lost.append)
    for number in range(FLUSH_AT // 100 + 1):
        writer.write(line(number))
    assert len(path.read_bytes()) >= FLUSH_AT
    assert path.read_bytes().endswith(b"\n")
    writer.close()


def test_existing_file_is_appended_to(path, lost):
    path.write_bytes(b"old\n")
    writer = LogWriter(str(path), lost.append)
    writer.write(b"new\n")
    writer.close()
    assert path.read_bytes() == b"old\nnew\n"


@pytest.mark.parametrize("how", ["rename", "unlink"])
def test_tick_follows_a_rotation(path, lost, how):
    writer = LogWriter(str(path), lost.append)
    writer.write(b"one\n")
    writer.tick()
    kept = path.with_suffix(".1")
    path.rename(kept) if how == "rename" else path.unlink()
    writer.write(b"two\n")
    writer.tick()  # what was pending belongs to the old file
    writer.write(b"three\n")
    writer.tick()
    assert path.read_bytes() == b"three\n"
    if how == "rename":
        assert kept.read_bytes() == b"one\ntwo\n"
    writer.close()


def test_reopen_on_demand(path, lost):
    writer = LogWriter(str(path), lost.append)
    path.rename(path.with_suffix(".1"))
    writer.reopen()
    writer.write(b"new\n")
    writer.close()
    assert path.read_bytes() == b"new\n"


def test_file_that_cannot_be_opened(tmp_path, lost):
    with pytest.raises(OSError, match="absent"):
        LogWriter(str(tmp_path / "absent" / "access.log"), lost.append)


def test_new_file_that_cannot_be_opened_keeps_the_old(tmp_path, lost, caplog):
    folder = tmp_path / "logs"
    folder.mkdir()
    writer = LogWriter(str(folder / "access.log"), lost.append)
    folder.rename(tmp_path / "moved")
    writer.write(b"one\n")
    writer.tick()
    writer.write(b"two\n")
    writer.tick()
    assert (tmp_path / "moved" / "access.log").read_bytes() == b"one\ntwo\n"
    assert caplog.text.count("cannot open") == 1
    folder.mkdir()
    writer.tick()
    writer.write(b"three\n")
    writer.close()
    assert (folder / "access.log").read_bytes() == b"three\n"


@pytest.mark.skipif(not os.path.exists(FULL), reason="no /dev/full here")
def test_full_disk_keeps_then_drops_and_goes_on(path, lost, caplog):
    path.symlink_to(FULL)
    writer = LogWriter(str(path), lost.append, keep=1000)
    for number in range(12):
        writer.write(line(number))
    writer.tick()
    writer.tick()
    assert lost == [1, 1]
    assert caplog.text.count("cannot write") == 1
    path.unlink()  # the operator makes room
    writer.tick()
    writer.write(line(12))
    writer.close()
    assert path.read_bytes() == b"".join(line(number) for number in [*range(10), 12])


def test_pipe_that_nobody_reads_never_blocks_and_keeps_lines_whole(path, lost):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = LogWriter(str(path), lost.append, keep=200_000)
    sent = [line(number, 1000) for number in range(400)]
    for one in sent:
        writer.write(one)  # 400 KB: more than a pipe holds
    writer.tick()
    dropped = sum(lost)
    assert 0 < dropped < 400
    got = b""
    for _ in range(100):
        try:
            piece = os.read(reader, 1 << 20)
        except BlockingIOError:
            piece = b""
        if not piece:
            writer.tick()
        got += piece
    writer.close()
    os.close(reader)
    lines = got.splitlines(keepends=True)
    assert set(lines) <= set(sent)
    assert len(lines) == 400 - dropped


def test_pipe_without_reader_is_an_error_not_a_wait(path, lost):
    os.mkfifo(path)
    with pytest.raises(OSError):
        LogWriter(str(path), lost.append)


def test_two_workers_on_one_file_write_whole_lines(path, lost):
    writers = [LogWriter(str(path), lost.append) for _ in range(2)]
    for number in range(3000):
        writers[number % 2].write(line(number))
    for writer in writers:
        writer.close()
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(line(n) for n in range(3000))


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_standard_streams_stay_blocking_for_others(name):
    """O_NONBLOCK belongs to the open file: setting it on ours would break the shell's."""
    program = (
        "import os\n"
        "from lb.telemetry.logwriter import LogWriter\n"
        f"w = LogWriter({name!r}, print)\n"
        "w.write(b'line\\n')\n"
        "w.close()\n"
        "assert os.get_blocking(1) and os.get_blocking(2)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert getattr(done, name) == b"line\n"


def test_lines_left_at_close_are_counted(path, lost):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = LogWriter(str(path), lost.append)
    for number in range(200):
        writer.write(line(number, 1000))
    writer.close()
    got = os.read(reader, 1 << 20).count(b"\n")
    os.close(reader)
    assert got + sum(lost) == 200


def test_disk_that_takes_half_a_line_and_no_more(path, lost):
    """The limit on a file's size is to a write what a full disk is: it is short, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = LogWriter(str(path), lost.append, keep=1000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (450, hard))
    try:
        for number in range(5):
            writer.write(line(number))
        writer.tick()
        for number in range(5, 20):
            writer.write(line(number))
            writer.tick()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == 450
    dropped = sum(lost)
    assert dropped > 0
    writer.tick()  # there is room again
    writer.close()
    assert path.read_bytes() == b"".join(line(number) for number in range(20 - dropped))


def test_drain_waits_for_a_slow_reader_of_a_pipe(path, lost):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = LogWriter(str(path), lost.append)
    for number in range(1000):
        writer.write(line(number, 400))  # 400 KB: six times what a pipe holds
    got = []

    def read() -> None:
        os.set_blocking(reader, True)
        while piece := os.read(reader, 5000):
            got.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    writer.close(10)
    thread.join(10)
    os.close(reader)
    assert b"".join(got) == b"".join(line(number, 400) for number in range(1000))
    assert lost == []
