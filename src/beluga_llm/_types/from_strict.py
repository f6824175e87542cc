"""Answers in strict form taken back: as the original schema wants them.

Streams take them back with every chunk. Therefore a schema is compiled once, into functions that
touch only what the strict form has changed; None stands for what is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from beluga_llm._types.likeness import PAIR, Likeness
from beluga_llm._types.schemas import (
    REFERENCE,
    branches_of,
    free_values,
    place_names,
    references,
    resolved,
    takes_null,
)

Back: TypeAlias = Callable[[Any], Any] | None


class FromStrict:
    """Takes values of one schema back, also unfinished ones.

    Args:
        root: the original schema.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = root.get("$defs", {})
        self._known: dict[str, Back] = {}
        self._whole = self._of(root)
        self._element = self._of(root.get("items"))

    def __call__(self, value: Any) -> Any:
        """The value, from its strict form."""
        return value if self._whole is None else self._whole(value)

    def element(self, value: Any) -> Any:
        """An element of the value, which is a list."""
        return value if self._element is None else self._element(value)

    def _of(self, schema: Any) -> Back:
        if not isinstance(schema, Mapping) or not self._changes(schema):
            return None
        if "$ref" in schema:
            return self._reference(schema["$ref"].removeprefix(REFERENCE))
        if branches := branches_of(schema):
            return self._choice(branches)
        if "prefixItems" in schema:
            return self._row(schema)
        if "properties" in schema:
            return self._object(schema)
        if schema.get("type") == "object":
            return self._mapping(schema)
        return self._items(schema)

    def _changes(self, schema: Mapping[str, Any]) -> bool:
        """Whether the strict form of a schema, or of what it refers to, has other values."""
        definitions = self._definitions
        needed = (definitions[name] for name in references(schema, definitions))
        return any(_is_changed(part, definitions) for part in (schema, *needed))

    def _reference(self, name: str) -> Back:
        if name not in self._known:
            self._known[name] = None  # it may refer to itself
            self._known[name] = self._of(self._definitions[name])
        return lambda value: self._known[name](value)  # type: ignore[misc]  # it changes something

    def _choice(self, branches: list[Any]) -> Back:
        """The alternative that a value looks like."""
        ways = [leaf for branch in branches for leaf in self._leaves(branch)]
        likeness = Likeness(self._definitions).of

        def back(value: Any) -> Any:
            if not isinstance(value, dict | list):
                return value
            way = max(ways, key=lambda way: likeness(value, way[0]))[1]
            return value if way is None else way(value)

        return back

    def _leaves(self, schema: Any) -> list[tuple[Mapping[str, Any], Back]]:
        """The alternatives of a schema, and of these, each with how it is taken back."""
        plain = resolved(schema, self._definitions)
        if branches := branches_of(plain):
            return [leaf for branch in branches for leaf in self._leaves(branch)]
        return [(plain, self._of(schema))]

    def _object(self, schema: Mapping[str, Any]) -> Back:
        properties, required = schema["properties"], schema.get("required", ())
        ways = {name: way for name, part in properties.items() if (way := self._of(part))}
        absent = {
            name
            for name, part in properties.items()
            if name not in required and not takes_null(part, self._definitions)
        }

        def back(value: Any) -> Any:
            if not isinstance(value, dict):
                return value
            found = {}
            for name, item in value.items():
                if item is not None or name not in absent:
                    way = ways.get(name)
                    found[name] = item if way is None else way(item)
            return found

        return back

    def _mapping(self, schema: Mapping[str, Any]) -> Back:
        """The list of the pairs of a mapping; one that was given as it is stays one."""
        way = self._of(free_values(schema)) or _same

        def back(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: way(item) for name, item in value.items()}
            if not isinstance(value, list):
                return value
            pairs = [pair for pair in value if isinstance(pair, dict) and pair.keys() == PAIR]
            return {str(pair["key"]): way(pair["value"]) for pair in pairs}

        return back

    def _items(self, schema: Mapping[str, Any]) -> Back:
        way = self._of(schema.get("items")) or _same
        return lambda value: [way(item) for item in value] if isinstance(value, list) else value

    def _row(self, schema: Mapping[str, Any]) -> Back:
        """A tuple, as the object with its places; what is optional may be missing at its end."""
        places, fewest = schema["prefixItems"], schema.get("minItems", 0)
        ways = [self._of(place) or _same for place in places]
        names = place_names(places)
        nulls = [at < fewest or takes_null(one, self._definitions) for at, one in enumerate(places)]

        def back(value: Any) -> Any:
            if isinstance(value, list):
                return [way(item) for way, item in zip(ways, value, strict=False)] + value[
                    len(ways) :
                ]
            if not isinstance(value, dict):
                return value
            found = []
            for name, way, null in zip(names, ways, nulls, strict=True):
                if name not in value or (value[name] is None and not null):
                    break
                found.append(way(value[name]))
            return found

        return back


def _same(value: Any) -> Any:
    return value


def _is_changed(schema: Any, definitions: Mapping[str, Any]) -> bool:
    """Whether a schema, without what it refers to, has other values in strict form."""
    if isinstance(schema, list):
        return any(_is_changed(item, definitions) for item in schema)
    if not isinstance(schema, Mapping):
        return False
    properties, required = schema.get("properties"), schema.get("required", ())
    if "prefixItems" in schema:
        return True
    if properties is None and "object" in (schema.get("type"), *_types(schema)):
        return True
    if isinstance(properties, Mapping) and any(
        name not in required and not takes_null(part, definitions)
        for name, part in properties.items()
    ):
        return True
    inside = (value for key, value in schema.items() if key != "$defs")
    return any(_is_changed(value, definitions) for value in inside)


def _types(schema: Mapping[str, Any]) -> list[Any]:
    types = schema.get("type")
    return types if isinstance(types, list) else []
