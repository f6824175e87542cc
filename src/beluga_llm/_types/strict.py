"""Schemas in the form that strict modes take.

A strict mode holds a model to a schema by a grammar, which knows fewer words: every object is
closed and has all its properties (an optional one may be null instead), references stand alone,
and what may be anything does not exist. Therefore

- an optional property may be null, and null is taken for its absence;
- a mapping with free keys is a list of `{"key": ..., "value": ...}`;
- a tuple is an object with a property for each place;
- limits that a grammar does not know are told in the description.

Source: "Structured Outputs", section "Supported schemas", of the OpenAI docs. What a single vendor
takes beyond this, or less, is known to its dialect. Answers in that form are taken back in
`from_strict.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import _json
from beluga_llm._types.schemas import (
    branches_of,
    free_values,
    place_names,
    references,
    takes_null,
)
from beluga_llm._types.shape import Schema, word_of

_KEPT = frozenset(("type", "description", "enum"))
_LIMITS = frozenset((
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems",
    "maxItems",
))  # fmt: skip
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
)
_TOLD = ("pattern", "format", "contentEncoding", "minLength", "maxLength", "uniqueItems")
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_TYPES = {"null": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "string"}
_NULL = {"type": "null"}


class InexpressibleError(Exception):
    """A schema cannot be said in strict form; the text names the part that cannot."""


def strict_schema(schema: Mapping[str, Any]) -> Schema:
    """The strict form of a schema, whose root may be anything.

    Raises:
        InexpressibleError: it has none.
    """
    definitions = schema.get("$defs", {})
    found = _Writer(definitions).write(schema, "$")
    defined = {
        name: _Writer(definitions).write(part, name)
        for name, part in definitions.items()
        if name in references(found, definitions)
    }
    return {**found, "$defs": defined} if defined else found


class _Writer:
    """Writes one schema in strict form."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def write(self, schema: Any, where: str) -> Schema:
        schema = schema if isinstance(schema, Mapping) else {}
        about = {key: schema[key] for key in ("description",) if key in schema}
        if "$ref" in schema:
            reference: Schema = {"$ref": schema["$ref"]}
            return {"anyOf": [reference], **about} if about else reference
        if branches := branches_of(schema):
            return {"anyOf": [self.write(branch, where) for branch in branches], **about}
        if "const" in schema or "enum" in schema:
            return self._choice(schema)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, where)
        if kind == "array":
            return self._array(schema, where)
        if not isinstance(kind, str):
            raise InexpressibleError(f"{where} may be anything")
        return _limited({}, schema)

    def _choice(self, schema: Mapping[str, Any]) -> Schema:
        values = list(schema["enum"]) if "enum" in schema else [schema["const"]]
        types = list(dict.fromkeys(_TYPES.get(word_of(value), "string") for value in values))
        return _limited({"type": types[0] if len(types) == 1 else types, "enum": values}, schema)

    def _object(self, schema: Mapping[str, Any], where: str) -> Schema:
        if "properties" not in schema and schema.get("additionalProperties") is not False:
            return self._mapping(schema, where)
        properties = {}
        for name, part in schema.get("properties", {}).items():
            written = self.write(part, f"{where}.{name}")
            optional = name not in schema.get("required", ())
            if optional and not takes_null(part, self._definitions):
                written = _nullable(written)
            properties[name] = written
        closed = {"required": list(properties), "additionalProperties": False}
        return _limited({"type": "object", "properties": properties, **closed}, schema)

    def _mapping(self, schema: Mapping[str, Any], where: str) -> Schema:
        key = schema.get("propertyNames", {})
        key = key if "$ref" in key else {"type": "string", **key}
        value = self.write(free_values(schema), f"the values of {where}")
        pair = {"key": self.write(key, where), "value": value}
        item = {
            "type": "object",
            "properties": pair,
            "required": ["key", "value"],
            "additionalProperties": False,
        }
        names = {"minProperties": "minItems", "maxProperties": "maxItems"}
        limits = {names[name]: schema[name] for name in names if name in schema}
        return _limited({"type": "array", "items": item, **limits}, schema)

    def _array(self, schema: Mapping[str, Any], where: str) -> Schema:
        places = schema.get("prefixItems")
        if not places:
            return _limited(
                {
                    "type": "array",
                    "items": self.write(schema.get("items"), f"the items of {where}"),
                },
                schema,
            )
        names = place_names(places)
        fewest = schema.get("minItems", len(places))
        row = {"properties": dict(zip(names, places, strict=True)), "required": names[:fewest]}
        about = {key: schema[key] for key in ("description",) if key in schema}
        return self._object({"type": "object", **row, **about}, where)


def _limited(found: Schema, schema: Mapping[str, Any]) -> Schema:
    """Adds what else strict modes know; what they do not is told in the description."""
    kept = {key: value for key, value in schema.items() if key in _KEPT | _LIMITS}
    told = {key: schema[key] for key in _TOLD if key in schema}
    if told.get("contentEncoding") == "base64":
        kept["pattern"] = _BASE64
    if told.get("format") in _FORMATS:
        kept["format"] = told.pop("format")
    if "(?" not in told.get("pattern", "(?"):  # no lookarounds
        kept["pattern"] = told.pop("pattern")
    found = {**kept, **found}
    if told:
        text = ", ".join(f"{key}: {_json.dumps_text(value)}" for key, value in told.items())
        before = f"{found['description']}\n" if "description" in found else ""
        found["description"] = f"{before}({text})"
    return found


def _nullable(schema: Schema) -> Schema:
    about = {key: schema[key] for key in ("description",) if key in schema}
    plain = {key: value for key, value in schema.items() if key not in about}
    return {"anyOf": [*(plain.get("anyOf") or [plain]), _NULL], **about}
