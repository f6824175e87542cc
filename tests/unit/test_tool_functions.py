"""`@tool`: functions that a model can call."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime as dt
import enum
import functools
import json
import threading
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import attrs
import msgspec
import pytest
from msgspec import Meta

import beluga_llm as llm
from beluga_llm._docstrings import read_docstring
from beluga_llm.testing import MockChatModel

if TYPE_CHECKING:
    from decimal import Decimal


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


@attrs.frozen
class Place:
    """Somewhere.

    Attributes:
        city: in English.
        country: its code, of two letters.
    """

    city: str
    country: Annotated[str, Meta(min_length=2, max_length=2)] = "PT"


@dataclasses.dataclass
class Span:
    begin: dt.date
    days: int = 1


class Filter(TypedDict):
    words: list[str]


class Page(msgspec.Struct):
    number: int
    size: int = 10


@llm.tool
def forecast(
    place: Place,
    span: Span,
    unit: Unit = Unit.CELSIUS,
    detail: Literal["low", "high"] = "low",
    wind: bool | None = None,
    page: Page | None = None,
    only: Filter | None = None,
    limit: Annotated[int, Meta(ge=1, le=100, description="How many lines.")] = 10,
) -> Decimal:
    """The weather to come.

    Args:
        place: where.
        span: when.
        unit: of temperatures.
    """
    return (place, span, unit, detail, wind, page, only, limit)  # type: ignore[return-value]  # the test looks


NULL = {"type": "null"}


@pytest.mark.row("TOOL-08", "STRU-18")
def test_the_schema_is_as_an_expert_would_write_it():
    assert forecast.definition.name == "forecast"
    assert forecast.definition.description == "The weather to come."
    assert json.loads(json.dumps(forecast.definition.input_schema)) == {
        "type": "object",
        "properties": {
            "place": {"$ref": "#/$defs/Place", "description": "where."},
            "span": {"$ref": "#/$defs/Span", "description": "when."},
            "unit": {
                "$ref": "#/$defs/Unit",
                "description": "of temperatures.",
                "default": "C",
            },
            "detail": {"type": "string", "enum": ["low", "high"], "default": "low"},
            "wind": {"anyOf": [{"type": "boolean"}, NULL], "default": None},
            "page": {"anyOf": [{"$ref": "#/$defs/Page"}, NULL], "default": None},
            "only": {"anyOf": [{"$ref": "#/$defs/Filter"}, NULL], "default": None},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "description": "How many lines.",
                "default": 10,
            },
        },
        "required": ["place", "span"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "description": "Somewhere.",
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "in English."},
                    "country": {
                        "type": "string",
                        "minLength": 2,
                        "maxLength": 2,
                        "default": "PT",
                        "description": "its code, of two letters.",
                    },
                },
                "required": ["city"],
            },
            "Span": {
                "type": "object",
                "properties": {
                    "begin": {"type": "string", "format": "date"},
                    "days": {"type": "integer", "default": 1},
                },
                "required": ["begin"],
            },
            "Unit": {"type": "string", "enum": ["C", "F"]},
            "Page": {
                "type": "object",
                "properties": {
                    "number": {"type": "integer"},
                    "size": {"type": "integer", "default": 10},
                },
                "required": ["number"],
            },
            "Filter": {
                "type": "object",
                "properties": {"words": {"type": "array", "items": {"type": "string"}}},
                "required": ["words"],
            },
        },
    }


@pytest.mark.row("TOOL-08")
async def test_arguments_are_converted_to_what_the_function_takes():
    found = await forecast.run(
        {
            "place": {"city": "Lisbon"},
            "span": {"begin": "2024-05-01", "days": 3.0},
            "unit": "F",
            "page": {"number": 2},
            "only": {"words": ["rain"]},
        }
    )
    assert found == (
        Place("Lisbon", "PT"),
        Span(dt.date(2024, 5, 1), 3),
        Unit.FAHRENHEIT,
        "low",
        None,
        Page(2, 10),
        {"words": ["rain"]},
        10,
    )


@pytest.mark.row("TOOL-08")
async def test_wrong_arguments_are_named_with_their_paths():
    with pytest.raises(llm.ToolArgumentsError) as caught:
        await forecast.run(
            {"place": {"city": 1, "country": "P"}, "unit": "K", "limit": 0, "colour": "red"}
        )
    message = caught.value.message
    assert message.startswith("wrong arguments for 'forecast': ")
    for problem in (
        "$.place.city: expected str, got int",
        "$.place.country: expected str of length >= 2",
        "$.span: missing",
        "$.unit: expected one of 'C', 'F', got 'K'",
        "$.limit: expected int >= 1",
        "$.colour: unknown (known: place, span, unit, detail, wind, page, only, limit)",
    ):
        assert problem in message
    assert json.loads(caught.value.raw)["limit"] == 0


@pytest.mark.row("TOOL-08")
async def test_a_tool_without_parameters_takes_none():
    @llm.tool
    def now() -> str:
        return "noon"

    assert await now.run({}) == "noon"
    with pytest.raises(llm.ToolArgumentsError, match=r"\$\.zone: unknown \(known: none\)"):
        await now.run({"zone": "UTC"})


async def test_null_stands_for_a_default():
    """Strict schemas require everything, and have null for what is not given."""

    @llm.tool
    def show(text: str, size: int = 3, colour: str | None = "red") -> Any:
        return text, size, colour

    assert await show.run({"text": "a", "size": None, "colour": None}) == ("a", 3, None)
    with pytest.raises(llm.ToolArgumentsError, match=r"\$\.text: expected str, got null"):
        await show.run({"text": None})


@pytest.mark.row("TOOL-08")
async def test_numpy_docstrings_are_read():
    @llm.tool
    def area(width: float, height: float, unit: str = "m") -> float:
        """The area of a rectangle.

        Parameters
        ----------
        width, height : float
            Its sides,
            in units.
        unit : str, optional
            What they are measured in.

        Returns
        -------
        float
            The area.
        """
        return width * height

    definition = area.definition
    assert definition.description == "The area of a rectangle."
    assert {
        key: value.get("description")
        for key, value in definition.input_schema["properties"].items()
    } == {
        "width": "Its sides, in units.",
        "height": "Its sides, in units.",
        "unit": "What they are measured in.",
    }
    assert await area.run({"width": 2, "height": 1.5}) == 3.0


@pytest.mark.row("TOOL-08")
async def test_pydantic_models_are_parameters():
    pydantic = pytest.importorskip("pydantic")
    buyer = pydantic.create_model(
        "Buyer", name=(str, ...), age=(int, pydantic.Field(ge=18, description="in years"))
    )

    def sell(buyer: Any, count: int = 1) -> Any:
        return buyer, count

    sell.__annotations__["buyer"] = buyer
    tool = llm.tool(sell)
    schema = tool.definition.input_schema["$defs"]["Buyer"]
    assert schema["properties"]["age"]["minimum"] == 18
    assert schema["properties"]["age"]["description"] == "in years"
    assert await tool.run({"buyer": {"name": "Ann", "age": 20}}) == (buyer(name="Ann", age=20), 1)
    with pytest.raises(llm.ToolArgumentsError, match=r"\$\.buyer\.age: input should be greater"):
        await tool.run({"buyer": {"name": "Ann", "age": 2}})


def test_what_is_said_of_an_optional_parameter_stands_beside_it():
    def f(
        a: Annotated[int | None, "one"] = None,
        b: Annotated[int, Meta(ge=1, description="two")] = None,  # type: ignore[assignment]  # noqa: RUF013  # as people write it
        c: Annotated[str, "three"] | None = None,
        d: Annotated[str, Meta(description="four")] | None = None,
        e: Annotated[Any, "five"] = None,
    ) -> None: ...

    properties = llm.tool(f).definition.input_schema["properties"]
    assert [properties[key]["description"] for key in "abcde"] == [
        "one", "two", "three", "four", "five",
    ]  # fmt: skip
    assert properties["b"]["anyOf"] == [{"type": "integer", "minimum": 1}, NULL]


@pytest.mark.row("TOOL-08")
def test_docstrings_of_both_styles():
    google = """Says.

        Args:
            a (int): one
                and more.
            b: two
        """
    numpy = """
        Says.

        Other Parameters
        ----------------
        a : int
            one
            and more.
        *b
            two
        no entry
            of this name

        Notes
        -----
        c : int
            not told
        """
    expected = ("Says.", {"a": "one and more.", "b": "two"})
    assert read_docstring(google) == expected
    assert read_docstring(numpy) == expected
    assert read_docstring("A table:\n\nname\n----\nrow") == (
        "A table:\n\nname\n----\nrow",
        {},
    )


# --- the decorator -------------------------------------------------------------------------------


def test_it_stays_the_function():
    @llm.tool
    def add(a: int, b: int = 1) -> int:
        """Adds."""
        return a + b

    assert add(1) == 2
    assert add(1, b=4) == 5
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert repr(add) == "<tool add>"


async def test_an_async_function_stays_one():
    @llm.tool
    async def double(n: int) -> int:
        return n * 2

    assert await double(4) == 8
    assert await double.run({"n": 4}) == 8


def test_name_description_and_strict_can_be_given():
    def add(a: int) -> int:
        """Adds."""
        return a

    made = llm.tool(name="sum", description="Sums.", strict=True)(add)
    assert (made.definition.name, made.definition.description) == ("sum", "Sums.")
    assert made.definition.strict is True
    assert made(3) == 3
    assert repr(made) == "<tool sum>"
    assert llm.tool(add).definition.strict is None
    assert llm.tool(add, strict=False).definition.strict is False
    again = llm.tool(made, name="total")
    assert (again.definition.name, again.definition.description) == ("total", "Sums.")


class Shop:
    """A shop."""

    def __init__(self, stock: int) -> None:
        self.stock = stock

    @llm.tool
    def sell(self, count: int) -> int:
        """Sells."""
        self.stock -= count
        return self.stock

    @llm.tool(name="open_shop")
    @classmethod
    def open(cls, stock: int) -> Shop:
        """Opens."""
        return cls(stock)

    @llm.tool
    @staticmethod
    def price(of: str) -> int:
        """A price."""
        return len(of)

    @classmethod
    @llm.tool
    def close(cls, reason: str) -> str:
        """Closes."""
        return f"{cls.__name__}: {reason}"

    def plain(self, count: int) -> int:
        """Counts."""
        return self.stock + count


@pytest.mark.row("TOOL-08")
async def test_methods_are_tools_of_their_object():
    one, two = Shop(5), Shop(9)
    assert one.sell(1) == 4
    assert await two.sell.run({"count": 2}) == 7
    assert (one.stock, two.stock) == (4, 7)
    assert list(Shop.price.definition.input_schema["properties"]) == ["of"]
    assert await Shop.price.run({"of": "tea"}) == await one.price.run({"of": "tea"}) == 3
    opened = await Shop.open.run({"stock": 2})
    assert (opened.stock, Shop.open.definition.name) == (2, "open_shop")


@attrs.frozen
class Link:
    to: str

    @llm.tool
    def join(self, other: Link) -> Any:
        """Joins."""
        return self, other


async def test_a_class_that_is_not_there_yet_is_looked_up_later():
    """Link is a parameter of its own method."""
    schema = Link.join.definition.input_schema
    assert schema["properties"] == {"other": {"$ref": "#/$defs/Link"}}
    found = await Link("a").join.run({"other": {"to": "b"}})
    assert found == (Link("a"), Link("b"))


def test_what_can_never_be_described_is_said_at_once():
    with pytest.raises(llm.ConfigError, match="parameter 'x': complex cannot be described"):

        @llm.tool
        def bad(x: complex) -> None: ...


def test_annotations_of_results_do_not_matter():
    def f(x: int) -> Missing:  # type: ignore[name-defined]  # noqa: F821  # the point
        return x

    assert llm.tool(f).definition.name == "f"


@pytest.mark.row("TOOL-07")
async def test_classmethods_around_tools_can_be_run():
    tools = llm.ToolSet([Shop.close, Shop(1).plain])
    bound: Any = types.MethodType(vars(Shop)["sell"], Shop(8))  # what Python 3.13 makes of `close`
    assert await llm.ToolSet([bound]).get("sell").run({"count": 3}) == 5
    assert tools.names == ["close", "plain"]
    assert await tools.get("close").run({"reason": "late"}) == "Shop: late"
    assert await tools.get("plain").run({"count": 3}) == 4


async def test_functions_of_every_kind_can_be_run():
    def f(a: int, /, b: int = 2, *, c: int) -> Any:
        return a, b, c

    class Adder:
        """Adds one."""

        def __call__(self, n: int) -> int:
            return n + 1

    class Awaited:
        async def __call__(self, n: int) -> int:
            return n + 2

    async def g(n: int, m: int) -> int:
        return n * m

    def later(n: int) -> Any:
        return g(n, 2)

    assert await llm.tool(f).run({"c": 3, "a": 1}) == (1, 2, 3)
    assert await llm.tool(functools.partial(f, c=5)).run({"a": 1, "b": 0}) == (1, 0, 5)
    assert await llm.tool(Adder()).run({"n": 1}) == 2
    assert await llm.tool(Awaited()).run({"n": 1}) == 3
    assert await llm.tool(functools.partial(g, m=5)).run({"n": 2}) == 10
    assert await llm.tool(later).run({"n": 4}) == 8


# --- threads -------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-08")
async def test_blocking_functions_run_in_a_thread_with_the_callers_context():
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    user.set("ann")

    @llm.tool
    def who() -> Any:
        return user.get(), threading.current_thread()

    name, thread = await who.run({})
    assert name == "ann"
    assert thread is not threading.current_thread()
    assert thread.name == "tool who"


async def test_a_thread_raises_in_its_caller():
    @llm.tool
    def first(things: list[int]) -> int:
        return next(thing for thing in things if thing > 2)

    with pytest.raises(RuntimeError, match="StopIteration"):
        await first.run({"things": []})
    assert await first.run({"things": [3]}) == 3


async def test_a_cancelled_caller_stops_waiting_at_once():
    begun, go_on, ended = asyncio.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @llm.tool
    def slow() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        loop.call_soon_threadsafe(ended.set)

    task = asyncio.create_task(slow.run({}))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await ended.wait()
    while any(thread.name == "tool slow" for thread in threading.enumerate()):
        await asyncio.sleep(0)


def test_a_thread_may_outlive_its_loop():
    go_on = threading.Event()
    threads: list[threading.Thread] = []

    @llm.tool
    def slow() -> None:
        threads.append(threading.current_thread())
        go_on.wait()

    async def leave() -> None:
        task = asyncio.create_task(slow.run({}))
        while not threads:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    go_on.set()
    threads[0].join(5)
    assert not threads[0].is_alive()


# --- sets and models -----------------------------------------------------------------------------


def first(a: int) -> int:
    """One."""
    return a


class Own:
    """A tool that is no function."""

    definition = llm.ToolDefinition("own", "Mine.")

    async def run(self, arguments: Any) -> str:
        return f"own {arguments}"


@pytest.mark.row("TOOL-10")
def test_a_tool_set_is_ordered_and_has_names():
    tools = llm.ToolSet([forecast])
    added = tools.add(first)
    tools.add(Own())
    assert tools.names == ["first", "forecast", "own"]
    assert [tool.definition.name for tool in tools] == ["forecast", "first", "own"]
    assert [one.name for one in tools.definitions] == ["forecast", "first", "own"]
    assert tools.get("first") is added
    assert (len(tools), "own" in tools, "mine" in tools) == (3, True, False)
    assert repr(tools) == "<ToolSet first, forecast, own>"
    tools.remove("forecast")
    assert tools.names == ["first", "own"]


@pytest.mark.row("TOOL-10")
def test_a_tool_set_can_be_a_decorator():
    tools = llm.ToolSet()

    @tools.add
    def here() -> str:
        return "here"

    assert tools.names == ["here"]
    assert isinstance(here, llm.Tool)


@pytest.mark.row("TOOL-10")
def test_names_are_unique_and_known():
    tools = llm.ToolSet([first])
    with pytest.raises(llm.InvalidRequestError, match="two tools are named 'first'"):
        tools.add(first)
    with pytest.raises(llm.ToolNotFoundError, match="unknown tool 'last'; the tools are: first"):
        tools.get("last")
    with pytest.raises(llm.ToolNotFoundError):
        tools.remove("last")
    with pytest.raises(llm.ToolNotFoundError, match="the tools are: there are none"):
        llm.ToolSet().get("last")


@pytest.mark.row("TOOL-07")
@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (llm.ToolDefinition("a"), "tool 'a' is only described: pass a function or a Tool to run"),
        ({"name": "b"}, "tool 'b' is only described"),
        (3, "not a tool: int"),
    ],
)
def test_what_cannot_be_run_is_no_member(thing: Any, text: str):
    with pytest.raises(TypeError, match=text):
        llm.ToolSet([thing])


@pytest.mark.row("TOOL-07")
def test_models_take_tools_of_every_form():
    model = MockChatModel([]).bind_tools(
        [
            forecast,
            first,
            Own(),
            llm.ToolDefinition("four"),
            {"name": "five", "description": "", "input_schema": {"type": "object"}},
            Shop.price,
        ]
    )
    assert [tool.name for tool in model.bound_tools] == [
        "forecast", "first", "own", "four", "five", "price",
    ]  # fmt: skip
    assert model.bound_tools[0] == forecast.definition
    again = model.bind_tools(llm.ToolSet([Own()]), replace=True)
    assert [tool.name for tool in again.bound_tools] == ["own"]
