"""Schemas in strict form, and answers in that form taken back."""

from __future__ import annotations

from typing import Any

import pytest

from beluga_llm._types.from_strict import FromStrict
from beluga_llm._types.strict import InexpressibleError, strict_schema

TEXT, WHOLE, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
CLOSED = {"additionalProperties": False}


def schema_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": []}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), **CLOSED}


def pairs(value: Any, key: Any = TEXT) -> dict[str, Any]:
    return {"type": "array", "items": closed(key=key, value=value)}


@pytest.mark.row("STRU-20")
@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (TEXT, TEXT),
        ({"type": "string", "default": "a", "title": "t", "examples": ["a"]}, TEXT),
        (
            {"type": "string", "minLength": 1, "description": "A text."},
            {"type": "string", "description": "A text.\n(minLength: 1)"},
        ),
        (
            {"type": "string", "maxLength": 3, "pattern": "(?=a)"},
            {"type": "string", "description": '(pattern: "(?=a)", maxLength: 3)'},
        ),
        ({"type": "string", "pattern": "^a$"}, {"type": "string", "pattern": "^a$"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        (
            {"type": "string", "format": "odd"},
            {"type": "string", "description": '(format: "odd")'},
        ),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        (
            {"enum": ["a", 1, None, True]},
            {"type": ["string", "integer", "null", "boolean"], "enum": ["a", 1, None, True]},
        ),
        ({"type": ["string", "null"]}, {"anyOf": [TEXT, NULL]}),
        ({"oneOf": [TEXT, NULL], "description": "d"}, {"anyOf": [TEXT, NULL], "description": "d"}),
        ({"allOf": [TEXT]}, {"anyOf": [TEXT]}),
        (
            {"type": "array", "items": TEXT, "uniqueItems": True},
            {"type": "array", "items": TEXT, "description": "(uniqueItems: true)"},
        ),
        (
            {"type": "array", "items": TEXT, "minItems": 1},
            {"type": "array", "items": TEXT, "minItems": 1},
        ),
        (
            {"type": "array", "prefixItems": [TEXT, WHOLE], "minItems": 2, "items": False},
            closed(item_1=TEXT, item_2=WHOLE),
        ),
        (
            {
                "type": "array",
                "prefixItems": [{"title": "a", **TEXT}, {"title": "b", **WHOLE}],
                "minItems": 1,
                "description": "d",
            },
            {**closed(a=TEXT, b={"anyOf": [WHOLE, NULL]}), "description": "d"},
        ),
        (
            {"type": "array", "prefixItems": [{"title": "a", **TEXT}] * 2, "minItems": 2},
            closed(item_1=TEXT, item_2=TEXT),
        ),
        (closed(), closed()),
        ({**schema_of(), **CLOSED}, closed()),
        ({"type": "object", **CLOSED}, closed()),
        ({**schema_of(a=TEXT), "additionalProperties": True}, closed(a={"anyOf": [TEXT, NULL]})),
        (
            schema_of(
                a={"type": "string", "description": "d"},
                b={"anyOf": [TEXT, WHOLE], "description": "e"},
            ),
            closed(
                a={"anyOf": [TEXT, NULL], "description": "d"},
                b={"anyOf": [TEXT, WHOLE, NULL], "description": "e"},
            ),
        ),
        (schema_of(a={"anyOf": [TEXT, NULL]}), closed(a={"anyOf": [TEXT, NULL]})),
        (
            schema_of(a={"enum": ["a", None]}),
            closed(a={"type": ["string", "null"], "enum": ["a", None]}),
        ),
        (schema_of(a={"const": None}), closed(a={"type": "null", "enum": [None]})),
        ({"type": "object", "additionalProperties": WHOLE}, pairs(WHOLE)),
        (
            {"type": "object", "additionalProperties": WHOLE, "maxProperties": 3},
            {**pairs(WHOLE), "maxItems": 3},
        ),
        ({"type": "object", "patternProperties": {"^a": WHOLE}}, pairs(WHOLE)),
        (
            {"type": "object", "additionalProperties": WHOLE, "propertyNames": {"pattern": "^a"}},
            pairs(WHOLE, {"type": "string", "pattern": "^a"}),
        ),
        (
            {
                "type": "object",
                "additionalProperties": WHOLE,
                "propertyNames": {"$ref": "#/$defs/K"},
                "$defs": {"K": {"enum": ["a"]}},
            },
            {
                **pairs(WHOLE, {"$ref": "#/$defs/K"}),
                "$defs": {"K": {"type": "string", "enum": ["a"]}},
            },
        ),
        (
            {
                "$ref": "#/$defs/A",
                "description": "d",
                "$defs": {"A": schema_of(b={"$ref": "#/$defs/A"}), "Unused": {}},
            },
            {
                "anyOf": [{"$ref": "#/$defs/A"}],
                "description": "d",
                "$defs": {"A": closed(b={"anyOf": [{"$ref": "#/$defs/A"}, NULL]})},
            },
        ),
    ],
)
def test_strict_forms(schema: Any, strict: Any) -> None:
    assert strict_schema(schema) == strict


