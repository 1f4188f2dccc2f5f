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
    for fds in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(fd.readlink().name in inodes for fd in fds.iterdir() if fd.is_symlink()):
                process = fds.parent
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue  # another user's, or gone in the meantime
    return ""


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
