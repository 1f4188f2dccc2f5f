"""The state folder: what control remembers between two lives, and the secret made there.

Lives here: which folder it is, writing to it so that a crash leaves the old or the new, moving aside what
cannot be read. Must not live here: what the records mean (lb.control.overrides).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import tempfile
import time
from pathlib import Path

from lb.config import Spec
from lb.worker.journal import Journal

STICKY_KEY = "sticky.key"
_KEY = re.compile(r"[0-9a-f]{64}\n?")

log = Journal("lb.control")


def state_dir(spec: Spec, config_path: Path) -> Path:
    """The folder for this configuration, made where it is missing, for nobody else to enter. Raises OSError
    where the folder that is configured cannot be made; where none is configured and none can be made, it is
    a temporary one, with a warning: traffic is worth more than memory."""
    if spec.state_dir is not None:
        return _made(Path(spec.state_dir))
    place = _default_place() / hashlib.sha256(str(config_path.absolute()).encode()).hexdigest()[:12]
    try:
        return _made(place)
    except OSError as error:
        log.warning(
            "no folder for state can be made: overrides and the secret of sticky sessions are lost when lb "
            "ends; set state_dir",
            folder=place, error=error.strerror,
        )  # fmt: skip
        return Path(tempfile.mkdtemp(prefix="lb-state-"))


def _default_place() -> Path:
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":", maxsplit=1)[0])  # systemd lists several with a colon
    if os.geteuid() == 0:
        return Path("/var/lib/lb")
    if given := os.environ.get("XDG_STATE_HOME"):
        return Path(given) / "lb"
    return Path(os.path.expanduser("~")) / ".local" / "state" / "lb"


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "the state folder may not be written", str(folder))
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at once: a reader, and a machine that lost power, have the old or the new. For the
    owner alone. Raises OSError; then the old one is there."""
    fresh = _written_beside(path, data)
    try:
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Give a file that makes no sense another name, so that it can be looked at. Raises OSError."""
    aside = path.with_name(f"{path.name}.broken-{time.time_ns()}")
    os.replace(path, aside)
    return aside


def give_up(path: Path, words: str, error: Exception) -> None:
    """Set a file aside that makes no sense, and say so. `words`: which one it is, and what follows."""
    try:
        moved: object = set_aside(path)
    except OSError as problem:
        moved = f"nowhere ({problem.strerror})"
    log.error(words, file=path, moved_to=moved, error=error)


def sticky_key(folder: Path) -> str:
    """The secret that signs the cookies of sticky sessions: 64 hexadecimal digits, made once. Where the
    folder can be neither read nor written it holds until lb ends, with an error in the log."""
    path = folder / STICKY_KEY
    try:
        return _read_key(path) or _make_key(path)
    except OSError as error:
        log.error(
            "the secret of sticky sessions cannot be kept: sessions move when lb starts again",
            file=path, error=error.strerror,
        )  # fmt: skip
        return secrets.token_hex(32)


def _read_key(path: Path) -> str:
    try:
        found = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return ""
    if _KEY.fullmatch(found):
        return found.strip()
    log.error(
        "the secret of sticky sessions is not 64 hexadecimal digits: a new one is made, and sessions move",
        file=path, moved_to=set_aside(path),
    )  # fmt: skip
    return ""


def _make_key(path: Path) -> str:
    made = secrets.token_hex(32)
    fresh = _written_beside(path, f"{made}\n".encode())
    try:
        os.link(fresh, path)  # unlike a rename it fails where another lb was first: then that one's holds
    except FileExistsError:
        return _read_key(path) or made
    finally:
        fresh.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return made


def _written_beside(path: Path, data: bytes) -> Path:
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
