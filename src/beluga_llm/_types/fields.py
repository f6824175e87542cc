"""The fields of classes: attrs classes, dataclasses, msgspec.Structs, NamedTuples and TypedDicts.

A field stands on the wire under the name that the class's `__init__` takes it by; a Struct may
rename it. What `__init__` does not take is no field.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import attrs
import msgspec

from beluga_llm._types.shape import Schema, UnsupportedTypeError, default_of, name_of

_FACTORIES = (list, dict, set, frozenset, tuple)
_NO_DEFAULT: Schema = {}


class Field(NamedTuple):
    """A field.

    Attributes:
        name: what `__init__` takes it by.
        key: its name on the wire.
        kind: its annotation, resolved.
        required: whether it has no default.
        default: the keyword `default`, where it is JSON.
        attribute: its name in the class.
    """

    name: str
    key: str
    kind: Any
    required: bool
    default: Schema
    attribute: str


def fields_of(kind: Any) -> list[Field] | None:
    """The fields of a class; None for what has no fields that are known.

    Raises:
        UnsupportedTypeError: its annotations cannot be read.
    """
    origin = getattr(kind, "__origin__", kind)
    for is_one, read in _READERS:
        if is_one(origin):
            return list(read(origin, hints_of(kind)))
    return None


def has_fields(kind: Any) -> bool:
    """Whether `fields_of` knows its fields."""
    return any(is_one(kind) for is_one, _ in _READERS)


def is_typed_dict(kind: Any) -> bool:
    """Whether it is a TypedDict, of `typing` or `typing_extensions`."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")


def is_named_tuple(kind: Any) -> bool:
    """Whether it is a NamedTuple."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_struct(kind: Any) -> bool:
    """Whether it is a msgspec.Struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


# --- annotations ---------------------------------------------------------------------------------


def hints_of(kind: Any) -> Mapping[str, Any]:
    """The annotations of a class and its bases, with the arguments of generic ones put in.

    Raises:
        UnsupportedTypeError: a name in them is not known.
    """
    origin = getattr(kind, "__origin__", kind)
    arguments = _arguments(kind)
    found: dict[str, Any] = {}
    for base in reversed(_lineage(origin)):
        own, hints = inspect.get_annotations(base), _resolved(base)
        for name in own:
            if not (is_typed_dict(base) and _is_inherited(name, base)):
                found[name] = substituted(_plain(hints[name]), arguments.get(base, {}))
    return found


def _lineage(origin: Any) -> list[Any]:
    """A class and its bases; a TypedDict forgets them in its `__mro__`."""
    if is_typed_dict(origin):
        return [origin, *(one for base in _typed_dicts(origin) for one in _lineage(base))]
    return [base for base in origin.__mro__ if base is not object]


def _typed_dicts(origin: Any) -> list[Any]:
    """The TypedDicts that one is made of."""
    bases = (getattr(base, "__origin__", base) for base in getattr(origin, "__orig_bases__", ()))
    return [base for base in bases if is_typed_dict(base)]


def _is_inherited(name: str, kind: Any) -> bool:
    """Whether a TypedDict repeats an annotation of one that it is made of."""
    own = inspect.get_annotations(kind)[name]
    return any(inspect.get_annotations(base).get(name) == own for base in _typed_dicts(kind))


