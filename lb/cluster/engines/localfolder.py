"""The folder of the local engine: one small document that a rename replaces, and the values beside it.

Lives here: locking the folder, reading and replacing the document, fsync. Must not live here: what terms and
versions mean (lb.cluster.engines.local).

    lock           what is locked (flock) while the document is looked at or replaced
    state.json     who holds the lock, the last epoch, and for every key its value's file and its version
    values/17      a value; never changed, removed when nothing names it any more

The rename of state.json is the commit: values that it does not name are not there. A process that is stopped
between lock and unlock keeps the others waiting, up to their time-outs: nobody can act in its back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

RETRY = 0.005  # seconds between two tries to lock the folder


class Lead(msgspec.Struct, frozen=True):
    """Who holds the lock until `until`, time.monotonic() of the boot `boot`; `token` is the engine object."""

    node: str
    token: str
    until: float
    boot: str


class State(msgspec.Struct, omit_defaults=True):
    """`version`: the last one given to any key, so that none is given twice. `entries`: key → the name of
    its file, which is its version."""

    epoch: int = 0
    version: int = 0
    lead: Lead | None = None
    entries: dict[str, int] = msgspec.field(default_factory=dict)


class Folder:
    """Blocking; for one thread. Every method raises OSError, TimeoutError and ValueError (a document that
    makes no sense)."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._values = path / "values"
        self._document = path / "state.json"
        self._clean = False

    @contextlib.contextmanager
    def locked(self) -> Iterator[State]:
        """The document, with nobody else looking at it or changing it."""
        self._values.mkdir(mode=0o700, parents=True, exist_ok=True)
        end = time.monotonic() + self._timeout
        place = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise TimeoutError("another process keeps the folder locked") from None
                    time.sleep(RETRY)
            state = self.read()
            if not self._clean:
                self._sweep(state)
            yield state
        finally:
            os.close(place)

    def read(self) -> State:
        """The document as it is now; empty where there is none yet."""
        try:
            content = self._document.read_bytes()
        except FileNotFoundError:
            return State()
        try:
            return msgspec.json.decode(content, type=State)
        except msgspec.DecodeError as error:
            raise ValueError(
                f"{self._document} makes no sense ({error}); move it away to begin anew"
            ) from None

    def value(self, version: int) -> bytes:
        return (self._values / str(version)).read_bytes()

    def add(self, version: int, value: bytes) -> None:
        """A value, on disk before the document that names it."""
        with open(self._values / str(version), "wb", opener=_private) as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, state: State, dropped: list[int]) -> None:
        """The document becomes `state`; the values `dropped` are named no more. Only while it is locked."""
        if state.entries:
            _sync(self._values)
        new = self.path / "state.json.new"
        with open(new, "wb", opener=_private) as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._document)
        _sync(self.path)
        for version in dropped:
            with contextlib.suppress(OSError):  # swept by the next process that starts
                os.unlink(self._values / str(version))

    def _sweep(self, state: State) -> None:
        """Remove what a process left that died before it named its values."""
        named = {str(version) for version in state.entries.values()}
        for file in self._values.iterdir():
            if file.name not in named:
                file.unlink(missing_ok=True)
        self._clean = True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def boot() -> str:
    """Names the time since the machine started, in which time.monotonic() of all its processes is one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
