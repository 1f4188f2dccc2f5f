"""Fields: what HTTP says about text: header names and values, methods, paths, regular expressions,
texts with ${fields} of the request, and names of our own things.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from lb.config.problems import nearest, one_of, shown, wrong
from lb.config.values import Checked, plain_text, text

CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z", re.ASCII)  # package.module:Class
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 5.6.2
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(:[0-9]{1,5})?\Z")  # RFC 9110 7.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*\Z")  # RFC 9110 5.5, in UTF-8
_NAME = re.compile(r"[!#-\[\]-~]{1,128}\Z")  # printable ASCII without space, quote and backslash
_PATH = re.compile(r"/[!\"$-;=@-~]*\Z")  # printable ASCII without space, # ? < >
_FIELD = re.compile(r"\$\{([^}]*)(\}?)")

# Hop-by-hop and framing fields belong to the connection (RFC 9110 7.6.1, RFC 9112 6): a rule that
# could change them could smuggle requests.
RESERVED = {
    "connection": "lb writes it for each connection",
    "content-length": "lb writes it from the body",
    "host": "use rewrite: {host: …}",
    "keep-alive": "it belongs to one connection",
    "proxy-connection": "it belongs to one connection",
    "te": "it belongs to one connection",
    "trailer": "it belongs to the framing of the body",
    "transfer-encoding": "lb writes it from the body",
    "upgrade": "lb passes it on by itself",
}

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
HEADER_FIELDS = ("client_ip", "host", "path", "scheme", "request_id")
REDIRECT_FIELDS = ("path", "query", "host", "scheme", "uri")


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise wrong(
            f"found {shown(value)}; a name has 1 to 128 printable ASCII characters, without spaces, "
            "quotes and backslashes"
        )
    return value


def _token(what: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not TOKEN.match(value):
            raise wrong(
                f"found {shown(value)}; {what} has letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 5.6.2)"
            )
        return value

    return check


def header_name(value: str) -> str:
    """A header name in lower case."""
    if value.endswith(":"):
        raise wrong(f"found {shown(value)}; write the header's name without the colon")
    return _token("a header's name")(value).lower()


def _editable(value: str) -> str:
    name = header_name(value)
    if name in RESERVED:
        raise wrong(f"found {shown(value)}; this header cannot be changed: {RESERVED[name]}")
    return name


def header_value(value: str) -> str:
    """A field value (RFC 9110 5.5): no control characters, no white space around it."""
    if not _FIELD_VALUE.match(value):
        raise wrong(f"found {shown(value)}; a header's value has no line breaks and control characters")
    if value != value.strip(" \t"):
        raise wrong(f"found {shown(value)}; a header's value does not begin or end with white space")
    return value


def _method(value: str) -> str:
    if value.upper() in METHODS and value not in METHODS:
        raise wrong(f'found {shown(value)}; methods are case-sensitive: write "{value.upper()}"')
    if value == "CONNECT":
        raise wrong('found "CONNECT"; lb answers it with 405 by itself')
    return _token("a method")(value)


def path(value: str) -> str:
    """The path of a request: begins with "/", no query."""
    if not value.startswith("/"):
        raise wrong(f'found {shown(value)}; a path begins with "/"')
    if "?" in value:
        raise wrong(f'found {shown(value)}; a path has no query; use "query" to ask for parameters')
    if not _PATH.match(value):
        raise wrong(
            f"found {shown(value)}; a path is printable ASCII without spaces, #, < and >: encode those as %XX"
        )
    return value


def regex(value: str) -> str:
    """A regular expression of Python's re."""
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise wrong(f"found {shown(value)}; not a regular expression: {error}") from None
    return value


def fills(allowed: tuple[str, ...], check: Callable[[str], str] | None = None) -> Callable[[str], str]:
    """A check of text in which ${field} stands for a field of the request, one of `allowed`."""

    def validate(value: str) -> str:
        for found in _FIELD.finditer(value):
            if not found[2]:
                raise wrong(f'found {shown(value)}; "${{" is not closed by "}}"')
            if found[1] not in allowed:
                fields = one_of(f"${{{name}}}" for name in allowed)
                near = (
                    nearest(found[1], allowed)
                    .replace('"', "")
                    .replace("mean ", "mean ${")
                    .replace("?)", "}?)")
                )
                raise wrong(f"found ${{{found[1]}}}; the fields here are {fields}{near}")
        return value if check is None else check(value)

    return validate