def _resolved(kind: Any) -> dict[str, Any]:
    try:
        try:
            return typing.get_type_hints(kind, include_extras=True)
        except NameError:  # perhaps a class in a function that refers to itself
            own = {kind.__name__: kind}
            return typing.get_type_hints(kind, None, own, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        text = f"its annotations cannot be read: {error}"
        raise UnsupportedTypeError(f"{name_of(kind)}: {text}") from error


def _arguments(kind: Any) -> dict[Any, dict[Any, Any]]:
    """What the type variables of a generic class and of its bases stand for, class by class."""
    origin = getattr(kind, "__origin__", kind)
    given = getattr(kind, "__args__", ())
    own = dict(zip(getattr(origin, "__parameters__", ()), given, strict=False))
    found = {origin: own}
    for base in getattr(origin, "__orig_bases__", ()):
        if getattr(base, "__origin__", None) not in (None, typing.Generic, typing.Protocol):
            found = {**_arguments(substituted(base, own)), **found}
    return found


def _plain(hint: Any) -> Any:
    """An annotation without what only says who takes it."""
    return hint.type if isinstance(hint, dataclasses.InitVar) else hint


def substituted(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """An annotation with its type variables replaced; by what bounds them, or Any, else."""
    if isinstance(hint, typing.TypeVar):
        return arguments.get(hint, hint.__bound__ or Any)
    variables = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    if not variables:
        return hint
    return hint[tuple(substituted(variable, arguments) for variable in variables)]


# --- kinds of classes ----------------------------------------------------------------------------


def _of_struct(kind: Any, hints: Mapping[str, Any]) -> Iterator[Field]:
    for field in msgspec.structs.fields(kind):
        default = _default(field.default, field.default_factory, msgspec.NODEFAULT)
        hint = hints.get(field.name, field.type)
        yield Field(field.name, field.encode_name, hint, field.required, default, field.name)


def _of_dataclass(kind: Any, hints: Mapping[str, Any]) -> Iterator[Field]:
    missing = dataclasses.MISSING
    for field in kind.__dataclass_fields__.values():  # those that are only for `__init__` too
        hint = hints.get(field.name, Any)
        if field.init and (typing.get_origin(hint) or hint) is not typing.ClassVar:
            default = _default(field.default, field.default_factory, missing)
            required = field.default is missing and field.default_factory is missing
            yield Field(field.name, field.name, hint, required, default, field.name)


def _of_attrs(kind: Any, hints: Mapping[str, Any]) -> Iterator[Field]:
    for field in attrs.fields(kind):
        if field.init:
            factory = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]  # a class
            value = attrs.NOTHING if factory else field.default
            made_by = field.default.factory if factory else attrs.NOTHING
            default = _default(value, made_by, attrs.NOTHING)
            required = field.default is attrs.NOTHING
            hint = hints.get(field.name, field.type or Any)
            yield Field(field.alias, field.alias, hint, required, default, field.name)


def _of_named_tuple(kind: Any, hints: Mapping[str, Any]) -> Iterator[Field]:
    for name in kind._fields:
        required = name not in kind._field_defaults
        default = _NO_DEFAULT if required else default_of(kind._field_defaults[name])
        yield Field(name, name, hints.get(name, Any), required, default, name)


def _of_typed_dict(kind: Any, hints: Mapping[str, Any]) -> Iterator[Field]:
    """Under `from __future__ import annotations` the class does not know what is NotRequired."""
    for name, hint in hints.items():
        said = {"Required": True, "NotRequired": False}.get(_marker(hint))
        required = name in kind.__required_keys__ if said is None else said
        yield Field(name, name, hint, required, _NO_DEFAULT, name)


def _marker(hint: Any) -> str:
    """The word before the brackets of `NotRequired[int]`, also inside of others."""
    origin = getattr(hint, "__origin__", None)
    if hasattr(hint, "__metadata__"):
        return _marker(origin)
    name = str(getattr(origin, "_name", ""))
    return _marker(hint.__args__[0]) if name == "ReadOnly" else name


def _default(value: Any, factory: Any, missing: Any) -> Schema:
    if value is not missing:
        return default_of(value)
    return default_of(factory()) if factory in _FACTORIES else _NO_DEFAULT


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any], Iterator[Field]]], ...] = (
    (is_struct, _of_struct),
    (is_typed_dict, _of_typed_dict),
    (is_named_tuple, _of_named_tuple),
    (lambda kind: isinstance(kind, type) and attrs.has(kind), _of_attrs),
    (lambda kind: isinstance(kind, type) and dataclasses.is_dataclass(kind), _of_dataclass),
)
