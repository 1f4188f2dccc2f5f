"""Who listens on a port: read from /proc for an error message.

Lives here: that one question. Must not live here: anything that depends on the answer; another user's
processes, containers and other systems give none.
"""

from __future__ import annotations

from pathlib import Path

LISTENING = "0A"  # state of a socket in /proc/net/tcp


def owner_of(port: int) -> str:
    """`process 4711 (nginx)`, or "" where it cannot be found out."""
    inodes = _inodes(port)
    if not inodes:
        return ""
    holders: list[tuple[int, str]] = []
    for fds in Path("/proc").glob("[0-9]*/fd"):
        process = fds.parent
        try:
            if any(fd.readlink().name in inodes for fd in fds.iterdir() if fd.is_symlink()):
                name = (process / "comm").read_text().strip()
                holders.append((_started(process), f"process {process.name} ({name})"))
        except OSError:
            continue  # another user's, or gone in the meantime
    # Its workers hold the socket too, and their numbers may be lower: the oldest is who opened it.
    return min(holders)[1] if holders else ""


def _started(process: Path) -> int:
    """Clock ticks from the machine's start to that of the process: field 22 of proc(5)'s stat."""
    return int((process / "stat").read_text().rpartition(")")[2].split()[19])


def _inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found
