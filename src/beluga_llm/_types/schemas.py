"""Questions that are asked of schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFERENCE = "#/$defs/"


def references(schema: Any, definitions: Mapping[str, Any]) -> set[str]:
    """The names of the definitions that a schema needs, directly or not."""
    found: set[str] = set()
    rest = [schema]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest += item
        elif isinstance(item, Mapping):
            rest += (value for key, value in item.items() if key != "$defs")
            name = str(item.get("$ref", "")).removeprefix(REFERENCE)
            if name in definitions and name not in found:
                found.add(name)
                rest.append(definitions[name])
    return found


def branches_of(schema: Mapping[str, Any]) -> list[Any]:
    """Its alternatives; several types of one schema are alternatives too."""
    for word in ("anyOf", "oneOf", "allOf"):
        if isinstance(found := schema.get(word), list) and (word != "allOf" or len(found) == 1):
            return found
    if isinstance(types := schema.get("type"), list) and "enum" not in schema:
        return [{**schema, "type": one} for one in types]
    return []


def resolved(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without a reference at its top; one that is True says nothing."""
    found: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
    while "$ref" in found:
        beside = {key: value for key, value in found.items() if key != "$ref"}
        found = {**definitions.get(found["$ref"].removeprefix(REFERENCE), {}), **beside}
    return found


def free_values(schema: Mapping[str, Any]) -> Any:
    """The schema of values under free keys; None where nothing is said of them."""
    patterns = schema.get("patternProperties")
    if patterns and len(patterns) == 1:
        return next(iter(patterns.values()))
    rest = schema.get("additionalProperties")
    return rest if isinstance(rest, Mapping) else None


def takes_null(schema: Any, definitions: Mapping[str, Any]) -> bool:
    schema = resolved(schema, definitions)
    if branches := branches_of(schema):
        return any(takes_null(branch, definitions) for branch in branches)
    if "enum" in schema:
        return None in schema["enum"]
    return schema.get("const", 0) is None or schema.get("type") in (None, "null")


def choices_of(schema: Mapping[str, Any]) -> list[Any]:
    """The values that may be chosen from; none where it is no choice."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def place_names(places: list[Any]) -> list[str]:
    """What the places of a tuple are called: by their titles, where they differ."""
    titles = [place.get("title") for place in places]
    if None in titles or len(set(titles)) < len(titles):
        return [f"item_{at}" for at in range(1, len(places) + 1)]
    return titles
