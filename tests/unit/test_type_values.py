"""What JSON means for a type, and what is said where it means nothing."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import re
import sys
import types
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import (  # noqa: UP035 -- people do
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    Self,
    TypedDict,
    TypeVar,
    Union,
)

import attrs
import msgspec
import pytest
from msgspec import Meta

from beluga_llm._structured.target import Target
from beluga_llm._type_schema import SchemaWriter, UnsupportedTypeError
from beluga_llm._types.build import shape_of
from beluga_llm._types.shape import MOST_SHOWN, MisfitError, Problem, docstring_of, name_of

T = TypeVar("T")
N = TypeVar("N", bound=int)
UserId = NewType("UserId", int)


class Colour(enum.Enum):
    """A colour."""

    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1


class Odd(enum.Enum):
    PAIR = (1, 2)


@dataclasses.dataclass
class Cat:
    kind: Literal["cat"]
    lives: Annotated[int, Meta(ge=1)] = 9


@dataclasses.dataclass
class Dog:
    kind: Literal["dog"]
    friends: list[Cat | Dog] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Short:
    name: str


@dataclasses.dataclass
class Long:
    name: str
    size: int = 0
    made: dt.date | None = dataclasses.field(init=False, default=None)


@attrs.frozen
class Checked:
    _size: int = attrs.field(converter=abs, validator=attrs.validators.lt(5))
    names: list[str] = attrs.Factory(list)
    other: Any = attrs.Factory(lambda self: self._size, takes_self=True)
    hidden: int = attrs.field(init=False, default=1)


@dataclasses.dataclass
class Refuses:
    age: int

    def __post_init__(self) -> None:
        if self.age < 0:
            raise ValueError
        if self.age > 150:
            raise TypeError("too old")


class Old(msgspec.Struct, tag="old", forbid_unknown_fields=True, rename="camel"):
    first_name: str
    size: int | msgspec.UnsetType = msgspec.UNSET


class New(msgspec.Struct, tag=2, tag_field="kind"):
    size: int


class Place(msgspec.Struct, array_like=True):
    x: int
    y: int = 0


class Span(NamedTuple):
    low: int
    high: int = 9


@dataclasses.dataclass
class Made(Generic[T]):
    """Its constructor takes more than it keeps."""

    kept: int
    given: dataclasses.InitVar[T]
    other: dataclasses.InitVar[int] = 3
    shared: ClassVar[int] = 1
    total: int = dataclasses.field(init=False, default=0)

    def __post_init__(self, given: Any, other: int) -> None:
        self.total = self.kept + given + other


@dataclasses.dataclass
class Kin:
    kids: list[Self] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Nearer(Kin):
    near: Short | None = None


@dataclasses.dataclass
class All:
    kind: Literal["all"]
    of: list[All | Some | int]


@dataclasses.dataclass
class Some:
    kind: Literal["any"]
    of: list[All | Some | int]


@dataclasses.dataclass
class Left:
    of: Left | Right | list[Left] | list[Right] | int


@dataclasses.dataclass
class Right:
    of: Left | Right | list[Left] | list[Right] | int


class Base(TypedDict, Generic[T]):
    a: T


class Derived(Base[int], total=False):
    b: str
    c: Required[list[str]]


class Loose(Derived):
    d: NotRequired[int]
    e: Annotated[NotRequired[int], "an e"]


@dataclasses.dataclass
class Box(Generic[T]):
    value: T
    more: list[T] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Pair(Box[int], Generic[T]):
    other: T | None = None


class Plain:
    a: int


NAN = float("nan")
INFINITE = float("inf")


@pytest.mark.row("STRU-03", "STRU-06")
@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Any, {"a": [1]}, {"a": [1]}),
        (object, 3, 3),
        (None, None, None),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (bytes, "aGk=", b"hi"),
        (bytearray, "aGk=", bytearray(b"hi")),
        (dt.datetime, "2024-01-02T03:04:05Z", dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        (dt.time, "03:04:05", dt.time(3, 4, 5)),
        (dt.timedelta, "PT1H", dt.timedelta(hours=1)),
        (uuid.UUID, "00000000-0000-0000-0000-000000000001", uuid.UUID(int=1)),
        (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
        (decimal.Decimal, 1.5, decimal.Decimal("1.5")),
        (Colour, "red", Colour.RED),
        (Colour, 2.0, Colour.TWO),
        (Literal[Colour.TWO, "x"], 2, Colour.TWO),
        (Literal[Colour.TWO, "x"], "x", "x"),
        (Literal[1, None], None, None),  # noqa: PYI061 -- people do
        (List[int], [1], [1]),  # noqa: UP006
        (list, [1, "a"], [1, "a"]),
        (Sequence[int], [1], [1]),
        (Collection[T], [1, "a"], [1, "a"]),  # type: ignore[valid-type]  # people do
        (AbstractSet[int], [1, 1], {1}),
        (frozenset[str], ["a"], frozenset("a")),
        (tuple, [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[()], [], ()),
        (dict, {"a": 1}, {"a": 1}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (dict[int, bool], {"1": True}, {1: True}),
        (dict[Colour, int], {"red": 1, "2": 2}, {Colour.RED: 1, Colour.TWO: 2}),
        (dict[dt.date | int, int], {"2024-01-02": 1}, {dt.date(2024, 1, 2): 1}),
        (int | str | None, "a", "a"),
        (Union[float, int], 1, 1),  # noqa: UP007
        (decimal.Decimal | int, 1, 1),
        (str | Colour, "red", Colour.RED),
        (dt.date | str, "2024-01-02", dt.date(2024, 1, 2)),
        (dt.date | str, "soon", "soon"),
        (list[int] | dict[str, int], {"a": 1}, {"a": 1}),
        (list[int] | list[str], ["a"], ["a"]),
        (Cat | Dog, {"kind": "dog", "friends": [{"kind": "cat"}]}, Dog("dog", [Cat("cat")])),
        (Short | Long, {"name": "a"}, Short("a")),
        (Short | Long, {"name": "a", "size": 1}, Long("a", 1)),
        (Short | dict[str, int], {"a": 1}, {"a": 1}),
        (Old | New, {"kind": 2, "size": 1}, New(1)),
        (Old | New, {"type": "old", "firstName": "a"}, Old("a")),
        (Checked, {"size": -3, "strange": 1}, Checked(3)),
        (Made[int], {"kept": 1, "given": 2}, Made(1, 2)),
        (Kin, {"kids": [{"kids": [{}]}]}, Kin([Kin([Kin()])])),
        (Nearer, {"kids": [{"near": {"name": "a"}}]}, Nearer([Nearer([], Short("a"))])),
        (Place, [1], Place(1)),
        (Place, {"x": 1, "y": 2}, Place(1, 2)),
        (Span, [1], Span(1)),
        (Span, {"low": 1, "high": 2}, Span(1, 2)),
        (Derived, {"a": 1, "c": [], "z": 1}, {"a": 1, "c": []}),
        (Loose, {"a": 1, "c": []}, {"a": 1, "c": []}),
        (Box[str], {"value": "a", "more": ["b"]}, Box("a", ["b"])),
        (Box, {"value": 1, "more": ["b"]}, Box(1, ["b"])),
        (Pair[str], {"value": 1, "more": [2], "other": "a"}, Pair(1, [2], "a")),
        (UserId, 3, 3),
        (Final[int], 3, 3),
        (N, 3, 3),
        (Annotated[int | None, Meta(ge=1)], None, None),
        (Annotated[dt.datetime | str, Meta(tz=True, min_length=9)], "2024-01-02", "2024-01-02"),
        (Annotated[list[Short] | int, Meta(ge=1)], 2, 2),
        (Optional[Annotated[str, "a text"]], "a", "a"),  # noqa: UP045 -- people do
        (Annotated[dict[str, int], Meta(max_length=1)], {"a": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_values_are_read(kind: Any, data: Any, value: Any) -> None:
    found = shape_of(kind).read(data)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.row("STRU-03", "STRU-06")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Literal[1, "a"], Literal["a", 1]),
        (int | str, str | int),
        (list[int] | str, str | list[int]),
    ],
)
def test_types_that_equal_each_other_keep_their_own_order(one: Any, other: Any) -> None:
    """Whichever was looked at first: unions and Literals are equal in every order."""
    assert one == other
    first, second = str(_problem(one)), str(_problem(other))
    assert first != second
    assert (str(_problem(one)), str(_problem(other))) == (first, second)


def _problem(kind: Any) -> MisfitError:
    with pytest.raises(MisfitError) as caught:
        shape_of(kind).read(1.5)
    return caught.value


@pytest.mark.row("STRU-06", "STRU-07", "TOOL-08")
@pytest.mark.parametrize(
    ("kind", "data", "problem"),
    [
        (None, 1, "$: expected null, got int"),
        (int, True, "$: expected int, got bool"),
        (int, 1.5, "$: expected int, got float"),
        (float, "1", "$: expected float, got str"),
        (float, NAN, "$: expected float, got nan, which is no JSON"),
        (int, INFINITE, "$: expected int, got inf, which is no JSON"),
        (str, {}, "$: expected str, got object"),
        (str, [], "$: expected str, got array"),
        (bytes, "?", "$: invalid base64 encoded string"),
        (dt.date, "soon", "$: invalid RFC3339 encoded date"),
        (dt.date, "\ud83d", "$: expected date, got text"),
        (Colour, "blue", "$: expected one of 'red', 2, got 'blue'"),
        (Colour, True, "$: expected one of 'red', 2, got true"),
        (Level, {}, "$: expected 1, got object"),
        (Literal[1, "a"], 1.5, "$: expected one of 1, 'a', got 1.5"),
        (Literal[True], 1, "$: expected true, got 1"),
        (Literal[Colour.TWO], "red", "$: expected 2, got 'red'"),
        (Made[int], {"kept": 1, "given": "a"}, "$.given: expected int, got str"),
        (Made, {"kept": 1}, "$.given: missing"),
        (list[int], {}, "$: expected array, got object"),
        (list[int], [1, "a", None], "$[1]: expected int, got str; $[2]: expected int, got null"),
        (Annotated[list[int], Meta(min_length=1)], [], "$: expected array of length >= 1, got 0"),
        (
            Annotated[list[int], Meta(max_length=1)],
            [1, 2],
            "$: expected array of length <= 1, got 2",
        ),
        (
            Annotated[dict[str, int], Meta(max_length=0)],
            {"a": 1},
            "$: expected object of length <= 0",
        ),
        (set[dict[str, int]], [{}], "$: the items cannot be in a set"),
        (tuple[int, str], 1, "$: expected array, got int"),
        (tuple[int, str], [1], "$: expected array of length 2, got 1"),
        (tuple[int, str], ["a", 1], "$[0]: expected int, got str; $[1]: expected str, got int"),
        (dict[str, int], [], "$: expected object, got array"),
        (dict[str, int], {"a": "x", "b c": "y"}, '$.a: expected int, got str; $["b c"]: expected'),
        (dict[int, int], {"a": 1}, "$.a: key: expected int, got str"),
        (dict[int, int], {"true": 1}, "$.true: key: expected int, got str"),
        (int | None, "a", "$: expected int, got str"),
        (int | float | None, "a", "$: expected int | float | null, got str"),
        (Annotated[int, Meta(ge=1)] | str, 0, "$: expected int >= 1"),
        (Annotated[str, Meta(pattern="^a")], "b", "$: expected str matching regex '^a'"),
        (Cat | Dog, {"kind": "cow"}, "$.kind: expected 'cat', got 'cow'"),
        (
            Cat | Dog,
            {"kind": "dog", "friends": [{"kind": "cat", "lives": 0}]},
            "$.friends[0].lives: expected int >= 1",
        ),
        (Cat | Dog, 3, "$: expected object, got int"),
        (Short, {"name": 3, "x": 1}, "$.name: expected str, got int"),
        (Short, {}, "$.name: missing"),
        (Short, 3, "$: expected object, got int"),
        (Checked, {"size": 9}, "$: '_size' must be < 5: 9"),
        (list[Refuses], [{"age": -1}, {"age": 200}], "$[0]: ValueError; $[1]: too old"),
        (Old, {"firstName": "a"}, "$.type: expected 'old'"),
        (
            Old,
            {"type": "old", "firstName": 1, "a": 1, "b-c": 2},
            '$.a: unknown; $["b-c"]: unknown; $.firstName: expected str, got int',
        ),
        (Span, [1, 2, 3], "$: expected array of length <= 2, got 3"),
        (Span, ["a", "b"], "$[0]: expected int, got str; $[1]: expected int, got str"),
        (Span, [], "$[0]: missing"),
        (Span, "a", "$: expected array, got str"),
        (Derived, {"b": 1}, "$.a: missing; $.b: expected str, got int; $.c: missing"),
        (
            Pair[str],
            {"value": "a", "other": 1},
            "$.value: expected int, got str; $.other: expected str, got int",
        ),
    ],
)
def test_problems_are_told_with_paths(kind: Any, data: Any, problem: str) -> None:
    with pytest.raises(MisfitError) as caught:
        shape_of(kind).read(data)
    assert str(caught.value).startswith(problem)
    assert "; ".join(map(str, caught.value.problems)) == str(caught.value)


@pytest.mark.row("STRU-07")
def test_many_problems_are_counted() -> None:
    error = MisfitError([Problem("$", "no")] * (MOST_SHOWN + 2))
    assert str(error).endswith("; $: no; and 2 more")


@pytest.mark.row("STRU-06", "STRU-21")
@pytest.mark.parametrize(
    ("kind", "wrap", "path"),
    [
        (All | Some, lambda inner: {"kind": "any", "of": [inner]}, ".of[0]"),
        (Left | Right, lambda inner: {"of": inner}, ".of"),
        (Left | Right, lambda inner: {"of": [{"of": inner}]}, ".of[0].of"),
    ],
)
def test_alternatives_that_share_their_parts_do_not_multiply(
    kind: Any, wrap: Callable[[Any], Any], path: str
) -> None:
    """Read once for each alternative at each level, this would never end."""
    value: Any = "x"
    for _ in range(30):
        value = wrap(value)
    with pytest.raises(MisfitError) as caught:
        shape_of(kind).read(value)
    [problem] = caught.value.problems
    assert problem.path == "$" + path * 30
    assert "got str" in problem.text


def test_paths_begin_where_the_value_stands() -> None:
    with pytest.raises(MisfitError, match=r"^\$\.x\[0\]: expected int"):
        shape_of(list[int]).read(["a"], "$.x")


@pytest.mark.row("STRU-03")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (complex, "type complex has no JSON Schema"),
        (Plain, "type Plain has no JSON Schema"),
        (collections.deque, "type deque has no JSON Schema"),
        (Callable[[int], str], "has no JSON Schema"),
        (list[Plain], "type Plain has no JSON Schema"),
        (dict[Short, int], "keys of an object cannot be object"),
        (dict[int | Short, int], "keys of an object cannot be int | object"),
        (dict[bytearray, int], "keys of an object cannot be bytearray"),
        (Self, "type Self has no JSON Schema"),
        (Odd, "(1, 2) is no JSON value to choose"),
        (Annotated[int, Meta(pattern="a")], "Can only set `pattern` on a str"),
        (3, "type 3 has no JSON Schema"),
        ({}, "type {} has no JSON Schema"),
        (Annotated[list[Plain], {}], "type Plain has no JSON Schema"),
    ],
)
def test_what_is_not_supported_is_named(kind: Any, reason: str) -> None:
    with pytest.raises(UnsupportedTypeError) as caught:
        SchemaWriter().write(kind)
    assert reason in str(caught.value)


@pytest.mark.row("STRU-03")
def test_fields_that_are_not_supported_are_named() -> None:
    @dataclasses.dataclass
    class Inner:
        bad: complex

    @attrs.frozen
    class Outer:
        inner: list[Inner]

    with pytest.raises(UnsupportedTypeError, match=r"\(field .*Inner.bad\)"):
        SchemaWriter().write(Annotated[Inner, "first"])
    namespace = {"Inner": Inner}
    Outer.__annotations__["inner"] = list[namespace["Inner"]]  # type: ignore[misc]  # its module does not know it
    with pytest.raises(UnsupportedTypeError, match=r"complex has no JSON Schema \(field .*Inner"):
        SchemaWriter().write(Outer)

    @dataclasses.dataclass
    class Lost:
        what: Missing  # type: ignore[name-defined]  # noqa: F821  # the point

    with pytest.raises(UnsupportedTypeError, match="Lost: its annotations cannot be read: name 'M"):
        SchemaWriter().write(Lost)


@pytest.mark.row("STRU-21")
def test_a_class_in_a_function_may_refer_to_itself() -> None:
    @dataclasses.dataclass
    class Tree:
        kids: list[Tree] = dataclasses.field(default_factory=list)

    assert shape_of(Tree).read({"kids": [{}, {"kids": []}]}) == Tree([Tree(), Tree()])


@pytest.mark.row("STRU-21")
def test_named_types_may_refer_to_themselves() -> None:
    alias = pytest.importorskip("typing_extensions").TypeAliasType
    pair = alias("Twins", tuple[T, T], type_params=(T,))
    assert shape_of(pair[int]).read([1, 2]) == (1, 2)
    assert SchemaWriter().write(pair[int]) == {"$ref": "#/$defs/Twins_int"}
    many = alias("Many", list[int])
    with pytest.raises(MisfitError, match=r"expected Many \| bool, got object"):
        shape_of(many | bool).read({})
    assert Target[Any](many).is_list
    module = types.ModuleType("trees")
    sys.modules["trees"] = module
    source = """
