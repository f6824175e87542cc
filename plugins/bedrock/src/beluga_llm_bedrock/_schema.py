"""JSON Schema as the API takes it: what it refuses is removed, everything else stays.

Tools that are not strict take any schema of an object; Claude refuses combinations at its top
level. What a model is held to, strict tools and `outputConfig.textFormat`, is compiled to a
grammar, which has no limits of numbers, texts and lists, and wants every object closed.

Source: "Get validated JSON results from models" of the Amazon Bedrock user guide, and "Structured
outputs" of the Claude Platform docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMBINATIONS = ("oneOf", "allOf", "anyOf")
_REFUSED = frozenset((
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength",
    "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "prefixItems",
    "unevaluatedItems", "additionalItems",
    "minProperties", "maxProperties", "patternProperties", "propertyNames", "dependentRequired",
    "dependentSchemas", "unevaluatedProperties",
    "if", "then", "else", "not",
    "$schema", "$id", "$anchor", "$comment",
))  # fmt: skip
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)
_NAMED_SCHEMAS = frozenset(("properties", "$defs", "definitions"))


def tool_schema(schema: Mapping[str, Any], *, strict: bool, claude: bool) -> dict[str, Any]:
    """The schema of a tool's input, always that of an object."""
    refused = _COMBINATIONS if claude else ()
    kept = {key: value for key, value in schema.items() if key not in refused}
    kept = {"type": "object", "properties": {}, **kept}
    return grammar_schema(kept) if strict else kept


def grammar_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that a grammar can be compiled from."""
    kept = {
        "anyOf" if key == "oneOf" else key: _value(key, value)
        for key, value in schema.items()
        if _is_kept(key, value)
    }
    if _is_object(schema):
        kept["additionalProperties"] = False
    return kept


def _is_kept(key: str, value: Any) -> bool:
    if key == "format":
        return value in _FORMATS
    if key == "minItems":
        return value in (0, 1)
    return key not in _REFUSED


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return (
        kind == "object"
        or (isinstance(kind, list) and "object" in kind)
        or (kind is None and "properties" in schema)
    )


def _value(key: str, value: Any) -> Any:
    if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
        return {name: _schema(inner) for name, inner in value.items()}
    if key == "items":
        return _schema(value)
    if key in _COMBINATIONS and isinstance(value, list):
        return [_schema(inner) for inner in value]
    return value


def _schema(value: Any) -> Any:
    return grammar_schema(value) if isinstance(value, Mapping) else value
