"""What a route changes: the request's target and host, and headers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from lb.config.fields import HOST, MAPPING, EditableName, EditValue, PathText, Regex
from lb.config.problems import nearest, shown, wrong, wrong_key
from lb.config.section import Finding, Section
from lb.config.values import LIST, Text, text


def _rewrite_host(value: str) -> str:
    if not HOST.match(value):
        raise wrong(f"found {shown(value)}; expected preserve, server, or a host such as app.internal:8080")
    known = ("preserve", "server")
    if value not in known and "." not in value and nearest(value, known):
        raise wrong(f"found {shown(value)}; expected preserve, server or a host{nearest(value, known)}")
    return value


class RewriteSpec(Section):
    """What the server is asked for: a prefix taken away and one put in front, or a regular expression;
    and the host."""

    strip_prefix: PathText | None = Field(default=None, description="Taken from the front of the path.")
    add_prefix: PathText | None = Field(default=None, description="Put in front of the path.")
    regex: Regex | None = Field(default=None, description="Replaced in the path by `to`.")
    to: Text | None = Field(default=None, description=r"The replacement; \1 or \g<name> are groups.")
    host: Annotated[str, text(_rewrite_host)] = Field(
        default="preserve",
        description="preserve (as the client sent it), server (the server's address) or a host.",
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        expression, to = given.get("regex"), given.get("to")
        for key in ("strip_prefix", "add_prefix"):
            if key in given and "regex" in given:
                yield (
                    (key,),
                    wrong_key('cannot stand beside "regex"; use either prefixes or a regular expression'),
                )
        if "regex" in given and "to" not in given:
            yield ("regex",), wrong_key('the key "to" is missing beside it: what the match is replaced by')
        if "to" in given and "regex" not in given:
            yield ("to",), wrong_key('the key "regex" is missing beside it: what is replaced')
        if isinstance(expression, str) and isinstance(to, str):
            try:
                compiled = re.compile(expression)
            except (re.error, OverflowError, RecursionError):
                return  # reported as the value of regex
            try:
                compiled.sub(to, "")  # the template is parsed even where nothing matches
            except (re.error, IndexError) as error:
                yield ("to",), wrong(f"found {shown(to)}; not a replacement for this regex: {error}")


class HeaderEditsSpec(Section):
    """Changes to headers: remove, then set, then add."""

    set: Annotated[dict[EditableName, EditValue], MAPPING] = Field(
        default={},
        description="Replaces all lines of the name. Values may contain ${client_ip} ${host} ${path} "
        "${scheme} ${request_id}.",
    )
    add: Annotated[dict[EditableName, EditValue], MAPPING] = Field(
        default={}, description="Appends a line. The same fields."
    )
    remove: Annotated[tuple[EditableName, ...], LIST] = Field(
        default=(), description="Drops all lines of the name."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        removed, assigned = given.get("remove"), given.get("set")
        if isinstance(removed, list) and isinstance(assigned, dict):
            names = {str(name).lower() for name in assigned}
            for index, name in enumerate(removed):
                if str(name).lower() in names:
                    yield (
                        ("remove", index),
                        wrong(f'found {shown(name)} in "set" too; "set" replaces it already'),
                    )
