"""Sticky sessions in the configuration: a cookie that names the server of a client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lb.config.addresses import HostName
from lb.config.fields import SECRET_SCHEMA, CookieName, Secret, path, secret
from lb.config.problems import shown, wrong, wrong_key
from lb.config.section import Finding, Section
from lb.config.values import Checked, Truth, choice, duration, text

LEAST_SECRET = 16  # bytes


def _cookie_path(value: str) -> str:
    if ";" in value:
        raise wrong(f'found {shown(value)}; the path of a cookie has no ";"')
    return path(value)


def signing_secret(value: object) -> Secret:
    """A secret of 16 bytes or more, never in the open."""
    if not isinstance(value, (dict, Secret)):
        raise wrong("found a secret in the open; write it to a file: {file: /run/secrets/NAME}")
    found = secret(value)
    if len(found.value.get_secret_value().encode()) < LEAST_SECRET:
        raise wrong(
            f"the secret {shown(found.file or found.env)} has fewer than {LEAST_SECRET} bytes; "
            f"make one: openssl rand -hex 32{f' > {found.file}' if found.file else ''}"
        )
    return found


class StickySpec(Section):
    """Requests of one client go to one server, named by a signed cookie."""

    cookie: CookieName = Field(description="The cookie's name.")
    ttl: Annotated[float, duration(zero="until the browser ends")] = Field(
        default=0.0, description="How long it holds; 0: until the browser ends."
    )
    path: Annotated[str, text(_cookie_path, pattern=r"^(/|\$\{)")] = Field(
        default="/", description="The paths to which browsers send it."
    )
    domain: HostName | None = Field(
        default=None, description="The domain to which browsers send it; absent: the host that was asked."
    )
    secure: Truth = Field(default=False, description="Browsers send it over TLS only.")
    http_only: Truth = Field(default=True, description="Scripts cannot read it.")
    same_site: Annotated[Literal["strict", "lax", "none"], choice("strict", "lax", "none")] = Field(
        default="lax", description="strict, lax or none: whether other sites' pages send it."
    )
    secret: Annotated[Secret | None, Checked(signing_secret, SECRET_SCHEMA)] = Field(
        default=None,
        description="What signs it; the same on machines that share clients. Absent: made once and kept in "
        "state_dir.",
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        name, secure = given.get("cookie"), given.get("secure") is True
        if given.get("same_site") == "none" and not secure:
            yield ("same_site",), wrong('browsers refuse "none" without secure: true')
        if not isinstance(name, str):
            return
        if name.startswith(("__Secure-", "__Host-")) and not secure:
            yield ("cookie",), wrong(f"browsers refuse {shown(name)} without secure: true")
        if name.startswith("__Host-"):
            if given.get("path", "/") != "/":
                yield ("path",), wrong(f'browsers refuse {shown(name)} with another path than "/"')
            if "domain" in given:
                yield ("domain",), wrong_key(f"browsers refuse {shown(name)} with a domain; remove it")


def _name(value: object) -> object:
    return {"cookie": value} if isinstance(value, str) else value


StickyItem = Annotated[StickySpec | None, BeforeValidator(_name, json_schema_input_type=StickySpec | str)]
