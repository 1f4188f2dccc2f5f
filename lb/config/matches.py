"""Predicates of routes in the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lb.config.addresses import HostPattern, Network
from lb.config.fields import MAPPING, CookieName, HeaderName, Method, Name, PathText, Regex
from lb.config.problems import one_of, shown, wrong, wrong_key
from lb.config.section import Finding, Section
from lb.config.values import ONE_OR_MORE, Text, Truth, text

PATHS = ("path", "path_prefix", "path_regex")
KINDS = ("exact", "regex", "present")


class ValueSpec(Section):
    """A predicate on a value: exactly one of exact, regex, present."""

    exact: Annotated[tuple[Text, ...], ONE_OR_MORE] | None = Field(
        default=None, description="The value, or alternatives."
    )
    regex: Regex | None = Field(
        default=None, description="Found anywhere in the value; anchor it with ^ and $."
    )
    present: Truth | None = Field(default=None, description="Whether there is such a value.")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        kinds = [key for key in KINDS if key in given]
        if len(kinds) > 1:
            yield (kinds[1],), wrong_key(f'cannot stand beside "{kinds[0]}"; use one of {one_of(KINDS)}')
        elif not kinds and all(key in cls.keys for key in given):
            yield (), wrong(f"found an empty mapping; expected a value, or one of {one_of(KINDS)}")


def _value(value: object) -> object:
    """ "1" and ["1", "2"] stand for {exact: …}."""
    if isinstance(value, (str, list, tuple)):
        return {"exact": value}
    if value is None or isinstance(value, (bool, int, float)):
        quoted = "" if value is None else f' (quote it: "{shown(value)}")'
        raise wrong(f"found {shown(value)}; expected text, a list, {{regex: …}} or {{present: true}}{quoted}")
    return value


Value = Annotated[ValueSpec, BeforeValidator(_value, json_schema_input_type=ValueSpec | str | list[str])]


def _query_name(value: str) -> str:
    if not value:
        raise wrong("found an empty name of a query parameter")
    return value


def _named(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong(f'found {shown(value)}; expected a mapping of names to values: {{NAME: "value"}}')
    return value


class MatchSpec(Section):
    """All present predicates must hold; a list holds alternatives."""

    listener: Annotated[tuple[Name, ...], ONE_OR_MORE] | None = Field(
        default=None, description="Names of listeners."
    )
    host: Annotated[tuple[HostPattern, ...], ONE_OR_MORE] | None = Field(
        default=None, description='Hosts; "*.example.com" is every name below it.'
    )
    path: Annotated[tuple[PathText, ...], ONE_OR_MORE] | None = Field(
        default=None, description="Exact paths."
    )
    path_prefix: Annotated[tuple[PathText, ...], ONE_OR_MORE] | None = Field(
        default=None, description="Whole segments from the front: /v1 holds for /v1 and /v1/x, not for /v10."
    )
    path_regex: Annotated[tuple[Regex, ...], ONE_OR_MORE] | None = Field(
        default=None, description="Found anywhere in the path; anchor it with ^."
    )
    method: Annotated[tuple[Method, ...], ONE_OR_MORE] | None = Field(
        default=None, description="Request methods."
    )
    header: Annotated[dict[HeaderName, Value], MAPPING] = Field(default={}, description="Values of headers.")
    query: Annotated[dict[Annotated[str, text(_query_name)], Value], BeforeValidator(_named)] = Field(
        default={}, description="Values of query parameters."
    )
    cookie: Annotated[dict[CookieName, Value], BeforeValidator(_named)] = Field(
        default={}, description="Values of cookies."
    )
    client_ip: Annotated[tuple[Network, ...], ONE_OR_MORE] | None = Field(
        default=None, description="Networks of clients."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        asked = [key for key in PATHS if key in given]
        for second in asked[1:]:
            yield (
                (second,),
                wrong_key(f'cannot stand beside "{asked[0]}"; a route has at most one of {one_of(PATHS)}'),
            )
        header = given.get("header")
        if isinstance(header, dict):
            for name in header:
                if isinstance(name, str) and name.lower() == "host":
                    yield ("header", name), wrong_key('use the predicate "host" instead')
