"""Schemas in the form that strict modes take, and answers in that form taken back.

A strict mode holds a model to a schema by a grammar, which knows fewer words: every object is
closed and has all its properties (an optional one may be null instead), references stand alone,
and what may be anything does not exist. Therefore

- an optional property may be null, and null is taken for its absence;
- a mapping with free keys is a list of `{"key": ..., "value": ...}`;
- a tuple is an object with a property for each place;
- limits that a grammar does not know are told in the description.

Source: "Structured Outputs", section "Supported schemas", of the OpenAI docs. What a single vendor
takes beyond this, or less, is known to its dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from beluga_llm import _json
from beluga_llm._types.shape import Schema, word_of

REFERENCE = "#/$defs/"
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
_PAIR = {"key", "value"}
_MUCH = 1000


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


def from_strict(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    """An answer in strict form, also an unfinished one, as the original schema wants it.

    Args:
        value: plain data.
        schema: the original schema of this part.
        root: the whole original schema, which references refer to.
    """
    schema = _resolved(schema, root.get("$defs", {}))
    branches = _branches(schema)
    if branches:
        return from_strict(value, _nearest(value, branches, root), root)
    if isinstance(value, list):
        return _list(value, schema, root)
    if not isinstance(value, dict):
        return value
    if "prefixItems" in schema:
        return _row(value, schema, root)
    properties, rest = schema.get("properties", {}), _free_values(schema)
    found = {}
    for name, item in value.items():
        part = properties.get(name, rest)
        optional = name in properties and name not in schema.get("required", ())
        if item is None and optional and not _takes_null(part, root.get("$defs", {})):
            continue
        found[name] = item if part is None else from_strict(item, part, root)
    return found


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
        if branches := _branches(schema):
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
            if optional and not _takes_null(part, self._definitions):
                written = _nullable(written)
            properties[name] = written
        closed = {"required": list(properties), "additionalProperties": False}
        return _limited({"type": "object", "properties": properties, **closed}, schema)

    def _mapping(self, schema: Mapping[str, Any], where: str) -> Schema:
        key = schema.get("propertyNames", {})
        key = key if "$ref" in key else {"type": "string", **key}
        value = self.write(_free_values(schema), f"the values of {where}")
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
        names = _place_names(places)
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


def _branches(schema: Mapping[str, Any]) -> list[Any]:
    """Its alternatives; several types of one schema are alternatives too."""
    for word in ("anyOf", "oneOf", "allOf"):
        if isinstance(found := schema.get(word), list) and (word != "allOf" or len(found) == 1):
            return found
    if isinstance(types := schema.get("type"), list) and "enum" not in schema:
        return [{**schema, "type": one} for one in types]
    return []


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without a reference at its top; one that is True says nothing."""
    found: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
    while "$ref" in found:
        beside = {key: value for key, value in found.items() if key != "$ref"}
        found = {**definitions.get(found["$ref"].removeprefix(REFERENCE), {}), **beside}
    return found


def _free_values(schema: Mapping[str, Any]) -> Any:
    """The schema of values under free keys; None where nothing is said of them."""
    patterns = schema.get("patternProperties")
    if patterns and len(patterns) == 1:
        return next(iter(patterns.values()))
    rest = schema.get("additionalProperties")
    return rest if isinstance(rest, Mapping) else None


def _takes_null(schema: Any, definitions: Mapping[str, Any]) -> bool:
    schema = _resolved(schema, definitions)
    if branches := _branches(schema):
        return any(_takes_null(branch, definitions) for branch in branches)
    if "enum" in schema:
        return None in schema["enum"]
    return schema.get("const", 0) is None or schema.get("type") in (None, "null")


def _list(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    if schema.get("type") == "object":  # a mapping, as the list of its pairs
        pairs = [pair for pair in value if isinstance(pair, dict) and pair.keys() == _PAIR]
        part = _free_values(schema) or {}
        return {str(pair["key"]): from_strict(pair["value"], part, root) for pair in pairs}
    places, rest = schema.get("prefixItems", ()), schema.get("items", {})
    parts = [*places[: len(value)], *([rest] * (len(value) - len(places)))]
    return [from_strict(item, part, root) for item, part in zip(value, parts, strict=True)]


def _row(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
    """A tuple, as the object with its places; what is optional may be missing at its end."""
    places, fewest = schema["prefixItems"], schema.get("minItems", 0)
    found = []
    for at, (name, part) in enumerate(zip(_place_names(places), places, strict=True)):
        if name not in value:
            break
        if at >= fewest and value[name] is None and not _takes_null(part, root.get("$defs", {})):
            break
        found.append(from_strict(value[name], part, root))
    return found


def _place_names(places: list[Any]) -> list[str]:
    """What the places of a tuple are called: by their titles, where they differ."""
    titles = [place.get("title") for place in places]
    if None in titles or len(set(titles)) < len(titles):
        return [f"item_{at}" for at in range(1, len(places) + 1)]
    return titles


def _nearest(value: Any, branches: Iterable[Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The alternative that a value looks like."""
    return max(branches, key=lambda branch: _likeness(value, branch, root), default={})


def _likeness(value: Any, branch: Any, root: Mapping[str, Any]) -> float:
    """How much a value looks like one of a schema; tags count most."""
    schema = _resolved(branch, root.get("$defs", {}))
    if inner := _branches(schema):
        return max(_likeness(value, one, root) for one in inner)
    kind, places = schema.get("type"), schema.get("prefixItems")
    if isinstance(value, list):
        pairs = value and all(isinstance(one, dict) and one.keys() == _PAIR for one in value)
        return {"array": 0 if places else 2, "object": 3 if pairs else 1}.get(str(kind), 0)
    if not isinstance(value, dict) or not (kind == "object" or places):
        return -_MUCH
    if places:
        return len(value.keys() & set(_place_names(places)))
    properties, required = schema.get("properties", {}), schema.get("required", ())
    wrong = 0
    for name, part in properties.items():
        choices = part.get("enum", [part.get("const")])
        given = name in value and (name in required or value[name] is not None)
        wrong += given and choices != [None] and value[name] not in choices
    return len(value.keys() & properties.keys()) - _MUCH * wrong
