"""JSON Schema as the API takes it in `parametersJsonSchema` and `responseJsonSchema`.

Both take JSON Schema as it is; keywords that they do not know are ignored. Two things are put in
another form: `const`, which they do not know, as an `enum` of one value; and a `$ref` that does not
stand alone, beside which only keywords with "$" may stand, as the one branch of an `anyOf`.

Source: "GenerationConfig", field `responseJsonSchema`, of the Gemini API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMED_SCHEMAS = frozenset(
    ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
)
_SCHEMAS = frozenset((
    "items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if",
    "then", "else", "unevaluatedItems", "unevaluatedProperties", "prefixItems", "anyOf", "oneOf",
    "allOf",
))  # fmt: skip


def wire_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in the form that the API takes."""
    made = {key: _value(key, value) for key, value in schema.items()}
    if "const" in made:
        made.setdefault("enum", [made["const"]])
        del made["const"]
    if "$ref" in made and any(not key.startswith("$") for key in made) and "anyOf" not in made:
        made["anyOf"] = [{"$ref": made.pop("$ref")}]
    return made


def _value(key: str, value: Any) -> Any:
    if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
        return {name: _schema(inner) for name, inner in value.items()}
    if key in _SCHEMAS:
        return list(map(_schema, value)) if isinstance(value, list) else _schema(value)
    return value


def _schema(value: Any) -> Any:
    return wire_schema(value) if isinstance(value, Mapping) else value
