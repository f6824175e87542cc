"""What is asked for: a type, how it is said to a model, and how an answer becomes its value."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from beluga_llm import _json
from beluga_llm._errors import ConfigError
from beluga_llm._structured.answers import json_values
from beluga_llm._types.build import shape_of
from beluga_llm._types.classes import inner
from beluga_llm._types.containers import Items
from beluga_llm._types.from_strict import FromStrict
from beluga_llm._types.schemas import REFERENCE, references
from beluga_llm._types.shape import (
    Definitions,
    MisfitError,
    Schema,
    Shape,
    UnsupportedTypeError,
    name_of,
    plain_name,
)
from beluga_llm._types.strict import InexpressibleError, strict_schema
from beluga_llm._validate import TOOL_CHOICES, TOOL_NAMES, TOOL_NAMES_RULE

T = TypeVar("T")
OP = "structured.new"


class Form(NamedTuple):
    """One way to say a type to a model.

    Attributes:
        schema: that of an object.
        wrapped: whether the value is the object's member `value`.
        strict: whether it is in strict form.
    """

    schema: Schema
    wrapped: bool
    strict: bool


class Target(Generic[T]):
    """A type that a model is to give a value of.

    Args:
        kind: the type.
        name: what it is called on the wire; from the type by default.
        strict: as `structured` takes it.
        validators: what a value has to pass, and may be changed by.

    Raises:
        ConfigError: the type has no JSON Schema, or no strict form though one is demanded, or its
            name is not allowed.
    """

    def __init__(
        self,
        kind: Any,
        *,
        name: str | None = None,
        strict: bool | None = None,
        validators: Iterable[Callable[[T], T]] = (),
    ) -> None:
        self.kind = kind
        self.strict = strict
        self._validators = tuple(validators)
        self.shown = name_of(kind)
        self.name = _checked_name(name, kind)
        try:
            self._shape = shape_of(kind)
            self._schema = _schema_of(self._shape)
        except UnsupportedTypeError as error:
            raise ConfigError(f"{self.shown} cannot be asked of a model: {error}", op=OP) from error
        self._back = FromStrict(self._schema)
        self.loose = _form(self._schema, strict=False)
        self.strictest = self.loose if strict is False else self._strict_form()

    def _strict_form(self) -> Form:
        try:
            return _form(strict_schema(self._schema), strict=True)
        except InexpressibleError as error:
            if self.strict is None:
                return self.loose
            problem = f"{self.shown} has no strict form: {error}"
            raise ConfigError(problem, op=OP) from error

    @property
    def schema(self) -> Schema:
        """The type's JSON Schema, made anew each time."""
        return copy.deepcopy(self._schema)

    @property
    def description(self) -> str:
        """What the type's docstring says."""
        return str(self._schema.get("description", ""))

    @property
    def has_references(self) -> bool:
        """Whether its schema refers to definitions."""
        return "$defs" in self._schema

    # --- values ----------------------------------------------------------------------------------

    def read(self, text: str, form: Form) -> T:
        """The value that an answer means.

        Raises:
            JsonError: it holds no JSON.
            MisfitError: it means no value of the type, or a validator refuses it.
        """
        first: MisfitError | None = None
        for data in json_values(text):
            try:
                return self._validated(self._read(data, form))
            except MisfitError as error:
                first = first or error
        raise first or _json.JsonError("no value")

    def _read(self, data: Any, form: Form) -> Any:
        """The value of an object; also where the wrapping is missing, or was done unasked."""
        inside = isinstance(data, dict) and "value" in data
        if not form.wrapped:
            ways = [
                (data, "$"),
                *([(data["value"], "$.value")] if inside and len(data) == 1 else ()),
            ]
        elif inside:
            ways = [(data["value"], "$.value"), (data, "$")]
        else:
            ways = [(data, "$")]
        first: MisfitError | None = None
        for value, path in ways:
            try:
                return self._shape.read(self.plain(value, form), path)
            except MisfitError as error:
                first = first or error
        if form.wrapped and isinstance(data, dict) and not inside:
            raise MisfitError.at("$.value", "missing")
        assert first is not None  # noqa: S101 -- there is a way
        raise first

    def plain(self, value: Any, form: Form) -> Any:
        """What stands for the value, as the type's own schema has it.

        Raises:
            MisfitError: it is nested too deeply.
        """
        return self._taken_back(self._back, value, form)

    def _taken_back(self, back: Callable[[Any], Any], value: Any, form: Form) -> Any:
        try:
            return back(value) if form.strict else value
        except RecursionError:
            raise MisfitError.at("$", "nested too deeply") from None

    def _validated(self, value: T) -> T:
        for validator in self._validators:
            try:
                value = validator(value)
            except ValueError as error:
                raise MisfitError.at("$", str(error) or type(error).__name__) from error
        return value

    # --- elements of lists -----------------------------------------------------------------------

    @property
    def is_list(self) -> bool:
        """Whether a value is a row of elements of one type."""
        return isinstance(inner(self._shape), Items)

    def read_element(self, data: Any, place: int, form: Form) -> Any:
        """The value of one element of a list.

        Raises:
            MisfitError: it is none.
        """
        shape = inner(self._shape)
        assert isinstance(shape, Items)  # noqa: S101 -- asked before
        data = self._taken_back(self._back.element, data, form)
        return shape.item.read(data, f"{'$.value' if form.wrapped else '$'}[{place}]")


def _schema_of(shape: Shape) -> Schema:
    """A schema with its root inlined, and the definitions that it needs."""
    writer = Definitions()
    root = shape.schema(writer)
    while "$ref" in root:
        beside = {key: value for key, value in root.items() if key != "$ref"}
        root = {**writer.definitions[root["$ref"].removeprefix(REFERENCE)], **beside}
    needed = references(root, writer.definitions)
    defined = {name: part for name, part in writer.definitions.items() if name in needed}
    return {**root, "$defs": defined} if defined else root


def _form(schema: Schema, *, strict: bool) -> Form:
    if schema.get("type") == "object":
        return Form(schema, wrapped=False, strict=strict)
    bare = {key: value for key, value in schema.items() if key != "$defs"}
    whole: Schema = {
        "type": "object",
        "properties": {"value": bare},
        "required": ["value"],
        "additionalProperties": False,
    }
    whole |= {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return Form(whole, wrapped=True, strict=strict)


def _checked_name(name: str | None, kind: Any) -> str:
    if name is None:
        made = plain_name(name_of(kind))[:64].strip("_")
        return f"{made or 'value'}_" if made in TOOL_CHOICES else made or "value"
    if not isinstance(name, str) or not TOOL_NAMES.fullmatch(name):
        raise ConfigError(f"name {name!r} is not allowed: {TOOL_NAMES_RULE}", op=OP)
    if name in TOOL_CHOICES:
        raise ConfigError(f"name {name!r} is not allowed: it is a word of tool_choice", op=OP)
    return name
