"""Routes in the configuration: a match and what follows from it. The predicates are in
lb.config.matches, what is done to requests and responses in lb.config.edits, further tries in
lb.config.retry and lb.config.mirror."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lb.config.edits import HeaderEditsSpec, RewriteSpec
from lb.config.fields import (
    MAPPING,
    REDIRECT_FIELDS,
    EditableName,
    HeaderValue,
    Name,
    fills,
)
from lb.config.matches import MatchSpec
from lb.config.mirror import MirrorSpec
from lb.config.problems import nearest, one_of, shown, wrong, wrong_key
from lb.config.retry import RetrySpec
from lb.config.section import Finding, Section, always
from lb.config.values import LIST, Checked, Text, duration, text, whole

ACTIONS = ("service", "split", "redirect", "respond")
REDIRECTS = (301, 302, 303, 307, 308)
NO_BODY = (204, 205, 304)  # RFC 9110 15.3.5, 15.3.6, 15.4.5


class ShareSpec(Section):
    """One part of a split."""

    service: Name = Field(description="The service's name.")
    weight: Annotated[int, whole(0, 1_000_000)] = Field(description="Its share: weight / sum of all weights.")


def _redirect_status(value: object) -> int:
    if isinstance(value, bool) or value not in REDIRECTS:
        raise wrong(f"found {shown(value)}; expected one of {one_of(map(str, REDIRECTS))}")
    assert isinstance(value, int)
    return value


def _location(value: str) -> str:
    if not value or any(c <= " " for c in value):
        raise wrong(f"found {shown(value)}; expected a URL or a path, without spaces and line breaks")
    if not value.startswith(("/", "http://", "https://", "${")):
        raise wrong(f'found {shown(value)}; expected "https://…", or a path that begins with "/"')
    return value


class RedirectSpec(Section):
    """An answer that sends the client elsewhere."""

    to: Annotated[str, text(fills(REDIRECT_FIELDS, _location))] = Field(
        description="Where to; may contain " + " ".join(f"${{{name}}}" for name in REDIRECT_FIELDS) + ".",
        examples=["https://www.example.com${uri}"],
    )
    status: Annotated[int, Checked(_redirect_status, {"enum": list(REDIRECTS)})] = Field(
        default=308, description="301, 302, 303, 307 or 308 (permanent, keeps the method)."
    )


class RespondSpec(Section):
    """A fixed answer."""

    status: Annotated[int, whole(200, 599)] = Field(default=200, description="The status.")
    body: Text = Field(default="", description="The body, in UTF-8.")
    headers: Annotated[dict[EditableName, HeaderValue], MAPPING] = Field(
        default={}, description="Headers of the answer."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if given.get("body") and given.get("status") in NO_BODY:
            yield ("body",), wrong_key(f"an answer with the status {given['status']} has no body; remove it")


class TimeoutSpec(Section):
    """How long the parts of an exchange may take; 0: no limit."""

    connect: Annotated[float, duration(zero="no limit")] = Field(
        default=2.0, description="To connect to a server."
    )
    attempt: Annotated[float, duration(zero="no limit")] = Field(
        default=0.0,
        description="To the first byte of the response, for each try; then the next may begin.",
    )
    response: Annotated[float, duration(zero="no limit")] = Field(
        default=30.0, description="To the first byte of the response."
    )
    total: Annotated[float, duration(zero="no limit")] = Field(
        default=0.0, description="The whole exchange, retries included."
    )
    idle: Annotated[float, duration(zero="no limit")] = Field(
        default=60.0, description="The longest pause in a response, or in a tunnel."
    )


def _service(value: object) -> object:
    if isinstance(value, dict):
        raise wrong(
            "found a mapping; expected the name of a service (the short form of routes is path: service; "
            "what needs more is written as a list: - name: …)"
        )
    return value


class RouteSpec(Section):
    """Which requests, and what becomes of them."""

    name: Name = Field(description="Its name in logs, metrics and messages.")
    match: MatchSpec = Field(
        default_factory=always(MatchSpec()),
        description="All present predicates must hold; absent: every request.",
    )
    priority: Annotated[int, whole(-1_000_000, 1_000_000)] = Field(
        default=0, description="Higher first; equal: the more specific route."
    )
    service: Annotated[Name | None, BeforeValidator(_service)] = Field(
        default=None, description="The service that gets the request."
    )
    split: Annotated[tuple[ShareSpec, ...], LIST] = Field(
        default=(), description="Several services, by weight."
    )
    redirect: RedirectSpec | None = Field(default=None, description="Send the client elsewhere.")
    respond: RespondSpec | None = Field(default=None, description="Answer at once.")
    rewrite: RewriteSpec | None = Field(default=None, description="Change what the server is asked for.")
    request_headers: HeaderEditsSpec = Field(
        default_factory=always(HeaderEditsSpec()), description="Changes to what the server gets."
    )
    response_headers: HeaderEditsSpec = Field(
        default_factory=always(HeaderEditsSpec()), description="Changes to what the client gets."
    )
    timeout: TimeoutSpec = Field(default_factory=always(TimeoutSpec()), description="Limits of time.")
    retry: RetrySpec = Field(default_factory=always(RetrySpec()), description="Further tries.")
    mirror: MirrorSpec | None = Field(default=None, description="Copy requests to a second service.")

    def without_effect(self) -> tuple[str, ...]:
        return () if self.service or self.split else ("timeout", "retry")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        actions = [key for key in ACTIONS if key in given]
        if len(actions) > 1:
            for second in actions[1:]:
                yield (
                    (second,),
                    wrong_key(
                        f'cannot stand beside "{actions[0]}"; a route has exactly one of {one_of(ACTIONS)}'
                    ),
                )
        elif not actions:
            unknown = [key for key in given if key not in cls.keys]
            if not any(nearest(key, ACTIONS) for key in unknown):
                yield (), wrong(f"the route does nothing; it needs one of {one_of(ACTIONS)}")
        if given.get("split") in ([], ()):
            yield ("split",), wrong("found an empty list; expected [{service: NAME, weight: 1}, …]")
        yield from _split(given.get("split"))
        if actions and actions[0] in {"redirect", "respond"}:
            for key in ("rewrite", "request_headers", "timeout", "retry", "mirror"):
                if key in given:
                    yield (key,), wrong_key(f'no effect beside "{actions[0]}": no server is asked; remove it')


def _split(shares: object) -> Iterator[Finding]:
    if not isinstance(shares, list) or not all(isinstance(share, dict) for share in shares):
        return
    first: dict[object, int] = {}
    for index, share in enumerate(shares):
        name = share.get("service")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield ("split", index, "service"), wrong(f"found {shown(name)} twice; add the weights")
    if shares and all(share.get("weight") == 0 for share in shares):
        yield ("split",), wrong("all weights are 0; one needs to be above 0")


def long_form(value: object) -> object:
    """The short form {path: service, …} as a list of routes named by their paths."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    if not isinstance(value, dict):
        raise wrong(f'found {shown(value)}; expected a list of routes, or the short form {{"/": SERVICE}}')
    return tuple(_from_pair(key, item) for key, item in value.items())


def _from_pair(key: str, service: object) -> dict[str, object]:
    return {"name": key, "match": {"path_prefix": key}, "service": service}


Routes = Annotated[
    tuple[RouteSpec, ...],
    BeforeValidator(long_form, json_schema_input_type=tuple[RouteSpec, ...] | dict[str, str]),
]