class Secret(BaseModel):
    """Text read from a file, such as {file: /run/secrets/token}, the end of the line dropped, or from the
    environment: {env: TOKEN}. The text itself is in no output: not in repr, dumps, `lb check --resolved` and
    diffs."""

    model_config = ConfigDict(frozen=True)

    file: str = ""
    env: str = ""
    value: SecretStr = SecretStr("")


SECRET_SCHEMA = {
    "type": "object",
    "description": "Text read from a file, or from the environment, when the configuration is loaded; shown "
    "nowhere.",
    "properties": {
        "file": {"type": "string", "description": "An absolute path.", "examples": ["/run/secrets/token"]},
        "env": {"type": "string", "description": "A variable of the environment.", "examples": ["TOKEN"]},
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}


def secret(value: object) -> Secret:
    """Reads {file: PATH} or {env: NAME}; raises where there is no such file or variable."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, dict) and set(value) == {"env"}:
        name = plain_text(value["env"])
        if name not in os.environ:
            raise wrong(f"the environment variable {shown(name)} is not set")
        return Secret(env=name, value=SecretStr(os.environ[name]))
    if not isinstance(value, dict) or set(value) != {"file"}:
        raise wrong("found a mapping; expected text, {file: /run/secrets/NAME} or {env: NAME}")
    name = plain_text(value["file"])
    if not name.startswith("/"):
        raise wrong(f"found {shown(name)}; the path of a secret is absolute")
    try:
        content = Path(name).read_text("utf-8")
    except OSError as error:
        raise wrong(f"cannot read the secret {shown(name)}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise wrong(f"the secret {shown(name)} is not UTF-8 text") from None
    return Secret(file=name, value=SecretStr(content.rstrip("\r\n")))


def ca_file(value: str) -> str:
    """The absolute path of a file of certificates; raises where it cannot be read."""
    if not value.startswith("/"):
        raise wrong(f"found {shown(value)}; the path of a file of certificates is absolute")
    try:
        content = Path(value).read_bytes()
    except OSError as error:
        raise wrong(f"cannot read {shown(value)}: {error.strerror or error}") from None
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise wrong(f"{shown(value)} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return value


_edit_text = fills(HEADER_FIELDS, header_value)


def _edit_value(value: object) -> str | Secret:
    if not isinstance(value, (dict, Secret)):
        return _edit_text(plain_text(value))
    found = secret(value)
    place = shown(found.file or found.env)
    if "${" in found.value.get_secret_value():
        raise wrong(f'the secret {place} contains "${{", which stands for fields of the request here')
    try:
        header_value(found.value.get_secret_value())
    except ValueError:
        raise wrong(f"the secret {place} has line breaks or control characters") from None
    return found


def _mapping(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong(f"found {shown(value)}; expected a mapping of names to values")
    folded: dict[str, str] = {}
    for key in value:
        if isinstance(key, str) and folded.setdefault(key.lower(), key) != key:
            raise wrong(f'"{folded[key.lower()]}" and "{key}" are one name: write it once')
    return value


MAPPING = BeforeValidator(_mapping)  # of names that are compared without regard to case

Name = Annotated[str, text(_name, pattern=r"^[!#-\[\]-~]{1,128}$")]
Method = Annotated[str, text(_method, examples=list(METHODS))]
PathText = Annotated[str, text(path, pattern=r"^(/|\$\{)", examples=["/", "/v1"])]
Regex = Annotated[str, text(regex, format="regex")]
HeaderName = Annotated[str, text(header_name)]
EditableName = Annotated[str, text(_editable)]
CookieName = Annotated[str, text(_token("a cookie's name"))]
HeaderValue = Annotated[str, text(header_value)]
EditValue = Annotated[str | Secret, Checked(_edit_value, {"anyOf": [{"type": "string"}, SECRET_SCHEMA]})]
