"""Annotations as shapes."""

from __future__ import annotations

import collections.abc
import enum
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from beluga_llm._types.classes import Alias, Fields, Member, Noted, Union
from beluga_llm._types.containers import Items, Members, Row
from beluga_llm._types.fields import fields_of, substituted
from beluga_llm._types.pydantic_types import PydanticType, is_pydantics
from beluga_llm._types.scalars import (
    NUMERIC,
    SCALARS,
    TEXTUAL,
    Anything,
    Choice,
    Limits,
    Null,
    Scalar,
    limits_for,
)
from beluga_llm._types.shape import Schema, Shape, UnsupportedTypeError, name_of

abc = collections.abc
_LISTS: Mapping[Any, Callable[[list[Any]], Any]] = {
    **dict.fromkeys((list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable), list),
    **dict.fromkeys((set, abc.Set, abc.MutableSet), set),
    frozenset: frozenset,
}
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_UNIONS = (typing.Union, types.UnionType)
_MARKERS = frozenset(("Required", "NotRequired", "ReadOnly", "Final"))
_LIMITS = (*NUMERIC, *TEXTUAL, "tz")
_ANYTHING = (Any, object, msgspec.Raw)


def shape_of(kind: Any) -> Shape:
    """What a type is.

    Raises:
        UnsupportedTypeError: it has no JSON Schema.
    """
    return _of_class(kind) if isinstance(kind, type) else _Builder().shape(kind)


@functools.lru_cache(maxsize=256)
def _of_class(kind: type) -> Shape:
    # Only classes are remembered: `int | str` equals `str | int`, and the order of a union or a
    # Literal shows in its schema and decides how a value is read.
    return _Builder().shape(kind)


class _Builder:
    """Builds the shapes of one type; each class is built once, as it may refer to itself."""

    def __init__(self) -> None:
        self._classes: dict[Any, Fields] = {}
        self._aliases: dict[Any, Alias] = {}
        self._inside: list[Any] = []

    def shape(self, kind: Any) -> Shape:
        kind, notes = unwrapped(kind)
        if is_pydantics(kind, notes):
            annotated = typing.Annotated[(kind, *notes)] if notes else kind
            return PydanticType(annotated)
        limits, about = _limits(notes), _about(notes)
        shape = self._plain(kind, limits)
        return Noted(shape, about) if about else shape

    def _plain(self, kind: Any, limits: Limits) -> Shape:
        origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
        if _is_in(kind, _ANYTHING):
            return Anything()
        if kind is None or kind is types.NoneType:
            return Null()
        if kind is typing.Self and self._inside:
            return self._class(self._inside[-1])
        if origin in _UNIONS:
            real = [argument for argument in arguments if argument is not msgspec.UnsetType]
            members = [self._member(argument, limits) for argument in real]
            return Union(members) if len(members) > 1 else members[0]
        if origin is typing.Literal:
            return Choice(list(arguments))
        if _is_in(kind, SCALARS):
            return Scalar(kind, limits)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return Choice(list(kind), kind)
        if _is_alias(kind) or _is_alias(origin):
            return self._alias(kind, origin)
        return self._container(kind, origin, limits) or self._class(kind)

    def _member(self, kind: Any, limits: Limits) -> Shape:
        """A type of a union, with those limits of the whole that concern it."""
        if limits and _is_in(kind, SCALARS):
            return Scalar(kind, limits_for(kind, limits))
        return self.shape(kind)

    def _container(self, kind: Any, origin: Any, limits: Limits) -> Shape | None:
        arguments = typing.get_args(kind)
        if origin is tuple:
            empty = not arguments and kind not in (tuple, typing.Tuple)  # noqa: UP006 -- people do
            if empty or (arguments and arguments[-1] is not ...):
                return Row([self.shape(argument) for argument in arguments])
            return Items(self._argument(arguments), tuple, limits)
        if _is_in(origin, _LISTS):
            return Items(self._argument(arguments), _LISTS[origin], limits)
        if _is_in(origin, _MAPPINGS):
            key, value = arguments or (str, Any)
            return Members(self.shape(key), self.shape(value), limits)
        return None

    def _argument(self, arguments: tuple[Any, ...]) -> Shape:
        return self.shape(arguments[0]) if arguments else Anything()

    def _alias(self, kind: Any, origin: Any) -> Shape:
        """`type Tree = list[Tree]`, which may have parameters."""
        if kind not in self._aliases:
            made = self._aliases[kind] = Alias(name_of(kind))
            arguments = dict(zip(origin.__type_params__, typing.get_args(kind), strict=False))
            made.shape = self.shape(substituted(origin.__value__, arguments))
        return self._aliases[kind]

    def _class(self, kind: Any) -> Shape:
        try:
            if kind in self._classes:
                return self._classes[kind]
            fields = fields_of(kind)
        except TypeError:  # no type at all, but a value without a hash
            fields = None
        if fields is None:
            raise UnsupportedTypeError(f"type {name_of(kind)} has no JSON Schema")
        made = self._classes[kind] = Fields(kind)
        self._inside.append(kind)
        for field in fields:
            try:
                made.members.append(Member(field, self.shape(field.kind)))
            except UnsupportedTypeError as error:
                error.field = error.field or f"{name_of(kind)}.{field.attribute}"
                raise
        self._inside.pop()
        return made


def unwrapped(kind: Any) -> tuple[Any, list[Any]]:
    """A type without its wrappers, and what `Annotated` says of it, the innermost first."""
    notes: list[Any] = []
    while True:
        origin = typing.get_origin(kind)
        if origin is typing.Annotated:
            notes = [*kind.__metadata__, *notes]
            kind = kind.__origin__
        elif isinstance(kind, typing.TypeVar):
            kind = substituted(kind, {})
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif getattr(origin, "_name", "") in _MARKERS:
            kind = typing.get_args(kind)[0]
        else:
            return kind, notes


def _limits(notes: Iterable[Any]) -> Limits:
    """The limits of `msgspec.Meta`, and of `annotated_types`, which call them the same."""
    found: dict[str, Any] = {}
    for note in notes:
        if type(note).__module__ in ("msgspec", "annotated_types"):
            limits = ((name, getattr(note, name, None)) for name in _LIMITS)
            found |= {name: limit for name, limit in limits if limit is not None}
    return found


def _about(notes: Iterable[Any]) -> Schema:
    found: Schema = {}
    for note in notes:
        if isinstance(note, msgspec.Meta):
            facts = {name: getattr(note, name) for name in ("title", "description", "examples")}
            found |= {name: fact for name, fact in facts.items() if fact is not None}
            found |= note.extra_json_schema or {}
        elif isinstance(note, str):
            found["description"] = note
    return found


def _is_alias(kind: Any) -> bool:
    """Whether it is a `type` statement's; `typing_extensions` has its own."""
    return type(kind).__name__ == "TypeAliasType"


def _is_in(kind: Any, among: Any) -> bool:
    """Whether it is one of some types; a type may be unhashable, or equal to odd things."""
    return any(kind is one for one in among)
