"""Functions as tools: their name, description and the JSON Schema of their parameters.

What is said of a parameter comes from `Annotated[T, msgspec.Meta(description=...)]`,
`Annotated[T, "..."]`, or the docstring in Google, NumPy or Sphinx style, in this order. A parameter
without annotation may be anything; `x: int = None` may be null.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from types import SimpleNamespace, UnionType
from typing import Annotated, Any

from beluga_llm._docstrings import read_docstring
from beluga_llm._errors import ConfigError
from beluga_llm._type_schema import Schema, SchemaWriter, UnsupportedTypeError, default_of
from beluga_llm._types.fields import has_fields
from beluga_llm._types.pydantic_types import is_pydantics

REQUIRED = inspect.Parameter.empty
"""What stands for the default of a parameter that has none."""


def describe_function(function: Callable[..., Any]) -> tuple[str, str, Schema]:
    """Name, description and schema of the parameters of a function, method or callable object.

    Parameters without a default are required. `self`, `cls` and what a `functools.partial` has
    fixed are left out.

    Raises:
        ConfigError: the function has no name or takes *args or **kwargs, a parameter's type has no
            JSON Schema, or it is a class with fields, such as a dataclass.
    """
    inner, _ = _unwrapped(function)
    name = _name(inner)
    description, told = _docstring(inner)
    parameters = parameters_of(function)
    writer = SchemaWriter()
    properties = {}
    for key, (kind, default) in parameters.items():
        schema = _written(writer, kind, f"{name!r}: parameter {key!r}")
        _lift_description(schema)
        if "description" not in schema and (text := _said_of(kind) or told.get(key)):
            schema["description"] = text
        if default is not REQUIRED:
            schema |= default_of(default)
        properties[key] = schema
    required = [key for key, (_, default) in parameters.items() if default is REQUIRED]
    return name, description, _object(properties, required, writer.definitions)


def parameters_of(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The type and the default of each parameter that a model may give; REQUIRED for none.

    Raises:
        ConfigError: as `describe_function`.
    """
    inner, fixed = _unwrapped(function)
    name = _name(inner)
    types = _types(inner, name)
    return {
        key: (_or_none(types.get(key, Any), parameter.default), parameter.default)
        for key, parameter in _parameters(function, name).items()
        if key not in fixed
    }


def _object(properties: Schema, required: list[str], definitions: dict[str, Schema]) -> Schema:
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return schema | {"$defs": definitions} if definitions else schema


def _written(writer: SchemaWriter, kind: Any, where: str) -> Schema:
    try:
        return writer.write(kind)
    except UnsupportedTypeError as error:
        shown = kind.__qualname__ if isinstance(kind, type) else str(kind)
        raise ConfigError(f"{where}: {shown} cannot be described to a model: {error}") from error


def _unwrapped(function: Any) -> tuple[Any, frozenset[str]]:
    """The function inside partials, and the names of the parameters that they fix."""
    fixed: set[str] = set()
    while isinstance(function, functools.partial):
        fixed.update(function.keywords)
        function = function.func
    return function, frozenset(fixed)


def _name(function: Any) -> str:
    if not callable(function):
        raise ConfigError(f"a tool is made of a function, not of {type(function).__name__}")
    name: str = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        raise ConfigError("a lambda has no name: define the tool with def")
    if has_fields(function) or (inspect.isclass(function) and is_pydantics(function)):
        raise ConfigError(
            f"{name!r} is no function: make a tool that takes one, or ask for one by "
            f"`structured(model, {name})`"
        )
    return name


def _docstring(function: Any) -> tuple[str, dict[str, str]]:
    """What is said of a function; of an object, what its class and its `__call__` say."""
    description, told = read_docstring(inspect.getdoc(function) or "")
    if inspect.isroutine(function) or inspect.isclass(function):
        return description, told
    of_call, told_by_call = read_docstring(inspect.getdoc(type(function).__call__) or "")
    return description or of_call, told | told_by_call


def _parameters(function: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name!r}: its parameters cannot be read: {error}") from error
    parameters = dict(signature.parameters)
    first = next(iter(parameters.values()), None)
    if first is not None and first.name in ("self", "cls") and first.annotation is first.empty:
        del parameters[first.name]
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            shown = "*" * (2 if parameter.kind is parameter.VAR_KEYWORD else 1) + parameter.name
            raise ConfigError(f"{name!r}: a tool cannot take {shown}; name its parameters")
    return parameters


def _types(function: Any, name: str) -> dict[str, Any]:
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    written = {key: kind for key, kind in _annotations(function).items() if key != "return"}
    home = getattr(inspect.unwrap(function), "__globals__", {})
    read: Any = SimpleNamespace(__annotations__=written, __globals__=home)
    try:
        return typing.get_type_hints(read, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"{name!r}: its annotations cannot be read: {error}") from error


def _annotations(function: Any) -> dict[str, Any]:
    return getattr(function, "__annotations__", None) or {}


def _or_none(kind: Any, default: Any) -> Any:
    """The type of a parameter whose default may be None, though the type does not say so."""
    bare = kind.__origin__ if typing.get_origin(kind) is Annotated else kind
    if default is not None or bare is Any or type(None) in typing.get_args(bare):
        return kind
    return typing.Optional[kind]  # noqa: UP045 -- `|` fails on forward references


def _said_of(kind: Any) -> str | None:
    """The text in `Annotated[T, "..."]`, also where None is an alternative."""
    notes = getattr(kind, "__metadata__", ())
    inside = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, UnionType) else ()
    texts = (note for note in notes if isinstance(note, str))
    return next(texts, None) or next(filter(None, map(_said_of, inside)), None)


def _lift_description(schema: Schema) -> None:
    """Says beside `anyOf`, of which null is one, what is said of the other one."""
    branches = schema.get("anyOf", ())
    if "description" not in schema and len(branches) == 2 and {"type": "null"} in branches:
        other = branches[0] if branches[1] == {"type": "null"} else branches[1]
        if "description" in other:
            schema["description"] = other.pop("description")
