"""Classes with fields, and unions of types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from beluga_llm._docstrings import read_docstring
from beluga_llm._types.containers import row_schema
from beluga_llm._types.failures import failing_once, remembering
from beluga_llm._types.fields import Field, is_named_tuple, is_struct, is_typed_dict
from beluga_llm._types.scalars import Choice, Null
from beluga_llm._types.shape import (
    Definitions,
    MisfitError,
    Problem,
    Schema,
    Shape,
    choice_schema,
    docstring_of,
    given,
    member_path,
    name_of,
    word_of,
)


class Member(NamedTuple):
    """A field and the shape of its type."""

    field: Field
    shape: Shape


class Fields(Shape):
    """A class with fields: an object on the wire, or an array, as a NamedTuple is one.

    A value is made by the class itself, so that its converters, validators and `__post_init__`
    have their say; a ValueError or TypeError of theirs is a problem of the value. An object is
    taken for an array, too, where it names the fields.

    Args:
        kind: the class, or a generic one with its arguments.

    Attributes:
        members: the fields; filled in after the shape was made, as they may refer to it.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.members: list[Member] = []
        origin = getattr(kind, "__origin__", kind)
        config = origin.__struct_config__ if is_struct(origin) else None
        self._make: Callable[..., Any] = dict if is_typed_dict(origin) else origin
        self._is_row = is_named_tuple(origin) or bool(config and config.array_like)
        self._is_closed = bool(config and config.forbid_unknown_fields)
        tag = config.tag if config else None
        self._tag = {config.tag_field: tag} if config and tag is not None else {}

    @property
    def word(self) -> str:
        """What it is on the wire."""
        return "array" if self._is_row else "object"

    def fit(self, value: Mapping[str, Any]) -> tuple[bool, int]:
        known = [member for member in self.members if member.field.key in value]
        tags = [member for member in known if isinstance(inner(member.shape), Choice)]
        right = all(_reads(one.shape, value[one.field.key]) for one in tags)
        tagged = all(value.get(name) == tag for name, tag in self._tag.items())
        return right and tagged, len(known)

    # --- the schema ------------------------------------------------------------------------------

    def schema(self, writer: Definitions) -> Schema:
        return writer.refer(self.kind, name_of(self.kind), lambda: self._definition(writer))

    def _definition(self, writer: Definitions) -> Schema:
        description, told = read_docstring(docstring_of(self.kind))
        about = given(description=description or None)
        properties: Schema = {name: choice_schema([tag]) for name, tag in self._tag.items()}
        required = list(self._tag)
        for field, shape in self.members:
            schema = shape.schema(writer) | field.default
            if "description" not in schema and field.attribute in told:
                schema["description"] = told[field.attribute]
            properties[field.key] = schema
            if field.required:
                required.append(field.key)
        if self._is_row:
            items = [{"title": key, **schema} for key, schema in properties.items()]
            return about | row_schema(items, at_least=len(required))
        schema = {"type": "object", "properties": properties, "required": required}
        closed = {"additionalProperties": False} if self._is_closed else {}
        return about | schema | closed

    # --- values ----------------------------------------------------------------------------------

    def read(self, value: Any, path: str = "$") -> Any:
        with failing_once(self, value):
            try:
                found = self._found(value, path)
            except RecursionError:
                raise MisfitError.at(path, "nested too deeply") from None
            try:
                return self._make(**found)
            except (ValueError, TypeError) as error:
                raise MisfitError.at(path, _told(error)) from error

    def _found(self, value: Any, path: str) -> dict[str, Any]:
        """The arguments for the class."""
        places: dict[str, str] = {}
        if self._is_row and isinstance(value, list):
            value, places = self._named(value, path)
        if not isinstance(value, dict):
            raise self.misfit(value, path)
        problems, found = self._strange(value, path), {}
        for field, shape in self.members:
            where = places.get(field.key) or member_path(path, field.key)
            if field.key in value:
                try:
                    found[field.name] = shape.read(value[field.key], where)
                except MisfitError as error:
                    problems += error.problems
            elif field.required:
                problems.append(Problem(where, "missing"))
        if problems:
            raise MisfitError(problems)
        return found

    def _named(self, value: list[Any], path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """An array as an object, and the path of each of its members."""
        keys = [*self._tag, *(field.key for field, _ in self.members)]
        if len(value) > len(keys):
            text = f"expected array of length <= {len(keys)}, got {len(value)}"
            raise MisfitError.at(path, text)
        named = dict(zip(keys, value, strict=False))
        return named, {key: f"{path}[{place}]" for place, key in enumerate(keys)}

    def _strange(self, value: Mapping[str, Any], path: str) -> list[Problem]:
        """What the object is not allowed to hold, and the tags that it must."""
        problems = []
        for name, tag in self._tag.items():
            if value.get(name) != tag:
                problems.append(Problem(member_path(path, name), f"expected {tag!r}"))
        if self._is_closed:
            known = {*self._tag, *(field.key for field, _ in self.members)}
            strange = (name for name in value if name not in known)
            problems += [Problem(member_path(path, name), "unknown") for name in strange]
        return problems


class Union(Shape):
    """One of several types: the first that reads a value, of classes the one it names most of.

    Choices come before other types, and int before float and Decimal, which would take their values
    too.
    """

    def __init__(self, members: Sequence[Shape]) -> None:
        self.members = tuple(members)
        self._tried = sorted(members, key=_rank)

    @property
    def word(self) -> str:
        """The types' names."""
        return " | ".join(dict.fromkeys(member.word for member in self.members))

    def schema(self, writer: Definitions) -> Schema:
        last = [member for member in self.members if isinstance(member, Null)]
        first = [member for member in self.members if not isinstance(member, Null)]
        return {"anyOf": [member.schema(writer) for member in (*first, *last)]}

    def read(self, value: Any, path: str = "$") -> Any:
        if not isinstance(value, dict | list):
            return self._first(value, path)
        with remembering():
            return self._first(value, path)

    def _first(self, value: Any, path: str) -> Any:
        """The value of the first alternative that takes it."""
        errors: list[tuple[Shape, MisfitError]] = []
        for shape in self._by_fit(value) if isinstance(value, dict) else self._tried:
            try:
                return shape.read(value, path)
            except MisfitError as error:
                errors.append((shape, error))
        real = [error for shape, error in errors if not isinstance(shape, Null)]
        near = [error for shape, error in errors if shape.word == word_of(value)]
        if near or len(real) == 1:
            raise (near or real)[0]
        raise self.misfit(value, path)

    def _by_fit(self, value: Mapping[str, Any]) -> list[Shape]:
        return sorted(self._tried, key=lambda shape: inner(shape).fit(value), reverse=True)


class Alias(Shape):
    """A type under a name of its own, which may refer to itself.

    Attributes:
        shape: the type; filled in after the alias was made.
    """

    shape: Shape

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def word(self) -> str:
        """The name."""
        return self.name

    def schema(self, writer: Definitions) -> Schema:
        return writer.refer(self, self.name, lambda: self.shape.schema(writer))

    def read(self, value: Any, path: str = "$") -> Any:
        return self.shape.read(value, path)


class Noted(Shape):
    """A type with something said about it: a description, a title, examples."""

    def __init__(self, shape: Shape, about: Schema) -> None:
        self.inner = shape
        self.about = about

    @property
    def word(self) -> str:
        """The type's own."""
        return self.inner.word

    def schema(self, writer: Definitions) -> Schema:
        return {**self.inner.schema(writer), **self.about}

    def read(self, value: Any, path: str = "$") -> Any:
        return self.inner.read(value, path)


def inner(shape: Shape) -> Shape:
    """The shape without its name and what is said about it."""
    if isinstance(shape, Noted):
        return inner(shape.inner)
    return inner(shape.shape) if isinstance(shape, Alias) else shape


def _rank(shape: Shape) -> int:
    if isinstance(inner(shape), Choice):
        return 0
    return {"float": 2, "Decimal": 3}.get(shape.word, 1)


def _reads(shape: Shape, value: Any) -> bool:
    try:
        shape.read(value)
    except MisfitError:
        return False
    return True


def _told(error: Exception) -> str:
    """What a constructor says; attrs puts the text first, and much behind it."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) and first else str(error) or type(error).__name__
