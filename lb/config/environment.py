"""Values from the environment: `${NAME}` and `${NAME:-default}`.

Names are capitals, digits and `_`: what is written in small letters (`${path}`) is a field of the
request and stays as it is. `$${NAME}` is the text `${NAME}` itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Environment = Mapping[str, str]

_REFERENCE = re.compile(r"(\$)?\$\{([A-Z_][A-Z0-9_]*)([^}]*)(\}?)")


class UnsetError(Exception):
    """A reference that cannot be followed; the text is the message for the operator."""


class Substituted(str):
    """Text that came from the environment: it may stand for a number or a truth value too."""

    __slots__ = ()


def substitute(text: str, environment: Environment) -> str:
    """`text` with every reference replaced; the same text where there is none.

    Raises UnsetError for a variable that is not set and has no default, and for a broken reference.
    """
    replaced = False

    def value(found: re.Match[str]) -> str:
        nonlocal replaced
        literal, name, rest, close = found.groups()
        if literal:
            return found[0][1:]
        if not close:
            raise UnsetError(f'"{found[0]}" is not closed; write ${{{name}}} or ${{{name}:-default}}')
        if rest and not rest.startswith(":-"):
            raise UnsetError(f'"{found[0]}" is not a reference; write ${{{name}}} or ${{{name}:-default}}')
        replaced = True
        if name in environment:
            return environment[name]
        if rest:
            return rest[2:]
        raise UnsetError(
            f"the environment variable {name} is not set; set it, or write a default: ${{{name}:-…}}"
        )

    result = _REFERENCE.sub(value, text)
    return Substituted(result) if replaced else result


def escaped(text: str) -> str:
    """`text` written so that `substitute` gives it back."""
    return _REFERENCE.sub(lambda found: "$" + found[0], text)
