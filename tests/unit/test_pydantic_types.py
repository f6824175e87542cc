"""Pydantic's models among the other types: their schema, their values, their problems."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Annotated, Any, Literal

import pytest

from beluga_llm import ConfigError, structured
from beluga_llm._structured.target import Target
from beluga_llm._type_schema import SchemaWriter, UnsupportedTypeError
from beluga_llm._types.build import shape_of
from beluga_llm._types.from_strict import FromStrict
from beluga_llm._types.shape import MisfitError
from beluga_llm._types.strict import strict_schema
from beluga_llm.testing import MockChatModel
from beluga_llm.testing._schema_check import is_valid

pydantic = pytest.importorskip("pydantic")


class Toy(pydantic.BaseModel):
    name: str
    title: str = pydantic.Field(default="x", title="What it says", description="A title.")


class Cat(pydantic.BaseModel):
    """A cat."""

    kind: Literal["cat"]
    toys: list[Toy] = []
    weights: dict[str, float] = pydantic.Field(default_factory=dict)
    mood: Literal["good", "bad"] = "good"


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    friend: Cat | Dog | None = None
    ball: Toy | None = None
    size: int = pydantic.Field(default=1, ge=1)


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind", description="A pet.")]


@dataclasses.dataclass
class Home:
    pet: Pet
    toys: list[Toy]


@dataclasses.dataclass
class Short:
    name: str


class Bear(pydantic.BaseModel):
    name: str
    size: int = 0


class Rabbit(pydantic.BaseModel):
    kind: Literal["rabbit"] = "rabbit"
    name: str = ""


class Hare(pydantic.BaseModel):
    kind: Literal["hare", "bunny"] = "hare"
    name: str = ""


class Counts(pydantic.RootModel[dict[str, int]]):
    pass


@pydantic.dataclasses.dataclass
class Point:
    x: int


ADAPTER = pydantic.TypeAdapter(list[Dog])


@pytest.mark.row("STRU-03", "STRU-18", "STRU-21")
def test_models_are_described() -> None:
    schema = Target[Any](Cat).schema
    assert schema == {
        "description": "A cat.",
        "type": "object",
        "properties": {
            "kind": {"type": "string", "const": "cat"},
            "toys": {"type": "array", "items": {"$ref": "#/$defs/Toy"}, "default": []},
            "weights": {"type": "object", "additionalProperties": {"type": "number"}},
            "mood": {"type": "string", "enum": ["good", "bad"], "default": "good"},
        },
        "required": ["kind"],
        "$defs": {
            "Toy": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "title": {
                        "type": "string",
                        "title": "What it says",
                        "description": "A title.",
                        "default": "x",
                    },
                },
                "required": ["name"],
            }
        },
    }
    assert Target[Any](Dog).schema["$defs"].keys() == {"Cat", "Dog", "Toy"}
    home = Target[Any](Home).schema
    assert home["$defs"].keys() == {"Cat", "Dog", "Toy"}
    assert home["properties"]["pet"]["description"] == "A pet."


@pytest.mark.row("STRU-21")
def test_names_that_are_taken_are_changed() -> None:
    other = type("Toy", (pydantic.BaseModel,), {"__annotations__": {"other": "Cat"}})
    other.model_rebuild(_types_namespace={"Cat": Cat})
    writer = SchemaWriter()
    assert writer.write(Toy) == writer.write(Toy) == {"$ref": "#/$defs/Toy"}
    assert writer.write(other) == {"$ref": "#/$defs/Toy_2"}
    assert writer.definitions["Toy_2"]["properties"]["other"] == {"$ref": "#/$defs/Cat"}
    assert writer.definitions["Cat"]["properties"]["toys"]["items"] == {"$ref": "#/$defs/Toy"}


@pytest.mark.row("STRU-03", "STRU-06")
@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Toy, {"name": "a"}, Toy(name="a")),
        (ADAPTER, [{"kind": "dog"}], [Dog(kind="dog")]),
        (list[Toy], [{"name": "a"}], [Toy(name="a")]),
        (Toy | int, 3, 3),
        (Toy | None, {"name": "a"}, Toy(name="a")),
        (Toy | Cat, {"kind": "cat"}, Cat(kind="cat")),
        (Toy | Bear, {"name": "a", "size": 2}, Bear(name="a", size=2)),
        (Toy | Bear, {"name": "a"}, Toy(name="a")),
        (Short | Bear | None, {"name": "a", "size": 2}, Bear(name="a", size=2)),
        (Bear | Short, {"name": "a", "size": 2}, Bear(name="a", size=2)),
        (list[Rabbit | Hare], [{"kind": "hare", "name": "a"}], [Hare(name="a")]),
        (Rabbit | Hare, {"kind": "hare"}, Hare()),
        (Counts | Toy, {"name": "a"}, Toy(name="a")),
        (Counts | Toy, {"a": 1}, Counts({"a": 1})),
        (Point, {"x": 1}, Point(1)),
        (Annotated[str, pydantic.Field(min_length=1)], "a", "a"),
        (dict[Annotated[str, pydantic.Field(min_length=1)], int], {"a": 1}, {"a": 1}),
        (Home, {"pet": {"kind": "dog"}, "toys": []}, Home(Dog(kind="dog"), [])),
    ],
)
def test_values_are_read(kind: Any, data: Any, value: Any) -> None:
    assert shape_of(kind).read(data) == value


@pytest.mark.row("STRU-07")
@pytest.mark.parametrize(
    ("kind", "data", "problem"),
    [
        (Toy, {}, "$.name: field required"),
        (list[Cat], [{"kind": "cat", "toys": [{"name": 3}]}], "$[0].toys[0].name: input should be"),
        (
            Cat,
            {"kind": "cat", "weights": {"a b": "x"}},
            '$.weights["a b"]: input should be a valid',
        ),
        (Annotated[int, pydantic.Field(ge=1)] | None, 0, "$: input should be greater than"),
        (Annotated[int, pydantic.Field(ge=1)] | list[int], {}, "$: expected another value | array"),
        (Toy | None, [], "$: input should be an object"),
        (Toy | Dog | int, "a", "$: expected object | int, got str"),
        (ADAPTER, {}, "$: input should be a valid array"),
    ],
)
def test_problems_are_told_with_paths(kind: Any, data: Any, problem: str) -> None:
    with pytest.raises(MisfitError) as caught:
        shape_of(kind).read(data)
    assert str(caught.value).startswith(problem)


@pytest.mark.row("STRU-03")
def test_what_pydantic_refuses_is_named() -> None:
    with pytest.raises(UnsupportedTypeError, match="pydantic: "):
        SchemaWriter().write(Annotated[range, pydantic.Field(description="x")])
    with pytest.raises(
        ConfigError, match=r"Lost cannot be asked of a model: pydantic: .*not fully"
    ):
        structured(MockChatModel([]), _lost())


def _lost() -> Any:
    class Lost(pydantic.BaseModel):
        what: Missing  # type: ignore[name-defined]  # noqa: F821  # the point

    return Lost


@pytest.mark.row("STRU-20")
def test_strict_form() -> None:
    schema = Target[Any](Home).schema
    strict = strict_schema(schema)
    sent = {
        "pet": {
            "kind": "dog",
            "friend": {
                "kind": "cat",
                "toys": None,
                "weights": [{"key": "a", "value": 1}],
                "mood": None,
            },
            "ball": None,
            "size": None,
        },
        "toys": [{"name": "a", "title": None}],
    }
    assert is_valid(sent, strict)
    cat = Cat(kind="cat", weights={"a": 1})
    home = Home(Dog(kind="dog", friend=cat), [Toy(name="a")])
    assert shape_of(Home).read(FromStrict(schema)(sent)) == home


@pytest.mark.row("STRU-01", "STRU-15")
async def test_a_structured_model_of_models() -> None:
    model = MockChatModel(['{"value": [{"kind": "dog"}]}'] * 3)
    asked = structured(model, ADAPTER, name="dogs")
    assert await asked.generate("Invent dogs") == [Dog(kind="dog")]
    stream = structured(model, list[Dog]).stream("Invent dogs")
    assert [dog async for dog in stream.items()] == [Dog(kind="dog")]
    with pytest.raises(TypeError, match="needs a list of one type"):
        asked.stream("Invent dogs").items()


@pytest.mark.row("PAIN-01")
def test_pydantic_is_not_imported_for_other_types() -> None:
    program = """
import dataclasses, sys
import beluga_llm as llm
from beluga_llm.testing import MockChatModel
@dataclasses.dataclass
class Person:
    name: str
llm.structured(MockChatModel([]), Person)
assert "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
