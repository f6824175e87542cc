"""Lists, sets, tuples and mappings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from beluga_llm import _json
from beluga_llm._types.scalars import Anything, Choice, Limits, Null, Scalar
from beluga_llm._types.shape import (
    Definitions,
    MisfitError,
    Schema,
    Shape,
    UnsupportedTypeError,
    given,
    member_path,
    read_all,
)


class Items(Shape):
    """Any number of values of one type: a list, a set, a tuple of one type.

    Args:
        item: the type of each.
        make: what is made of the list.
        limits: `min_length` and `max_length`.
    """

    word = "array"

    def __init__(self, item: Shape, make: Callable[[list[Any]], Any], limits: Limits) -> None:
        self.item = item
        self.make = make
        self.limits = limits

    def schema(self, writer: Definitions) -> Schema:
        items = self.item.schema(writer)
        unique = self.make in (set, frozenset)
        return (
            {"type": "array"}
            | ({"items": items} if items else {})
            | ({"uniqueItems": True} if unique else {})
            | _count_schema(self.limits, "Items")
        )

    def read(self, value: Any, path: str = "$") -> Any:
        if not isinstance(value, list):
            raise self.misfit(value, path)
        item = self.item
        found = read_all((item, one, f"{path}[{at}]") for at, one in enumerate(value))
        check_count(len(found), self.limits, path, of="array")
        try:
            return self.make(found)
        except TypeError:  # elements that have no hash
            raise MisfitError.at(path, "the items cannot be in a set") from None


class Row(Shape):
    """A tuple: one type for each place."""

    word = "array"

    def __init__(self, items: Sequence[Shape]) -> None:
        self.items = items

    def schema(self, writer: Definitions) -> Schema:
        return row_schema([item.schema(writer) for item in self.items])

    def read(self, value: Any, path: str = "$") -> Any:
        if not isinstance(value, list):
            raise self.misfit(value, path)
        if len(value) != len(self.items):
            wanted = f"array of length {len(self.items)}"
            raise MisfitError.at(path, f"expected {wanted}, got {len(value)}")
        places = enumerate(zip(self.items, value, strict=True))
        return tuple(read_all((shape, one, f"{path}[{at}]") for at, (shape, one) in places))


class Members(Shape):
    """A mapping with free keys."""

    word = "object"

    def __init__(self, key: Shape, value: Shape, limits: Limits) -> None:
        if not _may_be_key(key):
            raise UnsupportedTypeError(f"keys of an object cannot be {key.word}")
        self.key = _Key(key)
        self.value = value
        self.limits = limits

    def schema(self, writer: Definitions) -> Schema:
        schema: Schema = {"type": "object"}
        if names := _names(self.key.shape.schema(writer), writer):
            schema["propertyNames"] = names
        if values := self.value.schema(writer):
            schema["additionalProperties"] = values
        return schema | _count_schema(self.limits, "Properties")

    def read(self, value: Any, path: str = "$") -> Any:
        if not isinstance(value, dict):
            raise self.misfit(value, path)
        check_count(len(value), self.limits, path, of="object")
        paths = [member_path(path, name) for name in value]
        keys = read_all((self.key, *part) for part in zip(value, paths, strict=True))
        values = zip(value.values(), paths, strict=True)
        return dict(zip(keys, read_all((self.value, *part) for part in values), strict=True))


class _Key:
    """The key of a mapping: always a text in JSON, of which "1" may mean a number."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def read(self, value: Any, path: str = "$") -> Any:
        try:
            return self.shape.read(value, path)
        except MisfitError as error:
            with suppress(_json.JsonError, MisfitError):
                return self.shape.read(_json.loads(value), path)
            raise MisfitError.at(path, f"key: {error.problems[0].text}") from None


def row_schema(items: list[Schema], *, at_least: int | None = None) -> Schema:
    """The schema of an array with a type for each place.

    That nothing follows is said by `maxItems` alone: llama.cpp refuses `"items": false`.
    """
    schema: Schema = {
        "type": "array",
        "minItems": len(items) if at_least is None else at_least,
        "maxItems": len(items),
    }
    return schema | ({"prefixItems": items} if items else {})


def check_count(count: int, limits: Limits, path: str, *, of: str) -> None:
    """Holds a number of items or members to its limits."""
    least, most = limits.get("min_length", 0), limits.get("max_length", math.inf)
    if count < least:
        raise MisfitError.at(path, f"expected {of} of length >= {least}, got {count}")
    if count > most:
        raise MisfitError.at(path, f"expected {of} of length <= {most}, got {count}")


def _names(key: Schema, writer: Definitions) -> Schema:
    """What is said of the keys, all of which are texts in JSON."""
    target = writer.target(key)
    if target.get("type") == "string":
        return {name: value for name, value in key.items() if name != "type"}
    if "enum" in target:
        texts = (v if isinstance(v, str) else _json.dumps_text(v) for v in target["enum"])
        return {"enum": list(texts)}
    return {"pattern": "^-?[0-9]+$"} if target.get("type") == "integer" else {}


def _count_schema(limits: Limits, of: str) -> Schema:
    bounds = {f"min{of}": limits.get("min_length"), f"max{of}": limits.get("max_length")}
    return given(**bounds)


def _may_be_key(shape: Shape) -> bool:
    members = getattr(shape, "members", None)
    if isinstance(members, tuple):
        return all(map(_may_be_key, members))
    inner = getattr(shape, "inner", shape)
    if isinstance(inner, Scalar):
        return inner.kind not in (bytearray, memoryview)
    return isinstance(inner, Anything | Choice | Null) or shape.word == "str"
