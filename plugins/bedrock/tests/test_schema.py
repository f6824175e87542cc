"""What is removed from schemas, and what stays."""

from __future__ import annotations

import pytest

from beluga_llm_bedrock._schema import grammar_schema


@pytest.mark.row("TOOL-22")
def test_a_grammar_has_no_limits_and_only_closed_objects():
    schema = {
        "type": "object",
        "title": "Person",
        "properties": {
            "minimum": {"type": "integer", "minimum": 0, "default": 3},
            "mail": {"type": "string", "format": "email", "minLength": 3, "pattern": "@"},
            "color": {"type": "string", "format": "color"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 1},
            "pair": {"type": "array", "minItems": 2, "maxItems": 2},
            "who": {"oneOf": [{"type": ["object", "null"]}, {"$ref": "#/$defs/A"}]},
        },
        "required": ["minimum"],
        "additionalProperties": True,
        "$defs": {"A": {"properties": {}}},
    }
    who = {"type": ["object", "null"], "additionalProperties": False}
    assert grammar_schema(schema) == {
        "type": "object",
        "title": "Person",
        "properties": {
            "minimum": {"type": "integer", "default": 3},
            "mail": {"type": "string", "format": "email", "pattern": "@"},
            "color": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "pair": {"type": "array"},
            "who": {"anyOf": [who, {"$ref": "#/$defs/A"}]},
        },
        "required": ["minimum"],
        "additionalProperties": False,
        "$defs": {"A": {"properties": {}, "additionalProperties": False}},
    }
