"""The leaves: anything, null, numbers, texts and what is written as text, and choices."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from beluga_llm._docstrings import read_docstring
from beluga_llm._types.shape import (
    Definitions,
    MisfitError,
    Schema,
    Shape,
    UnsupportedTypeError,
    choice_schema,
    docstring_of,
    given,
    name_of,
    same,
    word_of,
)

SCALARS: Mapping[type, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    bytearray: {"type": "string", "contentEncoding": "base64"},
    memoryview: {"type": "string", "contentEncoding": "base64"},
    dt.datetime: {"type": "string", "format": "date-time"},
    dt.time: {"type": "string", "format": "time"},
    dt.date: {"type": "string", "format": "date"},
    dt.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {
        "type": "string",
        "format": "decimal",
        "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
    },
}

Limits = Mapping[str, Any]
"""Arguments of `msgspec.Meta` that limit values."""

NUMERIC = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
TEXTUAL = {"pattern": "pattern", "min_length": "minLength", "max_length": "maxLength"}
_TAKES: Mapping[type, frozenset[str]] = {
    int: frozenset(NUMERIC),
    float: frozenset(NUMERIC),
    str: frozenset(TEXTUAL),
    **dict.fromkeys((bytes, bytearray, memoryview), frozenset(("min_length", "max_length"))),
    **dict.fromkeys((dt.datetime, dt.time), frozenset(("tz",))),
}
_PLAIN = (bool, int, str)
"""What needs no further look."""


class Anything(Shape):
    """Any JSON value."""

    word = "anything"

    def schema(self, writer: Definitions) -> Schema:
        return {}

    def read(self, value: Any, path: str = "$") -> Any:
        return value


class Null(Shape):
    """None."""

    word = "null"

    def schema(self, writer: Definitions) -> Schema:
        return {"type": "null"}

    def read(self, value: Any, path: str = "$") -> None:
        if value is not None:
            raise self.misfit(value, path)


class Scalar(Shape):
    """A number, a text, or what is written as one; msgspec reads it.

    Args:
        kind: a key of SCALARS.
        limits: what `msgspec.Meta` holds it to.
    """

    def __init__(self, kind: type, limits: Limits) -> None:
        self.kind = kind
        self.limits = limits
        self._whole: Any = Annotated[kind, msgspec.Meta(**limits)] if limits else kind
        try:
            msgspec.json.Decoder(self._whole)
        except (TypeError, ValueError) as error:
            raise UnsupportedTypeError(str(error)) from error

    @property
    def word(self) -> str:
        """The type's name."""
        return self.kind.__name__

    def schema(self, writer: Definitions) -> Schema:
        keywords = NUMERIC if self.kind in (int, float) else TEXTUAL if self.kind is str else {}
        found = {keywords[name]: limit for name, limit in self.limits.items() if name in keywords}
        return {**SCALARS[self.kind], **found}

    def read(self, value: Any, path: str = "$") -> Any:
        if type(value) is self.kind and self._whole in _PLAIN:
            return value
        if type(value) is float:
            if not value - value == 0:
                raise MisfitError.at(path, f"expected {self.word}, got {value}, which is no JSON")
            if self.kind is int and value.is_integer():
                value = int(value)
        try:
            return msgspec.convert(value, self._whole)
        except msgspec.ValidationError as error:
            raise MisfitError.at(path, plain_text(error)) from None
        except UnicodeError:  # half an emoji where something else is expected
            raise MisfitError.at(path, f"expected {self.word}, got text") from None


class Choice(Shape):
    """One of several values: the values of a Literal, or the members of an Enum.

    Args:
        meant: the values; a member of an Enum stands on the wire as its own value.
        members: the Enum, where all of it may be chosen from.
    """

    def __init__(self, meant: Sequence[Any], members: type[enum.Enum] | None = None) -> None:
        self.meant = meant
        self.members = members
        self.values = [one.value if isinstance(one, enum.Enum) else one for one in meant]
        for value in self.values:
            if type(value) not in (str, int, float, bool, type(None)):
                raise UnsupportedTypeError(f"{value!r} is no JSON value to choose")

    @property
    def word(self) -> str:
        """The values."""
        words = ", ".join(map(_shown, self.values))
        return f"one of {words}" if len(self.values) > 1 else words

    def schema(self, writer: Definitions) -> Schema:
        if self.members is None:
            return choice_schema(list(self.values))
        members = self.members
        return writer.refer(members, name_of(members), lambda: self._definition(members))

    def _definition(self, members: type[enum.Enum]) -> Schema:
        description, _ = read_docstring(docstring_of(members))
        return given(description=description or None) | choice_schema(list(self.values))

    def read(self, value: Any, path: str = "$") -> Any:
        for number, known in enumerate(self.values):
            if same(value, known):
                return self.meant[number]
        raise self.misfit(value, path)

    def misfit(self, value: Any, path: str) -> MisfitError:
        """Tells the value itself, which is as short as the ones to choose from."""
        got = word_of(value) if isinstance(value, dict | list) else _shown(value)
        return MisfitError.at(path, f"expected {self.word}, got {got}")


def limits_for(kind: type, limits: Limits) -> Limits:
    """Those of some limits that a scalar can have; for members of unions, which share them."""
    return {name: limit for name, limit in limits.items() if name in _TAKES.get(kind, ())}


def plain_text(error: Exception) -> str:
    """What msgspec says, in our form: "expected int >= 1"."""
    text = re.sub(r" - at `[^`]*`$", "", str(error)).replace("`", "")
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode() if not isinstance(value, str) else repr(value)