@pytest.mark.row("STRU-20")
@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({}, "$ may be anything"),
        (True, "$ may be anything"),
        (schema_of(a={}), "$.a may be anything"),
        ({"type": "array"}, "the items of $ may be anything"),
        ({"type": "array", "minItems": 0, "maxItems": 0}, "the items of $ may be anything"),
        ({"type": "array", "prefixItems": [TEXT, {}], "minItems": 2}, "$.item_2 may be anything"),
        ({"type": "object"}, "the values of $ may be anything"),
        ({"type": "object", "additionalProperties": True}, "the values of $ may be anything"),
        ({"type": "object", "patternProperties": {"a": {}, "b": {}}}, "the values of $"),
        ({"allOf": [TEXT, TEXT]}, "$ may be anything"),
        ({"$ref": "#/$defs/A", "$defs": {"A": schema_of(b={})}}, "A.b may be anything"),
    ],
)
def test_what_has_no_strict_form_is_named(schema: Any, where: str) -> None:
    with pytest.raises(InexpressibleError) as caught:
        strict_schema(schema if isinstance(schema, dict) else {"anyOf": [schema]})
    assert str(caught.value).startswith(where)


MAPPING = {"type": "object", "additionalProperties": WHOLE}
ROW = {"type": "array", "prefixItems": [TEXT, WHOLE], "minItems": 1}
CAT = {**schema_of(kind={"enum": ["cat"]}, a=TEXT), "required": ["kind"]}
DOG = {**schema_of(kind={"const": "dog"}, b=TEXT), "required": ["kind"]}


@pytest.mark.row("STRU-20", "STRU-15")
@pytest.mark.parametrize(
    ("schema", "sent", "value"),
    [
        (TEXT, "a", "a"),
        (schema_of(a=TEXT), {"a": None, "b": None}, {"b": None}),
        (schema_of(a={"anyOf": [TEXT, NULL]}), {"a": None}, {"a": None}),
        (schema_of(a=True), {"a": None}, {"a": None}),
        ({**schema_of(a=TEXT), "required": ["a"]}, {"a": None}, {"a": None}),
        (schema_of(a=MAPPING), {"a": [{"key": "x", "value": 1}]}, {"a": {"x": 1}}),
        (schema_of(a=MAPPING), {"a": [{"key": "x"}]}, {"a": {}}),
        (schema_of(a=TEXT), [], []),
        ({"type": "array", "items": schema_of(a=TEXT)}, "a", "a"),
        (ROW, "a", "a"),
        (MAPPING, "a", "a"),
        (MAPPING, [], {}),
        (MAPPING, {"x": 1}, {"x": 1}),
        ({"type": "object"}, [{"key": "x", "value": [1]}], {"x": [1]}),
        ({"type": "array"}, [1], [1]),
        ({"type": "array", "items": MAPPING}, [[], [{"key": "x", "value": 1}]], [{}, {"x": 1}]),
        (ROW, {"item_1": "a", "item_2": 1}, ["a", 1]),
        (ROW, {"item_1": "a", "item_2": None}, ["a"]),
        (ROW, {"item_1": "a"}, ["a"]),
        (ROW, {"item_2": 1}, []),
        (ROW, ["a", 1], ["a", 1]),
        ({**ROW, "items": False}, ["a", 1, 2], ["a", 1, 2]),
        ({"anyOf": [ROW, NULL]}, {"item_1": "a", "item_2": None}, ["a"]),
        ({"anyOf": [MAPPING, TEXT]}, [{"key": "x", "value": 1}], {"x": 1}),
        ({"anyOf": [{"type": "array"}, MAPPING]}, [{"key": "x", "value": 1}], {"x": 1}),
        ({"anyOf": [{"type": "array"}, MAPPING]}, [], []),
        ({"anyOf": [CAT, DOG]}, {"kind": "dog", "b": None}, {"kind": "dog"}),
        ({"anyOf": [CAT, DOG]}, {"kind": "cat", "a": None}, {"kind": "cat"}),
        ({"anyOf": [NULL, {"anyOf": [CAT, DOG]}]}, {"kind": "dog", "b": None}, {"kind": "dog"}),
        ({"anyOf": [TEXT, NULL]}, {"a": None}, {"a": None}),
        ({"type": ["object", "null"], "properties": {"a": TEXT}}, {"a": None}, {}),
    ],
)
def test_answers_are_taken_back(schema: Any, sent: Any, value: Any) -> None:
    assert FromStrict(schema)(sent) == value


