"""Any type with any of its values: described, written as JSON, and read back equal."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from support.shapes import to_strict, values_of_types

from beluga_llm._structured.target import Target
from beluga_llm._types.build import shape_of
from beluga_llm._types.from_strict import FromStrict
from beluga_llm._types.shape import MisfitError, Problem
from beluga_llm._types.strict import strict_schema
from beluga_llm.testing._sample import sample
from beluga_llm.testing._schema_check import is_valid


def json_of(value: Any) -> Any:
    return json.loads(json.dumps(msgspec.to_builtins(value, str_keys=True)))


@pytest.mark.row("STRU-03", "STRU-06", "STRU-18")
@given(values_of_types())
def test_a_value_comes_back_equal(made: tuple[Any, Any]) -> None:
    kind, value = made
    schema, data = Target[Any](kind).schema, json_of(value)
    assert is_valid(data, schema)
    found = shape_of(kind).read(data)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.row("STRU-20")
@given(values_of_types())
def test_a_value_comes_back_from_strict_form(made: tuple[Any, Any]) -> None:
    kind, value = made
    schema, data = Target[Any](kind).schema, json_of(value)
    strict = strict_schema(schema)
    sent = to_strict(data, schema, schema.get("$defs", {}))
    assert is_valid(sent, strict)
    assert shape_of(kind).read(FromStrict(schema)(sent)) == value


@pytest.mark.row("STRU-20")
@given(values_of_types())
def test_any_value_of_a_strict_schema_is_one_of_the_type(made: tuple[Any, Any]) -> None:
    """But for the limits that strict modes do not know."""
    kind, _ = made
    schema = Target[Any](kind).schema
    answer = sample(strict_schema(schema))
    problems: tuple[Problem, ...] = ()
    try:
        shape_of(kind).read(FromStrict(schema)(answer))
    except MisfitError as error:
        problems = error.problems
    assert all("of length" in problem.text for problem in problems)


@pytest.mark.row("STRU-20")
@given(values_of_types())
def test_strict_schemas_keep_the_rules(made: tuple[Any, Any]) -> None:
    check_strict(strict_schema(Target[Any](made[0]).schema))


def check_strict(schema: Any) -> None:
    """The rules of strict modes, at every place."""
    if isinstance(schema, list):
        for item in schema:
            check_strict(item)
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        assert schema.keys() == {"$ref"} | ({"$defs"} & schema.keys())
    else:
        assert "type" in schema or "anyOf" in schema
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
    if schema.get("type") == "array":
        assert "items" in schema
    known = {
        "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum",
        "$ref", "$defs", "description", "format", "pattern", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
    }  # fmt: skip
    assert schema.keys() <= known
    for name in ("properties", "$defs"):
        for part in schema.get(name, {}).values():
            check_strict(part)
    for name in ("items", "anyOf"):
        check_strict(schema.get(name))
