"""Active health checks in the configuration: what is asked, how often, and what a good answer is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lb.config.addresses import HostName
from lb.config.fields import HOST, MAPPING, RESERVED, HeaderValue, Method, Regex, ca_file, header_name
from lb.config.problems import one_of, shown, wrong, wrong_key
from lb.config.section import Finding, Section, always
from lb.config.shares import percent
from lb.config.values import LIST, ONE_OR_MORE, Checked, Text, Truth, Written, choice, duration, text, whole

CHECKS = ("http", "tcp", "grpc", "command")
HTTP_ONLY = ("method", "host", "headers", "expect")
_TARGET = re.compile(r"/[!\"$-;=?-~]*\Z")  # a path and a query
_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?\Z")

Range = tuple[int, int]  # of statuses, both included


def _target(value: str) -> str:
    if not value.startswith("/"):
        raise wrong(f'found {shown(value)}; a path begins with "/"')
    if not _TARGET.match(value):
        raise wrong(f"found {shown(value)}; a path is printable ASCII without spaces, #, < and >")
    return value


def _true(value: object) -> bool:
    if value is not True:
        raise wrong(f"found {shown(value)}; expected true (the check is that a connection is accepted)")
    return True


def _host(value: str) -> str:
    if not HOST.match(value):
        raise wrong(f"found {shown(value)}; expected a host such as app.internal or app.internal:8080")
    return value


def _header(value: str) -> str:
    name = header_name(value)
    if name == "host":
        raise wrong(f'found {shown(value)}; use the key "host" of the check')
    if name in RESERVED:
        raise wrong(f"found {shown(value)}; this header cannot be changed: {RESERVED[name]}")
    return name


def _range(value: object) -> Range:
    plain = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _RANGE.match(plain) if isinstance(plain, str) else None
    if found is None:
        raise wrong(f"found {shown(value)}; expected a status or a range of them, such as 200 or 200-399")
    least, most = int(found[1]), int(found[2] or found[1])
    if least > most:
        raise wrong(f"found {shown(value)}; the smaller status comes first: {most}-{least}")
    return least, most


def _ranges_text(ranges: tuple[Range, ...]) -> list[int | str]:
    return [least if least == most else f"{least}-{most}" for least, most in ranges]


_RANGE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$", "examples": ["200-399"]},
    ]
}


class AnswerSpec(Section):
    """What a good answer to an HTTP check is; all that is given must hold."""

    status: Annotated[
        tuple[Annotated[Range, Checked(_range, _RANGE_SCHEMA)], ...], ONE_OR_MORE, Written(_ranges_text)
    ] = Field(default=((200, 399),), description="A status, a range such as 200-399, or a list of them.")
    body: Text | None = Field(default=None, description="Text that the body contains.")
    regex: Regex | None = Field(default=None, description="Found anywhere in the body.")


class CheckTlsSpec(Section):
    """How a check speaks TLS."""

    server_name: HostName | None = Field(
        default=None, description="The name that the certificate must have; absent: the server's host."
    )
    ca: Annotated[str, text(ca_file)] | None = Field(
        default=None, description="File of certificates to trust; absent: those of the system."
    )
    verify: Truth = Field(default=True, description="Verify the server's certificate.")


class AgentSpec(Section):
    """An agent beside the server, asked for one line such as `75%`, `drain` or `down reason` (HAProxy's
    agent-check)."""

    port: Annotated[int, whole(1, 65_535)] = Field(description="The agent's port on the server's host.")
    interval: Annotated[float, duration()] = Field(default=5.0, description="How often it is asked.")
    send: Text = Field(default="", description="Text that is sent first.")


def _tls(value: object) -> object:
    return {True: CheckTlsSpec(), False: None}[value] if isinstance(value, bool) else value


class HealthCheckSpec(Section):
    """How each server is checked: exactly one of http, tcp, grpc, command."""

    http: Annotated[str, text(_target, pattern=r"^(/|\$\{)", examples=["/healthz"])] | None = Field(
        default=None, description="The path that is asked for, with its query."
    )
    tcp: Annotated[bool | None, Checked(_true, {"const": True})] = Field(
        default=None, description="A connection that is accepted is enough."
    )
    grpc: Text | None = Field(
        default=None, description='The service to ask the gRPC health protocol for; "": the whole server.'
    )
    command: Annotated[tuple[Text, ...] | None, LIST] = Field(
        default=None, description="A program and its arguments; healthy is exit code 0."
    )
    method: Method = Field(default="GET", description="http: the method.")
    host: Annotated[str, text(_host)] | None = Field(
        default=None, description="http: the Host header; absent: the server's address."
    )
    headers: Annotated[dict[Annotated[str, text(_header)], HeaderValue], MAPPING] = Field(
        default={}, description="http: further headers of the request."
    )
    interval: Annotated[float, duration()] = Field(
        default=5.0, description="From the start of one check to that of the next."
    )
    interval_down: Annotated[float | None, duration()] = Field(
        default=None, description="The same while the server is down; absent: interval."
    )
    interval_rising: Annotated[float | None, duration()] = Field(
        default=None,
        description="The same between the first result that is different and the change; absent: interval.",
    )
    jitter: Annotated[float, percent(0, 50)] = Field(
        default=0.1, description="Each interval is longer or shorter by up to this share."
    )
    timeout: Annotated[float, duration()] = Field(
        default=2.0, description="After which a check without an answer has failed."
    )
    rise: Annotated[int, whole(1, 1000)] = Field(
        default=2, description="Good results in a row after which a server is up."
    )
    fall: Annotated[int, whole(1, 1000)] = Field(
        default=3, description="Bad results in a row after which a server is down."
    )
    port: Annotated[int | None, whole(1, 65_535)] = Field(
        default=None, description="Where the check goes; absent: the server's port."
    )
    tls: Annotated[CheckTlsSpec | None, BeforeValidator(_tls, json_schema_input_type=CheckTlsSpec | bool)] = (
        Field(default=None, description="Check over TLS; true: with its defaults.")
    )
    expect: AnswerSpec = Field(
        default_factory=always(AnswerSpec()), description="http: what a good answer is."
    )
    initial: Annotated[Literal["up", "down"], choice("up", "down")] = Field(
        default="up", description="up or down: what a server is before its first result."
    )
    agent: AgentSpec | None = Field(default=None, description="Ask an agent too.")

    def without_effect(self) -> tuple[str, ...]:
        return HTTP_ONLY if self.http is None else ()

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        kinds = [key for key in CHECKS if key in given]
        for second in kinds[1:]:
            yield (
                (second,),
                wrong_key(f'cannot stand beside "{kinds[0]}"; a check is exactly one of {one_of(CHECKS)}'),
            )
        if not kinds and all(key in cls.keys for key in given):
            yield (), wrong(f"nothing is checked; it needs one of {one_of(CHECKS)}, such as http: /healthz")
        if len(kinds) == 1 and kinds[0] != "http":
            for key in HTTP_ONLY:
                if key in given:
                    yield (key,), wrong_key(f'no effect beside "{kinds[0]}"; only "http" uses it')
        if kinds == ["command"] and "tls" in given:
            yield ("tls",), wrong_key('no effect beside "command"; remove it')
        if given.get("command") in ([], ()):
            yield ("command",), wrong("found an empty list; expected [PROGRAM, ARGUMENT, …]")
        expect = given.get("expect")
        if given.get("method") == "HEAD" and isinstance(expect, dict):
            for key in ("body", "regex"):
                if key in expect:
                    yield ("expect", key), wrong_key("an answer to HEAD has no body; remove it, or use GET")
