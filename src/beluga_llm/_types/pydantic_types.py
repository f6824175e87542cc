"""Pydantic's models and other types of its own, read and described by pydantic.

It is never imported here: whoever has such a type has imported it.
https://docs.pydantic.dev/latest/concepts/type_adapter/
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from beluga_llm import _json
from beluga_llm._types.schemas import choices_of, resolved
from beluga_llm._types.shape import (
    Definitions,
    MisfitError,
    Problem,
    Schema,
    Shape,
    UnsupportedTypeError,
    member_path,
    name_of,
)

_MARKS = ("__pydantic_core_schema__", "__get_pydantic_core_schema__")
_NAMED_SCHEMAS = frozenset(("properties", "$defs", "patternProperties"))
_ROOT = "."
_DATA = frozenset(("default", "const", "enum", "examples"))


def is_pydantics(kind: Any, notes: Sequence[Any] = ()) -> bool:
    """Whether a type is a matter of pydantic: a model, an adapter, or annotated by it."""
    if "pydantic" not in sys.modules:
        return False
    annotated = any(type(note).__module__.partition(".")[0] == "pydantic" for note in notes)
    return annotated or is_adapter(kind) or any(hasattr(kind, mark) for mark in _MARKS)


def is_adapter(kind: Any) -> bool:
    """Whether it is a pydantic.TypeAdapter."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, pydantic.TypeAdapter)


class PydanticType(Shape):
    """A type that pydantic knows.

    Args:
        kind: a model, another type, or a TypeAdapter.

    Raises:
        UnsupportedTypeError: pydantic has no schema for it.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        try:
            make = sys.modules["pydantic"].TypeAdapter
            self._adapter: Any = kind if is_adapter(kind) else make(kind)
            self._schema: Schema = self._adapter.json_schema()
        except Exception as error:  # pydantic has many, and no base for them
            raise UnsupportedTypeError(f"pydantic: {error}".splitlines()[0]) from error

    @property
    def word(self) -> str:
        """Its JSON type."""
        return _WORDS.get(self._resolved(self._schema).get("type"), "another value")

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        return resolved(schema, self._schema.get("$defs", {}))

    def fit(self, value: Mapping[str, Any]) -> tuple[bool, int]:
        properties = self._resolved(self._schema).get("properties", {})
        known = [name for name in properties if name in value]
        choices = {name: choices_of(self._resolved(properties[name])) for name in known}
        right = all(value[name] in among for name, among in choices.items() if among)
        return right, len(known) if properties else -1

    def schema(self, writer: Definitions) -> Schema:
        whole = _untitled(_json.loads(_json.dumps(self._schema)))
        parts = whole.pop("$defs", {})
        if isinstance(self.kind, type) and "$ref" not in whole:  # a part like the others
            parts, whole = {_ROOT: whole, **parts}, {"$ref": f"#/$defs/{_ROOT}"}
        names = {}
        for name, part in parts.items():
            wanted = name_of(self.kind) if name == _ROOT else name
            names[name] = writer.claim(("pydantic", wanted, str(part)), wanted)
        for name, part in parts.items():
            writer.definitions[names[name]] = _renamed(part, names)
        found: Schema = _renamed(whole, names)
        return found

    def read(self, value: Any, path: str = "$") -> Any:
        pydantic = sys.modules["pydantic"]
        try:
            return self._adapter.validate_json(_json.dumps(value))
        except pydantic.ValidationError as error:
            raise MisfitError(_problems(error.errors(include_url=False), path)) from None


_WORDS: Mapping[Any, str] = {"object": "object", "array": "array", "string": "str"}


def _problems(errors: Iterable[Mapping[str, Any]], path: str) -> Iterable[Problem]:
    for error in errors:
        where = path
        for step in error["loc"]:
            where = f"{where}[{step}]" if isinstance(step, int) else member_path(where, step)
        text = error["msg"]
        yield Problem(where, text[:1].lower() + text[1:])


def _untitled(schema: Any, name: str = "") -> Any:
    """A schema without the titles that only repeat the names of fields and classes."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS:
            found[key] = {name: _untitled(part, name) for name, part in value.items()}
        elif key in _DATA:
            found[key] = value
        elif key != "title" or (name and value.lower() != name.replace("_", " ").strip().lower()):
            found[key] = _untitled(value)
    return found


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """A schema whose references go to other names."""
    if isinstance(schema, list):
        return [_renamed(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _renamed(value, names) for key, value in schema.items()}
    target = str(found.get("$ref", "")).removeprefix("#/$defs/")
    return {**found, "$ref": f"#/$defs/{names[target]}"} if target in names else found
