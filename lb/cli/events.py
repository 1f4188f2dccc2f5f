"""`lb events`: the events of a running lb, as they come.

Lives here: reading the stream, coming back after it broke, printing. Must not live here: what an event is
(lb.control.events).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

from lb.cli.admin import CANNOT_RUN, UnansweredError, request
from lb.cli.terminal import complain, paint, say

OK = 0
SILENCE = 45.0  # seconds without even a comment after which the connection is given up
PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries to come back

# By the end of the kind or reason: what an operator should see first.
BAD = ("down", "ejected", "failure", "died", "lost")
GOOD = ("up", "returned", "success", "cleared", "expired")


def events(admin: str, after: int | None, as_json: bool, follow: bool) -> int:
    """Print what happened after event number `after` (None: from now on; all that is kept where not
    `follow`), and follow. Returns the exit code."""
    try:
        if follow:
            _follow(admin, after, as_json)
        else:
            for event in _last(admin, after):
                _print(event, as_json)
    except UnansweredError as error:
        complain(str(error))
        return error.code
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # `lb events | head`; Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


def _last(admin: str, after: int | None) -> list[Mapping[str, Any]]:
    with request(admin, "GET", f"/api/v1/events?after={after or 0}") as response:
        found: list[Mapping[str, Any]] = json.load(response)["events"]
        return found


def _follow(admin: str, after: int | None, as_json: bool) -> None:
    """For ever; raises UnansweredError where the first try fails."""
    pause, begun = PAUSE, False
    while True:
        try:
            headers = {"Accept": "text/event-stream"}
            if after is not None:
                headers["Last-Event-ID"] = str(after)
            with request(admin, "GET", "/api/v1/events", headers=headers, timeout=SILENCE) as response:
                begun, pause = True, PAUSE
                for event in read(response):
                    after = event["number"]
                    _print(event, as_json)
            complain(f"{admin} ended the stream; trying again")
        except UnansweredError as error:
            if not begun or error.code != CANNOT_RUN:
                raise
        except (OSError, HTTPException) as error:
            if isinstance(error, BrokenPipeError):
                raise
            complain(f"{admin} is gone ({error}); trying again")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def read(response: HTTPResponse) -> Iterator[Mapping[str, Any]]:
    """The events of a stream. A line of data is a whole event, where it was not cut off; all other lines do
    not matter here."""
    for line in response:
        if line.startswith(b"data: ") and line.endswith(b"\n"):
            yield json.loads(line[len(b"data: ") :])


def _print(event: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        say(json.dumps(event))
    else:
        words = f"{event['kind']} {event['reason']}"
        colour = next(
            (
                colour
                for colour, ends in (("red", BAD), ("green", GOOD))
                if event["kind"].endswith(ends) or event["reason"].endswith(ends)
            ),
            "cyan",
        )
        place = "/".join(part for part in (event["service"], event["server"]) if part)
        text = event["text"] if not place or place in event["text"] else f"{place}: {event['text']}"
        say(f"{paint(event['at'], 'dim')} {paint(words, colour)} {text}")
    sys.stdout.flush()
