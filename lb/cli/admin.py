"""Asking a running lb: one request to its admin API, and what to tell the user where there is no answer.

Lives here: what `lb explain`, `lb servers` and `lb events` share. Must not live here: what is asked.
"""

from __future__ import annotations

import json
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

USAGE, CANNOT_RUN, OVERTAKEN = 2, 4, 6
TIMEOUT = 10.0  # seconds for the admin API to answer


class UnansweredError(Exception):
    """No answer; `code` is the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def ask(
    admin: str,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Any:
    """The JSON that this lb answers. Raises UnansweredError."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with request(admin, method, path, data, headers, timeout) as response:
            return json.load(response)
    except (OSError, HTTPException, ValueError) as error:
        raise _silent(admin, error) from None


def request(
    admin: str,
    method: str,
    path: str,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> HTTPResponse:
    """The open answer of this lb to one request; `timeout` holds for each read. Raises UnansweredError."""
    if not admin.startswith(("http://", "https://")):
        raise UnansweredError(USAGE, f"found --admin {admin}; write it like http://127.0.0.1:9900")
    asked = Request(  # noqa: S310 (the scheme was checked)
        admin.rstrip("/") + path,
        data,
        {**({"Content-Type": "application/json"} if data is not None else {}), **(headers or {})},
        method=method,
    )
    # The admin address is this machine's or the next one's: no proxy of the environment stands between.
    opener = build_opener(ProxyHandler({}))
    try:
        response: HTTPResponse = opener.open(asked, timeout=timeout)
    except HTTPError as error:
        code = OVERTAKEN if error.code == 409 else USAGE if error.code < 500 else CANNOT_RUN
        raise UnansweredError(code, _said(error)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _silent(admin, error) from None
    return response


def _silent(admin: str, error: Exception) -> UnansweredError:
    reason = getattr(error, "reason", error)
    return UnansweredError(
        CANNOT_RUN, f"{admin} does not answer: {reason}; is lb running, and is admin.bind this?"
    )


def _said(error: HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.url[:100]} answered {error.code}"
