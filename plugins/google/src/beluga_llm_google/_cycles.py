"""Schemas that refer to themselves, as the API takes them in `responseJsonSchema`.

"Cyclic references are unrolled to a limited degree and, as such, may only be used within
non-required properties. (Nullable properties are not sufficient.)" Strict schemas require all
properties; what leads back to its own definition is therefore left optional.

Source: "GenerationConfig", field `responseJsonSchema`, of the Gemini API reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DEFINITIONS = ("$defs", "definitions")
_ROOT = "#"


def with_optional_cycles(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in which no property is required that leads back to where it stands."""
    root = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    named = {key: schema[key] for key in _DEFINITIONS if isinstance(schema.get(key), Mapping)}
    parts = {_ROOT: root}
    for key, definitions in named.items():
        parts |= {f"#/{key}/{name}": part for name, part in definitions.items()}
    leads = {name: set(_references(part)) for name, part in parts.items()}
    made = {name: _loosened(part, _back_to(name, leads)) for name, part in parts.items()}
    found: dict[str, Any] = made[_ROOT]
    for key, definitions in named.items():
        found[key] = {name: made[f"#/{key}/{name}"] for name in definitions}
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _references(item)
    elif isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for item in part.values():
            yield from _references(item)


def _back_to(name: str, leads: Mapping[str, set[str]]) -> set[str]:
    """The definitions that refer to one, directly or not, and itself."""
    found = {name}
    while more := {one for one, targets in leads.items() if targets & found} - found:
        found |= more
    return found


def _loosened(part: Any, cyclic: set[str]) -> Any:
    """A schema in which no property is required that refers to some definitions."""
    if isinstance(part, list):
        return [_loosened(item, cyclic) for item in part]
    if not isinstance(part, Mapping):
        return part
    made = {key: _loosened(value, cyclic) for key, value in part.items()}
    properties, required = part.get("properties"), part.get("required")
    if isinstance(properties, Mapping) and isinstance(required, list):
        loops = {
            name: inner
            for name, inner in properties.items()
            if cyclic.intersection(_references(inner))
        }
        made["properties"] |= loops  # inside of what is optional all may be required
        made["required"] = [one for one in required if one not in loops]
    return made
