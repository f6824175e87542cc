"""Hypothesis strategies for Python types together with their values."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import itertools
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict

import attrs
import msgspec
from hypothesis import strategies as st
from msgspec import Meta

from beluga_llm._types.schemas import REFERENCE


class Typed(NamedTuple):
    """A type, its values, and what they are in JSON, so that unions can be told apart."""

    kind: Any
    values: st.SearchStrategy[Any]
    word: str


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_names = itertools.count(1)

_SHORT = Annotated[str, Meta(min_length=2, max_length=3)]
_ONLY_A = Annotated[str, Meta(pattern="^a+$", description="some a")]
SCALARS = [
    Typed(int, st.integers(-(2**53), 2**53), "int"),
    Typed(float, st.floats(allow_nan=False, allow_infinity=False), "float"),
    Typed(str, texts, "str"),
    Typed(bool, st.booleans(), "bool"),
    Typed(NoneType, st.none(), "null"),
    Typed(bytes, st.binary(max_size=5), "str"),
    Typed(dt.date, st.dates(), "str"),
    Typed(dt.datetime, st.datetimes(timezones=st.just(dt.UTC)), "str"),
    Typed(dt.timedelta, st.timedeltas(dt.timedelta(0), dt.timedelta(days=9)), "str"),
    Typed(decimal.Decimal, st.decimals(-999, 999, places=2), "str"),
    Typed(Literal["b", "a"], st.sampled_from(["b", "a"]), "str"),
    Typed(Literal[3, "x", False], st.sampled_from([3, "x", False]), "any"),
    Typed(Colour, st.sampled_from(Colour), "any"),
    Typed(Level, st.sampled_from(Level), "int"),
    Typed(Annotated[int, Meta(ge=-3, lt=9)], st.integers(-3, 8), "int"),
    Typed(_SHORT, st.text("ab", min_size=2, max_size=3), "str"),
    Typed(_ONLY_A, st.text("a", min_size=1), "str"),
]  # fmt: skip
KEYS = [Typed(str, texts, "str"), Typed(int, st.integers(0, 99), "int")]


def _list(one: Typed) -> Typed:
    return Typed(list[one.kind], st.lists(one.values, max_size=3), "array")


def _many(one: Typed) -> Typed:
    kind = Annotated[tuple[one.kind, ...], Meta(max_length=3)]
    return Typed(kind, st.lists(one.values, max_size=3).map(tuple), "array")


def _optional(one: Typed) -> Typed:
    return Typed(Optional[one.kind], st.none() | one.values, "any")  # noqa: UP045 -- of a variable


def _row(several: list[Typed]) -> Typed:
    kind = tuple[tuple(one.kind for one in several)]  # type: ignore[misc]
    return Typed(kind, st.tuples(*(one.values for one in several)), "array")


def _mapping(key: Typed, one: Typed) -> Typed:
    values = st.dictionaries(key.values, one.values, max_size=3)
    return Typed(dict[key.kind, one.kind], values, "object")


def _union(several: list[Typed]) -> Typed | None:
    """A union whose members JSON can tell apart, also in strict form."""
    words = {one.word for one in several}
    if len(words) < len(several) or "any" in words:
        return None
    if {"int", "float"} <= words or {"array", "object"} <= words:
        return None
    kind = several[0].kind
    for one in several[1:]:
        kind = Optional[kind] if one.kind is NoneType else kind | one.kind  # noqa: UP045
    return Typed(kind, st.one_of([one.values for one in several]), "any")


# --- classes -------------------------------------------------------------------------------------


def _named(make: Callable[[str, list[tuple[str, Any]]], Any]) -> Callable[[list[Typed]], Typed]:
    def typed(fields: list[Typed]) -> Typed:
        pairs = [(f"f{at}", one.kind) for at, one in enumerate(fields)]
        kind = make(f"Made{next(_names)}", pairs)
        values = {name: one.values for (name, _), one in zip(pairs, fields, strict=True)}
        return Typed(kind, st.builds(kind, **values), "object")

    return typed


def _struct(name: str, fields: list[tuple[str, Any]]) -> Any:
    return msgspec.defstruct(name, fields, rename="camel", forbid_unknown_fields=True)


def _attrs(name: str, fields: list[tuple[str, Any]]) -> Any:
    return attrs.make_class(name, {key: attrs.field(type=kind) for key, kind in fields})


def _typed_dict(fields: list[Typed]) -> Typed:
    """Every other field may be missing, where null cannot be taken for its absence."""
    named = {f"f{at}": one for at, one in enumerate(fields)}
    loose = [name for name in list(named)[1::2] if named[name].word not in ("null", "any")]
    required = {name: one for name, one in named.items() if name not in loose}
    optional = {name: named[name] for name in loose}
    hints = {name: one.kind for name, one in required.items()}
    hints |= {name: NotRequired[one.kind] for name, one in optional.items()}
    kind = TypedDict(f"Made{next(_names)}", hints)  # type: ignore[misc]
    values = st.fixed_dictionaries(
        {name: one.values for name, one in required.items()},
        optional={name: one.values for name, one in optional.items()},
    )
    return Typed(kind, values, "object")


def _with_defaults(fields: list[Typed]) -> Typed:
    """A dataclass whose fields may be missing."""
    pairs = [(f"f{at}", Optional[one.kind], None) for at, one in enumerate(fields)]  # noqa: UP045
    kind = dataclasses.make_dataclass(f"Made{next(_names)}", pairs)
    values = {f"f{at}": one.values for at, one in enumerate(fields)}
    return Typed(kind, st.builds(kind, **values), "object")


def _named_tuple(name: str, fields: list[tuple[str, Any]]) -> Any:
    return NamedTuple(name, fields)


CLASSES = [
    _named(dataclasses.make_dataclass),
    _named(_struct),
    _named(_attrs),
    lambda fields: _named(_named_tuple)(fields)._replace(word="array"),
    _typed_dict,
    _with_defaults,
]


def _wider(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    several = st.lists(inner, min_size=1, max_size=3)
    classes = st.builds(lambda make, fields: make(fields), st.sampled_from(CLASSES), several)
    unions = st.lists(inner, min_size=2, max_size=3).map(_union).filter(bool)
    return st.one_of(
        inner.map(_list),
        inner.map(_many),
        inner.map(_optional),
        several.map(_row),
        st.builds(_mapping, st.sampled_from(KEYS), inner),
        classes,
        unions,
    )


typed = st.recursive(st.sampled_from(SCALARS), _wider, max_leaves=6)


@st.composite
def values_of_types(draw: st.DrawFn) -> tuple[Any, Any]:
    """A type, and a value of it."""
    one = draw(typed)
    return one.kind, draw(one.values)


# --- strict form, written a second time ----------------------------------------------------------


def to_strict(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """JSON data in strict form; the opposite of what is tested, for one alternative that fits."""
    from beluga_llm.testing._schema_check import is_valid

    while "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix(REFERENCE)]
    for branch in schema.get("anyOf", schema.get("oneOf", ())):
        if is_valid(value, {**branch, "$defs": definitions}):
            return to_strict(value, branch, definitions)
    if isinstance(value, list) and (places := schema.get("prefixItems")):
        titles = [place.get("title", f"item_{at}") for at, place in enumerate(places, 1)]
        items = map(to_strict, value, places, itertools.repeat(definitions))
        return dict(zip(titles, items, strict=True))
    if isinstance(value, list):
        return [to_strict(item, schema.get("items", {}), definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "properties" in schema:
        given = {
            name: to_strict(value[name], part, definitions)
            for name, part in schema["properties"].items()
            if name in value
        }
        return dict.fromkeys(schema["properties"]) | given
    part = schema.get("additionalProperties", {})
    return [
        {"key": name, "value": to_strict(item, part, definitions)} for name, item in value.items()
    ]