import dataclasses
from typing_extensions import TypeAliasType
@dataclasses.dataclass
class Leaf:
    tree: "Tree"
Tree = TypeAliasType("Tree", dict[str, int | Leaf])
"""
    try:
        exec(source, vars(module))
        tree = module.Tree
        assert shape_of(tree).read({"a": {"tree": {"b": 1}}}) == {"a": module.Leaf({"b": 1})}
        assert Target[Any](tree).schema["$defs"].keys() == {"Leaf", "Tree"}
    finally:
        del sys.modules["trees"]


@pytest.mark.row("STRU-18")
def test_facts_beside_types_are_told() -> None:
    meta = Meta(title="t", description="d", examples=[1], extra_json_schema={"x-a": 1}, ge=1)
    assert SchemaWriter().write(Annotated[int, meta]) == {
        "type": "integer",
        "minimum": 1,
        "title": "t",
        "description": "d",
        "examples": [1],
        "x-a": 1,
    }
    twice = Annotated[Annotated[int, "inner", re.compile("x")], "outer"]
    assert SchemaWriter().write(twice) == {"type": "integer", "description": "outer"}


@pytest.mark.row("STRU-18", "STRU-19")
@pytest.mark.parametrize("value", [NAN, INFINITE, [1, -INFINITE]])
def test_a_default_that_json_does_not_have_is_not_told(value: Any) -> None:
    far = attrs.make_class("Far", {"far": attrs.field(default=value, type=Any)})
    assert Target[Any](far).schema["properties"]["far"] == {}
    assert Target[Any](far).schema["required"] == []


@pytest.mark.row("STRU-18")
def test_limits_of_annotated_types_count() -> None:
    limits = pytest.importorskip("annotated_types")
    assert SchemaWriter().write(Annotated[int, limits.Gt(1), limits.Le(5)]) == {
        "type": "integer", "exclusiveMinimum": 1, "maximum": 5,
    }  # fmt: skip
    assert SchemaWriter().write(Annotated[list[int], limits.Len(1, 2)]) == {
        "type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2,
    }  # fmt: skip


@pytest.mark.row("STRU-18")
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (dict[str, int], None),
        (dict[int, int], {"pattern": "^-?[0-9]+$"}),
        (dict[Colour, int], {"enum": ["red", "2"]}),
        (dict[Level, int], {"enum": ["1"]}),
        (dict[Literal["a", "b"], int], {"enum": ["a", "b"]}),
        (dict[dt.date, int], {"format": "date"}),
        (dict[Any, int], None),
        (dict[float, int], None),
    ],
)
def test_names_of_members_are_described(kind: Any, names: Any) -> None:
    assert SchemaWriter().write(kind).get("propertyNames") == names


@pytest.mark.row("STRU-18", "STRU-19")
def test_classes_are_described_with_their_wire_names() -> None:
    schema = Target[Any](Checked).schema
    assert schema["properties"].keys() == {"size", "names", "other"}
    assert schema["properties"]["names"]["default"] == []
    assert (schema["required"], "default" in schema["properties"]["other"]) == (["size"], False)
    assert Target[Any](Long).schema["properties"].keys() == {"name", "size"}
    assert Target[Any](Loose).schema["required"] == ["a", "c"]
    assert Target[Any](Old).schema == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["old"]},
            "firstName": {"type": "string"},
            "size": {"type": "integer"},
        },
        "required": ["type", "firstName"],
        "additionalProperties": False,
    }
    assert Target[Any](Place).schema["prefixItems"][1] == {
        "title": "y", "type": "integer", "default": 0,
    }  # fmt: skip
    described = Target[Any](Annotated[Colour, Meta(description="mine")])
    assert described.schema == {"description": "mine", "enum": ["red", 2]}
    assert Target[Any](Colour).description == "A colour."


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Box[int], "Box[int]"),
        (dict[str, list[Short]], "dict[str, list[Short]]"),
        (Short | None, "Short | None"),
        (Optional[int], "int | None"),  # noqa: UP045 -- the point
        (Literal["a"], "Literal['a']"),
        (Annotated[Short, "x"], "Short"),
        (Any, "Any"),
    ],
)
def test_types_have_names(kind: Any, name: str) -> None:
    assert name_of(kind) == name


def test_a_docstring_that_a_decorator_wrote_says_nothing() -> None:
    assert docstring_of(Short) == ""
    assert docstring_of(Box[int]) == ""
