"""`lb import`: the configuration of nginx or HAProxy as one of lb's, and what of it is not in it.

Lives here: where the parts are printed, and the exit code. Must not live here: what maps to what
(lb.importing).
"""

from __future__ import annotations

import sys
from pathlib import Path

from lb.cli.terminal import complain, paint, say
from lb.importing.result import Draft, MissingPackageError, UnreadableError

OK, PROBLEMS, CANNOT_RUN, LOST = 0, 1, 4, 7


def import_(source: Path, kind: str) -> int:
    """Prints the YAML on stdout and the list on stderr. `kind` "": found out. Returns the exit code."""
    try:
        draft = _draft(source, kind)
    except MissingPackageError as error:
        complain(str(error))
        return CANNOT_RUN
    except UnreadableError as error:
        complain(str(error))
        return PROBLEMS
    say(draft.text().rstrip("\n"))
    for word, colour, gaps in (("not mapped", "yellow", draft.lost), ("differs", "cyan", draft.notes)):
        for gap in gaps:
            sys.stderr.write(f"{paint(word, colour, sys.stderr)}: {gap}\n")
    if draft.left_out:
        count = len(draft.left_out)
        sys.stderr.write(f"left out: {count} that lb has no need of; the comments of the result name them\n")
    problems = draft.problems()
    for problem in problems:
        complain(f"lb check refuses the result: {problem}")
    return PROBLEMS if problems else LOST if draft.lost else OK


def _draft(source: Path, kind: str) -> Draft:
    from lb.importing.haproxy import import_haproxy, is_haproxy
    from lb.importing.nginx import import_nginx

    if kind == "haproxy" or (not kind and is_haproxy(source)):
        return import_haproxy(source)
    return import_nginx(source)
