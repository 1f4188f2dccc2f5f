"""`lb tail`: requests of a running lb as they end.

Lives here: reading the stream. Must not live here: the line of a request (lb.cli.why), which are meant
(lb.control.tails).
"""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPException
from urllib.parse import urlencode

from lb.cli.admin import CANNOT_RUN, UnansweredError, request
from lb.cli.terminal import complain, paint, say
from lb.cli.why import row, shown

OK = 0
SILENCE = 15.0  # seconds without even a comment after which the connection is given up


def tail(admin: str, condition: str, rate: int, as_json: bool) -> int:
    """Print up to `rate` requests a second on which the condition holds, until Ctrl-C. Returns the exit
    code."""
    path = f"/api/v1/requests?{urlencode({'condition': condition, 'rate': rate})}"
    try:
        with request(admin, "GET", path, headers={"Accept": "text/event-stream"}, timeout=SILENCE) as stream:
            name, left_out = "", 0
            for line in stream:
                if line.startswith(b"event: "):
                    name = line[len(b"event: ") :].strip().decode()
                elif line.startswith(b"data: ") and line.endswith(b"\n"):
                    if name == "left_out" and not as_json:  # ten times a second: told with the next request
                        left_out += json.loads(line[len(b"data: ") :])["count"]
                        continue
                    left_out = _more(left_out)
                    _print(line[len(b"data: ") :], as_json)
                elif line.startswith(b":"):  # a comment in a silence
                    left_out = _more(left_out)
        complain(f"{admin} ended the stream")
    except UnansweredError as error:
        complain(shown(str(error)))
        return error.code
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:  # `lb tail | head`; Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (OSError, HTTPException) as error:
        complain(f"{admin} is gone: {error}")
    return CANNOT_RUN


def _print(data: bytes, as_json: bool) -> None:
    say(data.decode().strip() if as_json else row(json.loads(data)))
    sys.stdout.flush()


def _more(left_out: int) -> int:
    """Say how many were left out, where any were; none are then."""
    if left_out:
        say(paint(f"… and {left_out} more", "dim"))
        sys.stdout.flush()
    return 0
