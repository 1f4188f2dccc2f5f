"""Section: the base of every mapping in the configuration.

Lives here: reporting unknown keys (with the nearest right one), keys that are planned but not built,
and impossible combinations, all beside the errors of the values and not instead of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from lb.config.problems import KEY_PROBLEM, nearest, one_of, shown, wrong, wrong_key

Finding = tuple[tuple[str | int, ...], PydanticCustomError]  # where below the section, and what


class Section(BaseModel):
    """A mapping with known keys. Frozen, compared by value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    later: ClassVar[Mapping[str, str]] = {}  # keys that are known and not built yet → what they are
    keys: ClassVar[tuple[str, ...]] = ()  # the keys that it has
    nullable: ClassVar[tuple[str, ...]] = ()  # keys where "nothing" means something

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.keys = tuple(cls.model_fields)

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        """Combinations of keys that cannot be; `given` is what the operator wrote."""
        return iter(())

    def without_effect(self) -> tuple[str, ...]:
        """Keys that are refused beside the others, so that their defaults are not written either."""
        return ()

    @classmethod
    def unknown(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        """The keys of `given` that this section does not have."""
        for key in given:
            if key in cls.keys:
                continue
            if key in cls.later:
                message = f"not supported yet: {cls.later[key]}; remove it"
            else:
                names = [*cls.keys, *cls.later]
                message = f'unknown key "{key}"; allowed: {one_of(cls.keys)}{nearest(key, names)}'
            yield (key,), wrong_key(message)

    @model_validator(mode="wrap")
    @classmethod
    def _report_all(cls, value: Any, proceed: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise wrong(f"found {shown(value)}; expected a mapping with the keys {one_of(cls.keys)}")
        findings = [*cls.unknown(value), *cls.impossible(value)]
        if None in value.values():
            findings += cls._empty(value)
        if not findings:
            return proceed(value)
        details = [InitErrorDetails(type=error, loc=loc, input=None) for loc, error in findings]
        told = {loc[0] for loc, _ in findings if loc and value.get(loc[0], 0) is None}
        told.update(near for key in value if key not in cls.keys for near in cls.keys if nearest(key, [near]))
        try:
            proceed({key: value[key] for key in value if key in cls.keys})
        except ValidationError as error:
            details += [
                InitErrorDetails(
                    type=PydanticCustomError(found["type"], words(found)), loc=found["loc"], input=None
                )
                for found in error.errors(include_url=False, include_input=False)
                if len(found["loc"]) != 1 or found["loc"][0] not in told
            ]
        raise ValidationError.from_exception_data(cls.__name__, details)

    @classmethod
    def _empty(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        for key, value in given.items():
            if value is None and key in cls.keys and key not in cls.nullable:
                yield (key,), wrong("found nothing; give it a value, or remove the key")


def words(error: Any) -> Any:
    """The message of one pydantic error, in the words of this room."""
    if error["type"] == "missing":
        return f'the key "{error["loc"][-1]}" is missing'
    return error["msg"]


def about_key(error: Any) -> bool:
    """Whether an error is about the key (and not the value) at its place."""
    return bool(error["type"] == KEY_PROBLEM)


def always(default: BaseModel) -> Any:
    """A field's default that is shared: pydantic copies a plain default deeply, a thousand times in a
    file of a thousand routes."""
    return lambda: default
