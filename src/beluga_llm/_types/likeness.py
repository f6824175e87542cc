"""Which of several schemas a value in strict form is of, also while it is still arriving.

Strict forms of different types look alike: a mapping is a list of pairs, a tuple an object. So what
counts is what is inside: tags first, then types, then names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm._types.schemas import branches_of, choices_of, free_values, place_names, resolved

PAIR = {"key", "value"}
"""The members of a mapping's pair."""

_WRONG = -1000
_TYPES: Mapping[type, tuple[Any, ...]] = {
    str: ("string", None),
    bool: ("boolean", None),
    int: ("integer", "number", None),
    float: ("number", "integer", None),
    type(None): ("null", None),
}


class Likeness:
    """How much values in strict form look like those of schemas.

    Args:
        definitions: what the schemas refer to.
    """

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def of(self, value: Any, schema: Any, depth: int = 3) -> int:
        """Points for what is known in a value; what is wrong in it costs more than all of them.

        Args:
            value: what has arrived of it.
            schema: an original schema, not a strict one.
            depth: how far inside to look.
        """
        schema = resolved(schema, self._definitions)
        if branches := branches_of(schema):
            return max(self.of(value, branch, depth) for branch in branches)
        if isinstance(value, list):
            return self._list(value, schema, depth)
        if isinstance(value, dict):
            return self._object(value, schema, depth)
        choices = choices_of(schema)
        right = value in choices if choices else schema.get("type") in _TYPES[type(value)]
        return 0 if right else _WRONG

    def _list(self, value: list[Any], schema: Mapping[str, Any], depth: int) -> int:
        """The first element stands for all of a list, as they are of one type."""
        kind, first = schema.get("type"), value[:1]
        if kind == "object":
            pairs = [one for one in first if isinstance(one, dict) and one.keys() == PAIR]
            inside = [(pair["value"], free_values(schema)) for pair in pairs]
            points = 3 if pairs else 1
        elif kind in ("array", None):
            places = schema.get("prefixItems")
            inside = [(one, schema.get("items")) for one in first]
            inside = list(zip(value, places, strict=False)) if places else inside
            points = 0 if places else 2
        else:
            return _WRONG
        return points + self._inside(inside, depth)

    def _object(self, value: dict[str, Any], schema: Mapping[str, Any], depth: int) -> int:
        places, required = schema.get("prefixItems"), schema.get("required", ())
        if not places and schema.get("type") not in ("object", None):
            return _WRONG
        known = schema.get("properties", {})
        known = dict(zip(place_names(places), places, strict=True)) if places else known
        inside = [
            (item, known[name])
            for name, item in value.items()
            if name in known and (item is not None or name in required)
        ]
        return len(value.keys() & known.keys()) + self._inside(inside, depth)

    def _inside(self, parts: list[tuple[Any, Any]], depth: int) -> int:
        return sum(self.of(*part, depth - 1) for part in parts) if depth else 0