def listed(schema: Any) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def mapped(schema: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema}


PAIR = {"type": "array", "prefixItems": [WHOLE, TEXT], "minItems": 2}
A, B = schema_of(a=WHOLE), schema_of(b=WHOLE, c=TEXT)
NESTED = {"$ref": "#/$defs/N"}
TREE = {"anyOf": [WHOLE, listed(NESTED), mapped(WHOLE)]}


@pytest.mark.row("STRU-20", "STRU-15")
@pytest.mark.parametrize(
    ("ways", "sent", "value"),
    [
        ([listed(A), listed(B)], [{"b": 1, "c": None}], [{"b": 1}]),
        ([listed(A), listed(B)], [{"a": None}], [{}]),
        ([listed(CAT), listed(DOG)], [{"kind": "dog", "b": None}], [{"kind": "dog"}]),
        ([listed(MAPPING), listed(PAIR)], [{"item_1": 1, "item_2": "a"}], [[1, "a"]]),
        ([listed(MAPPING), listed(PAIR)], [[{"key": "x", "value": 1}]], [{"x": 1}]),
        ([mapped(A), mapped(B)], [{"key": "x", "value": {"b": 1, "c": None}}], {"x": {"b": 1}}),
        ([mapped(TEXT), listed(WHOLE)], [{"key": "x", "value": "a"}], {"x": "a"}),
        ([mapped(TEXT), listed(WHOLE)], [1], [1]),
        (
            [mapped(MAPPING), mapped(PAIR)],
            [{"key": "x", "value": {"item_1": 1, "item_2": "a"}}],
            {"x": [1, "a"]},
        ),
        ([ROW, PAIR], {"item_1": 1, "item_2": "a"}, [1, "a"]),
        ([ROW, PAIR], {"item_1": "a", "item_2": None}, ["a"]),
        (
            [schema_of(m=MAPPING), schema_of(m=PAIR)],
            {"m": {"item_1": 1, "item_2": "a"}},
            {"m": [1, "a"]},
        ),
        (
            [schema_of(m=TEXT, n=TEXT), schema_of(m=WHOLE, n=MAPPING)],
            {"m": 1, "n": []},
            {"m": 1, "n": {}},
        ),
        ([listed(listed(A)), listed(listed(B))], [[{"b": 1, "c": None}]], [[{"b": 1}]]),
        ([listed(TREE), A], [[{"key": "x", "value": 1}]], [{"x": 1}]),
        ([listed(TREE), listed(A)], [1, [[], [{"key": "x", "value": 1}]]], [1, [[], {"x": 1}]]),
        ([{"type": "array", "items": True}, MAPPING], [{"key": 1}], [{"key": 1}]),
        ([TEXT, MAPPING], [{"key": "x", "value": 1}], {"x": 1}),
    ],
)
def test_alternatives_are_told_apart_by_what_is_in_them(
    ways: list[Any], sent: Any, value: Any
) -> None:
    schema = {"anyOf": ways, "$defs": {"N": TREE}}
    assert FromStrict(schema)(sent) == value
    if len(ways) == 2 and "anyOf" not in str(ways):
        assert FromStrict({**schema, "anyOf": ways[::-1]})(sent) == value
