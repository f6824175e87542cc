"""Functions and types as JSON Schema, as a model reads them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import attrs
import msgspec
import pytest
from msgspec import Meta

from beluga_llm._docstrings import read_docstring
from beluga_llm._errors import ConfigError
from beluga_llm._schema import describe_function
from beluga_llm._tool_types import ToolDefinition
from beluga_llm._type_schema import SchemaWriter

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    AMBER = "amber"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Place:
    """Somewhere.

    Attributes:
        name: what people call it.
        near: what is around it.
    """

    name: str
    title: str = "a title"
    near: list[Place] = attrs.field(factory=list)


@dataclasses.dataclass
class Box(Generic[T]):
    value: T
    made: dt.datetime | None = None


class Span(NamedTuple):
    low: int
    high: int = 9


class Filter(TypedDict):
    """What to look for."""

    size: Annotated[int, Meta(ge=1, description="in bytes")]
    colour: NotRequired[Colour]


class Cat(msgspec.Struct, tag="cat", forbid_unknown_fields=True):
    lives: int = 9
    mood: Literal["purr", "hiss"] | None = None


class Dog(msgspec.Struct, tag="dog"):
    name: str = msgspec.field(name="dogName")


@dataclasses.dataclass
class Wrong:
    fine: int
    bad: complex


def schema_of(kind: Any) -> dict[str, Any]:
    writer = SchemaWriter()
    schema = writer.write(kind)
    return {**schema, "$defs": writer.definitions} if writer.definitions else schema


NULL = {"type": "null"}
NO_JSON = object()


@pytest.mark.row("TOOL-08", "STRU-18")
@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Any, {}),
        (None, NULL),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (dt.date, {"type": "string", "format": "date"}),
        (dt.time, {"type": "string", "format": "time"}),
        (dt.timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (
            decimal.Decimal,
            {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
        ),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
        ),
        (dict, {"type": "object"}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Mapping[str, Any], {"type": "object"}),
        (
            dict[Annotated[str, Meta(pattern="^x")], int],
            {
                "type": "object",
                "propertyNames": {"pattern": "^x"},
                "additionalProperties": {"type": "integer"},
            },
        ),
        (int | None, {"anyOf": [{"type": "integer"}, NULL]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, NULL]}),  # noqa: UP045 -- people do
        (None | int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}, NULL]}),
        (Literal["b", "a"], {"type": "string", "enum": ["b", "a"]}),
        (
            list[Literal["b", "a"]],
            {"type": "array", "items": {"type": "string", "enum": ["b", "a"]}},
        ),
        (Literal["b", 1], {"enum": ["b", 1]}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (
            Annotated[int, Meta(ge=1, lt=9)],
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
        ),
        (
            Annotated[float, Meta(gt=0, le=1, multiple_of=0.5)],
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "multipleOf": 0.5},
        ),
        (
            Annotated[
                str,
                Meta(min_length=1, max_length=2, pattern="a", description="d", examples=["a"]),
            ],
            {
                "type": "string",
                "minLength": 1,
                "maxLength": 2,
                "pattern": "a",
                "description": "d",
                "examples": ["a"],
            },
        ),
        (
            Annotated[list[int], Meta(min_length=1, max_length=3)],
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        ),
        (
            Annotated[dict[str, int], Meta(max_length=3)],
            {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
        ),
    ],
)  # fmt: skip
def test_plain_types(kind: Any, schema: dict[str, Any]) -> None:
    assert schema_of(kind) == schema


@pytest.mark.row("STRU-18", "STRU-19", "STRU-21")
@pytest.mark.parametrize(
    ("kind", "name", "definitions"),
    [
        (Colour, "Colour", {"Colour": {"type": "string", "enum": ["red", "blue", "amber"]}}),
        (Level, "Level", {"Level": {"type": "integer", "enum": [1, 2]}}),
        (
            Place,
            "Place",
            {
                "Place": {
                    "description": "Somewhere.",
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "description": "what people call it."},
                        "title": {"type": "string", "default": "a title"},
                        "near": {
                            "type": "array",
                            "items": {"$ref": "#/$defs/Place"},
                            "default": [],
                            "description": "what is around it.",
                        },
                    },
                    "required": ["name"],
                }
            },
        ),
        (
            Box[int],
            "Box_int",
            {
                "Box_int": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "integer"},
                        "made": {
                            "anyOf": [{"type": "string", "format": "date-time"}, NULL],
                            "default": None,
                        },
                    },
                    "required": ["value"],
                }
            },
        ),
        (
            Span,
            "Span",
            {
                "Span": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 2,
                    "prefixItems": [
                        {"title": "low", "type": "integer"},
                        {"title": "high", "type": "integer", "default": 9},
                    ],
                }
            },
        ),
        (
            Filter,
            "Filter",
            {
                "Filter": {
                    "description": "What to look for.",
                    "type": "object",
                    "properties": {
                        "size": {"type": "integer", "minimum": 1, "description": "in bytes"},
                        "colour": {"$ref": "#/$defs/Colour"},
                    },
                    "required": ["size"],
                },
                "Colour": {"type": "string", "enum": ["red", "blue", "amber"]},
            },
        ),
    ],
)
def test_classes_are_definitions(kind: Any, name: str, definitions: dict[str, Any]) -> None:
    assert schema_of(kind) == {"$ref": f"#/$defs/{name}", "$defs": definitions}


def test_tagged_structs_can_be_told_apart() -> None:
    assert schema_of(Cat | Dog) == {
        "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "$defs": {
            "Cat": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["cat"]},
                    "lives": {"type": "integer", "default": 9},
                    "mood": {
                        "anyOf": [{"type": "string", "enum": ["purr", "hiss"]}, NULL],
                        "default": None,
                    },
                },
                "required": ["type"],
                "additionalProperties": False,
            },
            "Dog": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["dog"]},
                    "dogName": {"type": "string"},
                },
                "required": ["type", "dogName"],
            },
        },
    }


def test_classes_of_one_name_stay_two() -> None:
    def made() -> type:
        @dataclasses.dataclass
        class Twin:
            a: int

        return Twin

    writer = SchemaWriter()
    assert writer.write(made()) == {"$ref": "#/$defs/Twin"}
    assert writer.write(made()) == {"$ref": "#/$defs/Twin_2"}
    assert sorted(writer.definitions) == ["Twin", "Twin_2"]


async def search(
    query: Annotated[str, Meta(description="What to find.", min_length=1)],
    colour: Colour,
    place: Place | None = None,
    limit: Annotated[int, "How many."] = 10,
    order: Literal["up", "down"] = "up",
    since: dt.date = dt.date(2024, 1, 2),
    *,
    fast: bool = False,
    odd: int = None,  # type: ignore[assignment]  # noqa: RUF013  # as people write it
    anything=None,
) -> list[str]:
    """Searches the index.

    A second paragraph: with details.

    Args:
        query: not this, Meta wins.
        colour (Colour): The colour, which may
            go on here.
        order: Which end first.

    Returns:
        The results.
    """


@pytest.mark.row("SCHE-18", "TOOL-08", "TOOL-22")
def test_a_function_is_described() -> None:
    tool = ToolDefinition.from_function(search)
    assert tool.name == "search"
    assert tool.description == "Searches the index.\n\nA second paragraph: with details."
    schema = json.loads(json.dumps(tool.input_schema))
    definitions = schema.pop("$defs")
    assert schema == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "description": "What to find."},
            "colour": {
                "$ref": "#/$defs/Colour",
                "description": "The colour, which may go on here.",
            },
            "place": {"anyOf": [{"$ref": "#/$defs/Place"}, NULL], "default": None},
            "limit": {"type": "integer", "description": "How many.", "default": 10},
            "order": {
                "type": "string",
                "enum": ["up", "down"],
                "description": "Which end first.",
                "default": "up",
            },
            "since": {"type": "string", "format": "date", "default": "2024-01-02"},
            "fast": {"type": "boolean", "default": False},
            "odd": {"anyOf": [{"type": "integer"}, NULL], "default": None},
            "anything": {"default": None},
        },
        "required": ["query", "colour"],
        "additionalProperties": False,
    }
    assert sorted(definitions) == ["Colour", "Place"]


class Service:
    """A service."""

    def find(self, key: int) -> None:
        """Finds."""

    @classmethod
    def make(cls, key: int) -> None:
        """Makes."""

    @staticmethod
    def check(key: int) -> None:
        """Checks."""

    def __call__(self, key: int) -> None:
        """Calls."""


class Job:
    """A job."""

    def __init__(self, key: int) -> None: ...


KEY = {
    "type": "object",
    "properties": {"key": {"type": "integer"}},
    "required": ["key"],
    "additionalProperties": False,
}


@pytest.mark.row("TOOL-08")
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Service().find, "find"),
        (Service.find, "find"),
        (Service.make, "make"),
        (Service.check, "check"),
        (Service(), "Service"),
        (Job, "Job"),
    ],
)
def test_methods_have_no_self(function: Callable[..., Any], name: str) -> None:
    found, _, schema = describe_function(function)
    assert (found, schema) == (name, KEY)


def test_what_a_partial_fixes_is_left_out() -> None:
    def area(width: int, height: int, unit: str = "m") -> None:
        """An area."""

    fixed = functools.partial(functools.partial(area, 3), unit="cm")
    name, description, schema = describe_function(fixed)
    assert (name, description) == ("area", "An area.")
    assert schema["properties"] == {"height": {"type": "integer"}}


def test_a_wrapped_function_is_the_one_inside() -> None:
    @functools.wraps(search)
    def wrapper(*args: object, **kwargs: object) -> object:
        return search(*args, **kwargs)  # type: ignore[arg-type]  # a decorator as people write it

    assert describe_function(wrapper) == describe_function(search)


def test_a_function_without_parameters() -> None:
    def now() -> str:
        return ""

    assert describe_function(now) == (
        "now",
        "",
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    )


def test_a_default_that_is_no_json_is_left_out() -> None:
    def f(x: Any = NO_JSON) -> None: ...

    _, _, schema = describe_function(f)
    assert schema["properties"]["x"] == {}
    assert schema["required"] == []


def _complex(x: complex) -> None: ...
def _nested(x: list[Wrong]) -> None: ...
def _args(x: int, *rest: int) -> None: ...
def _kwargs(**rest: int) -> None: ...
def _service(x: Service | int) -> None: ...
def _missing(x: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the point


@pytest.mark.row("TOOL-08", "STRU-03")
@pytest.mark.parametrize(
    ("function", "text"),
    [
        (
            _complex,
            "'_complex': parameter 'x': complex cannot be described to a model: type complex has",
        ),
        (_nested, "type complex has no JSON Schema (field Wrong.bad)"),
        (_args, "'_args': a tool cannot take *rest; name its parameters"),
        (_kwargs, "'_kwargs': a tool cannot take **rest; name its parameters"),
        (_service, "'_service': parameter 'x': "),
        (_missing, "'_missing': its annotations cannot be read: name 'Missing' is not defined"),
        (lambda x: x, "a lambda has no name: define the tool with def"),
        (3, "a tool is made of a function, not of int"),
        (int, "'int': its parameters cannot be read"),
        (Wrong, "'Wrong' is no function: make a tool that takes one, or ask for one by `struct"),
    ],
)
def test_what_cannot_be_described_is_named(function: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        describe_function(function)
    assert text in caught.value.message


@pytest.mark.row("TOOL-08")
def test_classes_of_pydantic_are_no_functions() -> None:
    """Their signature does not tell their types."""
    pydantic = pytest.importorskip("pydantic")
    with pytest.raises(ConfigError, match="'Buyer' is no function"):
        describe_function(pydantic.create_model("Buyer", name=(str, ...)))


@pytest.mark.row("TOOL-08")
def test_an_object_that_is_called_says_what_its_class_and_its_method_say() -> None:
    class Finder:
        """Finds."""

        def __call__(self, key: int) -> None:
            """Is called.

            Args:
                key: what is found.
            """

    class Silent(Finder):
        __doc__ = None

    assert describe_function(Finder())[1] == "Finds."
    _, description, schema = describe_function(Silent())
    assert description == "Is called."
    assert schema["properties"]["key"]["description"] == "what is found."


@pytest.mark.row("TOOL-08")
def test_sphinx_docstrings_are_read() -> None:
    text = """Says.

        More of it.

        :param a: one
            and more
        :type a: int
        :param int b: two: or
          three
        :keyword \\*c:
        :raises ValueError: never
            at all
        :returns: nothing of ours

        The end. :param d: no field
        """
    assert read_docstring(text) == (
        "Says.\n\nMore of it.\n\nThe end. :param d: no field",
        {"a": "one and more", "b": "two: or three"},
    )


def test_what_a_docstring_says() -> None:
    text = """One line.

        More of it:
        still more.

        Arguments:
            a: one
            *b (int): two

                and on
            c:
                three
            not an entry
        Returns:
            x: nothing of ours
        """
    assert read_docstring(text) == (
        "One line.\n\nMore of it:\nstill more.",
        {"a": "one", "b": "two and on", "c": "three"},
    )
    assert read_docstring("") == ("", {})
