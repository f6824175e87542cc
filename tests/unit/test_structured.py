"""Values of a type from a model: how it is asked, what its answers mean, and asking again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from msgspec import Meta
from support.flaky import Flaky, answer

import beluga_llm as llm
from beluga_llm.testing import MockChatModel


@dataclasses.dataclass
class Item:
    price: float


@dataclasses.dataclass
class Person:
    """A person.

    Attributes:
        name: what they are called.
    """

    name: str
    age: int = 3
    items: list[Item] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Node:
    value: int
    next: Node | None = None


class Span(NamedTuple):
    low: int
    high: int


ANN = '{"name": "Ann", "age": 7}'
TOOLS = llm.Capabilities(
    json_schema=False, tools=True, tool_choice=frozenset(("auto", "none", "required", "named"))
)
OTHER = llm.ToolDefinition("other", "Another tool.", {"type": "object", "properties": {}})


def mock(*answers: Any, **capabilities: Any) -> MockChatModel:
    return MockChatModel(answers, capabilities=capabilities or None)


def called(arguments: str, name: str = "Person") -> llm.AIMessage:
    call = llm.ToolCall("call_1", name, arguments)
    return llm.AIMessage(tool_calls=[call], finish_reason=llm.FinishReason.STOP)


# --- how it is asked -----------------------------------------------------------------------------


@pytest.mark.row("STRU-05")
@pytest.mark.parametrize(
    ("capabilities", "strategy"),
    [
        ({"json_schema": True}, "native"),
        ({"json_schema": True, "tools": True, "tool_choice": frozenset(("named",))}, "native"),
        ({"json_schema": False, "tools": True, "tool_choice": frozenset(("named",))}, "tool"),
        ({"tools": True, "tool_choice": frozenset(("auto", "required"))}, "prompt"),
        ({"tools": True}, "prompt"),
        ({"tool_choice": frozenset(("named",))}, "prompt"),
        ({"json_object": True}, "prompt"),
        ({}, "prompt"),
    ],
)
def test_auto_takes_the_best_that_is_known(capabilities: dict[str, Any], strategy: str) -> None:
    model = llm.structured(mock(**capabilities), Person)
    assert model.strategy == strategy
    assert llm.structured(mock(**capabilities), Person, strategy="tool").strategy == "tool"


@pytest.mark.row("STRU-05", "REAS-17")
@pytest.mark.parametrize(
    ("keywords", "strategy"),
    [
        ({}, "tool"),
        ({"reasoning_effort": "low"}, "prompt"),
        ({"reasoning_budget": 1024}, "prompt"),
        ({"reasoning_effort": "none", "tools": ()}, "tool"),
        ({"reasoning": llm.ReasoningConfig(include=False)}, "tool"),
        ({"options": llm.GenerateOptions(reasoning=llm.ReasoningConfig("high"))}, "prompt"),
        ({"options": {"reasoning_effort": "high"}, "reasoning_effort": "none"}, "tool"),
    ],
)
async def test_a_model_that_thinks_is_not_forced(keywords: Any, strategy: str) -> None:
    reply = called(ANN) if strategy == "tool" else ANN
    model = llm.DelegatingChatModel(MockChatModel([reply], capabilities=TOOLS))
    assert await llm.structured(model, Person).generate("Who?", **keywords) == Person("Ann", 7)
    assert len(model.calls[0].tools) == (strategy == "tool")
    thinking = model.with_options(reasoning_effort="low")
    assert llm.structured(thinking, Person).strategy == "prompt"
    able = mock(json_schema=True).with_options(reasoning_effort="low")
    assert llm.structured(able, Person).strategy == "native"


@pytest.mark.row("STRU-01", "STRU-05", "STRU-20")
async def test_native_asks_the_provider_for_the_schema() -> None:
    model = mock(ANN, json_schema=True)
    assert await llm.structured(model, Person).generate("Who?") == Person("Ann", 7)
    [request] = model.calls
    wanted = request.options.response_format
    assert (wanted.type, wanted.name, wanted.strict) == ("json_schema", "Person", True)
    assert wanted.description == "A person."
    assert wanted.schema["required"] == ["name", "age", "items"]
    assert request.messages == (llm.HumanMessage("Who?"),)
    assert request.tools == ()


@pytest.mark.row("STRU-16")
async def test_the_tool_strategy_forces_one_tool_alone() -> None:
    model = mock(called(ANN))
    bound = model.bind_tools([OTHER]).with_options(
        response_format=llm.ResponseFormat.json(), tool_choice="other"
    )
    result = await llm.structured(bound, Person, strategy="tool").run("Who?")
    assert result.value == Person("Ann", 7)
    assert result.message.tool_calls[0].arguments == ANN
    [request] = model.calls
    [tool] = request.tools
    assert (tool.name, tool.description, tool.strict) == ("Person", "A person.", None)
    assert tool.input_schema == llm.structured(model, Person).schema
    assert request.options.tool_choice == "Person"
    assert request.options.response_format is None
    assert [tool.name for tool in bound.bound_tools] == ["other"]


@pytest.mark.row("STRU-16")
async def test_the_tool_may_be_named_and_strict() -> None:
    model = mock(called(ANN, "who"))
    asked = llm.structured(model, Person, strategy="tool", name="who", strict=True)
    assert await asked.generate("Who?") == Person("Ann", 7)
    [tool] = model.calls[0].tools
    assert (asked.name, tool.name, tool.strict) == ("who", "who", True)
    assert tool.input_schema["additionalProperties"] is False


@pytest.mark.row("STRU-16")
@pytest.mark.parametrize("reply", [called(ANN, "person"), f"It is {ANN}."])
async def test_a_call_of_another_name_or_none_is_looked_into(reply: Any) -> None:
    model = mock(reply)
    assert await llm.structured(model, Person, strategy="tool").generate("Who?") == Person("Ann", 7)


@pytest.mark.row("STRU-17")
@pytest.mark.parametrize("json_object", [True, None])
async def test_the_prompt_tells_the_schema_after_other_instructions(json_object: Any) -> None:
    model = mock(ANN, json_object=json_object)
    system, question = llm.SystemMessage("Be brief."), llm.HumanMessage("Who?")
    asked = llm.structured(model, Person, strategy="prompt")
    assert await asked.generate([system, question]) == Person("Ann", 7)
    first, told, last = model.calls[0].messages
    assert (first, last) == (system, question)
    assert isinstance(told, llm.SystemMessage)
    assert "answer with JSON only" in told.text
    assert json.loads(told.text.partition("\n")[2]) == asked.schema
    wanted = model.calls[0].options.response_format
    assert wanted == (llm.ResponseFormat.json() if json_object else None)


@pytest.mark.row("STRU-17")
async def test_the_prompt_may_stand_alone() -> None:
    model = mock(ANN)
    await llm.structured(model, Person).generate(llm.SystemMessage("Invent somebody."))
    first, told = model.calls[0].messages
    assert first.text == "Invent somebody."
    assert "JSON Schema" in told.text


@pytest.mark.row("STRU-05")
@pytest.mark.parametrize("strategy", ["native", "prompt"])
@pytest.mark.parametrize(
    ("choices", "choice"),
    [(None, "none"), (frozenset(("auto", "none")), "none"), (frozenset(("auto",)), None)],
)
async def test_bound_tools_stay_but_are_not_called(
    strategy: Any, choices: Any, choice: str | None
) -> None:
    model = mock(ANN, tool_choice=choices).bind_tools([OTHER])
    await llm.structured(model, Person, strategy=strategy).generate("Who?")
    assert [tool.name for tool in model.calls[0].tools] == ["other"]
    assert model.calls[0].options.tool_choice == choice


@pytest.mark.row("STRU-04")
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (list[int], "[1, 2]", [1, 2]),
        (int, "3", 3),
        (str, '"a"', "a"),
        (Span, "[1, 2]", Span(1, 2)),
        (Person | None, "null", None),
        (Literal["a", "b"], '"b"', "b"),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (dict[str, int], '{"value": 1}', {"value": 1}),
    ],
)
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_what_is_no_object_is_wrapped_on_the_wire(
    kind: Any, text: str, value: Any, strategy: Any
) -> None:
    wrapped = f'{{"value": {text}}}'
    replies: list[Any] = [wrapped, text]
    if strategy == "tool":
        replies += [called(wrapped), *([called(text)] if value is not None else [])]
    model = mock(*replies)
    asked = llm.structured(model, kind, strategy=strategy)
    for _ in replies:
        assert await asked.generate("Give it") == value
    request = model.calls[0]
    if strategy == "native":
        schema = request.options.response_format.schema
    if strategy == "tool":
        schema = request.tools[0].input_schema
    if strategy != "prompt":
        assert schema["type"] == "object"
        named = {"value"} if kind is not Span or strategy == "tool" else {"low", "high"}
        assert set(schema.get("properties", named)) == named


@pytest.mark.row("STRU-04")
def test_the_schema_is_fresh() -> None:
    asked = llm.structured(mock(), list[Person])
    schema = asked.schema
    assert schema["items"] == {"$ref": "#/$defs/Person"}
    schema["items"]["$ref"] = "changed"
    schema["$defs"].clear()
    assert asked.schema["items"] == {"$ref": "#/$defs/Person"}
    assert asked.schema["$defs"]["Person"]["required"] == ["name"]
    assert llm.structured(mock(), Person).schema["type"] == "object"


@pytest.mark.row("STRU-21")
async def test_recursive_types() -> None:
    model = mock('{"value": 1, "next": {"value": 2, "next": null}}', json_schema=True)
    asked = llm.structured(model, Node)
    assert await asked.generate("A list") == Node(1, Node(2))
    assert asked.schema["$defs"]["Node"]["properties"]["next"]["anyOf"][0] == {
        "$ref": "#/$defs/Node"
    }


@pytest.mark.row("STRU-21")
async def test_a_provider_that_refuses_references_is_named_with_the_type() -> None:
    refusal = llm.InvalidRequestError("Invalid schema: $ref is not supported", status=400)
    with pytest.raises(llm.ConfigError, match="Node refers to itself") as caught:
        await llm.structured(mock(refusal, json_schema=True), Node).generate("A list")
    assert caught.value.__cause__ is refusal
    with pytest.raises(llm.ConfigError, match="refuses references"):
        await llm.structured(mock(refusal, json_schema=True), Node).stream("A list").result()
    with pytest.raises(llm.ConfigError, match="refuses references"):
        async for _ in llm.structured(mock(refusal, json_schema=True), Node).stream("A list"):
            pass


@pytest.mark.row("STRU-08", "STRU-21")
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (int, llm.InvalidRequestError("$ref is not supported", status=400)),
        (Node, llm.InvalidRequestError("too long", status=400)),
        (Node, llm.InvalidRequestError("at #/$defs/Node/items: odd", status=400)),
        (Node, llm.InvalidRequestError("$ref here, and nothing was sent")),
        (Node, llm.RateLimitError("slow down")),
    ],
)
async def test_errors_of_the_model_pass_through(kind: Any, error: llm.BelugaError) -> None:
    model = mock(error, error, error)
    asked = llm.structured(model, kind)
    for call in (asked.generate("Hi"), asked.stream("Hi").result(), anext(asked.stream("Hi"))):
        with pytest.raises(type(error)) as caught:
            await call
        assert caught.value is error
    assert len(model.calls) == 3


# --- what answers mean ---------------------------------------------------------------------------


@pytest.mark.row("STRU-12")
@pytest.mark.parametrize(
    "text",
    [
        ANN,
        f"  {ANN}\n",
        f"```json\n{ANN}\n```",
        f"Here you are:\n```\n{ANN}\n```\nAnything else?",
        f"```\nno JSON\n``` but {ANN}",
        f"The answer is {ANN}, as you wished.",
        f"<think>{{a thought}} [with] brackets</think>{ANN}",
        f'<think>Perhaps {{"name": "Bob"}}?</think>\n{ANN}',
        f'Like {{"age": 1}}? No: {ANN}',
        f"It has {{'single': quotes}} and {{unbalanced: {ANN}",
        '{"name": "Ann",\n "age": 7}',
        '{"value": {"name": "Ann", "age": 7}}',
        '{"name": "Ann", "age": 7.0, "height": NaN} or ' + ANN,
    ],
)
async def test_json_is_found_in_an_answer(text: str) -> None:
    asked = llm.structured(mock(text), Person, max_retries=0)
    assert await asked.generate("Who?") == Person("Ann", 7)


@pytest.mark.row("STRU-12", "STRU-06")
@pytest.mark.parametrize(
    "text",
    [
        '{"value": 1, "next": {"value": 2}',
        '{"value": 1, "next": {"value": 2},}',
        '{"value": 1 "next": {"value": 2}}',
        '{"value": 1, "next": {"value": 2}, "note": "}',
        "{'value': 1, 'next': {\"value\": 2}}",
        '```json\n{"value": 1, "next": {"value": 2},}\n```',
        'Here: [{"value": 1}, {"value": 2}',
    ],
)
async def test_a_part_of_a_damaged_value_is_not_taken_for_the_value(text: str) -> None:
    with pytest.raises(llm.StructuredOutputError) as caught:
        await llm.structured(mock(text), Node, max_retries=0).generate("A list")
    assert not (caught.value.last_error or "").startswith("$")


@pytest.mark.row("STRU-12", "STRU-07")
async def test_what_is_damaged_is_told_with_its_place() -> None:
    """Also where other text comes first, which is not what is wrong."""
    model = mock('Sure:\n{"name": "Ann",}', ANN)
    await llm.structured(model, Person).generate("Who?")
    told = "Error: Expecting property name enclosed in double quotes: line 2 column 16 (char 21)"
    assert told in model.calls[1].messages[-1].text


@pytest.mark.row("STRU-12")
async def test_line_breaks_in_strings_are_forgiven() -> None:
    asked = llm.structured(mock('{"name": "A\nB"}'), Person, max_retries=0)
    assert await asked.generate("Who?") == Person("A\nB")


@pytest.mark.row("STRU-06", "STRU-07")
@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (Person, "{}", "$.name: missing"),
        (Person, '{"name": 1}', "$.name: expected str, got int"),
        (
            Person,
            '{"name": "A", "items": [{"price": 1}, {"price": 2}, {"price": "x"}]}',
            "$.items[2].price: expected float, got str",
        ),
        (Person, '{"name": 1, "age": "x"}', "$.name: expected str, got int; $.age: expected int"),
        (Person, "[]", "$: expected object, got array"),
        (list[int], '{"values": []}', "$.value: missing"),
        (list[int], '{"value": [1, "2"]}', "$.value[1]: expected int, got str"),
        (list[int], "[1, null]", "$[1]: expected int, got null"),
        (Annotated[int, Meta(ge=1)], '{"value": 0}', "$.value: expected int >= 1"),
        (Person, "", "the answer is empty"),
        (Person, " \n", "the answer is empty"),
        (Person, "Sorry, no.", "Expecting value"),
        (Person, 'Sorry: {"age": 1} [].', "$.name: missing"),
        (Person, '{"name": "Ann"', "Expecting"),
        (Person, '{"name": "Ann" no', "Expecting"),
    ],
)
async def test_what_is_wrong_is_told_to_the_model(kind: Any, text: str, problem: str) -> None:
    model = mock(text, '{"value": [], "name": "Ann"}', '{"value": 1}')
    await llm.structured(model, kind).run("Who?")
    *_, bad, objection = model.calls[1].messages
    assert bad.text == text
    first, second = objection.text.split("\n")
    assert first.startswith(f"Your response was not valid JSON. Error: {problem}")
    assert second == "Please respond with valid JSON matching the schema."


@pytest.mark.row("STRU-06")
async def test_deep_nesting_is_a_wrong_answer() -> None:
    text = '{"value": 1, "next": ' * 900 + "null" + "}" * 900
    with pytest.raises(llm.StructuredOutputError, match="nested too deeply"):
        await llm.structured(mock(text), Node, max_retries=0).generate("A list")


@pytest.mark.row("STRU-02")
async def test_validators_change_values_or_refuse_them() -> None:
    def grown_up(person: Person) -> Person:
        if person.age < 18:
            raise ValueError("too young")
        return person

    def louder(person: Person) -> Person:
        return dataclasses.replace(person, name=person.name.upper())

    model = mock(ANN, '{"name": "Bob", "age": 40}')
    asked = llm.structured(model, Person, validators=[grown_up, louder])
    assert await asked.generate("Who?") == Person("BOB", 40)
    assert "Error: $: too young\n" in model.calls[1].messages[-1].text
    one = llm.structured(mock(ANN), Person, validators=louder)  # type: ignore[call-overload]  # forgiven
    assert (await one.generate("Who?")).name == "ANN"


# --- asking again --------------------------------------------------------------------------------


@pytest.mark.row("STRU-07", "STRU-11", "STRU-14")
async def test_a_wrong_answer_is_shown_unchanged_and_objected_to() -> None:
    usage = llm.Usage(3, 4, cached_tokens=1)
    thought = llm.ThinkingPart("Hm.", signature="s", provider="mock")
    bad = llm.AIMessage([thought, "no"], usage=usage, finish_reason=llm.FinishReason.STOP)
    model = mock(bad, llm.AIMessage(ANN, usage=usage))
    conversation: list[Any] = ["Hello", llm.AIMessage("Hi"), llm.HumanMessage("Who?")]
    result = await llm.structured(model, Person, strategy="native").run(conversation)
    assert result == llm.StructuredResult(
        Person("Ann", 7), result.message, llm.Usage(6, 8, cached_tokens=2), 2
    )
    assert result.message.text == ANN
    first, second = model.calls
    *before, again, objection = second.messages
    assert tuple(before) == first.messages
    assert again.parts == bad.parts
    assert objection == llm.HumanMessage(
        "Your response was not valid JSON. Error: Expecting value: line 1 column 1 (char 0)\n"
        "Please respond with valid JSON matching the schema."
    )
    assert len(conversation) == 3


@pytest.mark.row("STRU-07", "TOOL-18")
async def test_a_wrong_call_gets_its_result_before_the_objection() -> None:
    model = mock(called('{"name": '), called(ANN))
    result = await llm.structured(model, Person, strategy="tool").run("Who?")
    assert result.attempts == 2
    _, bad, told, objection = model.calls[1].messages
    assert bad.tool_calls[0].arguments == '{"name": '
    assert (told.tool_call_id, told.is_error, told.name) == ("call_1", True, "Person")
    assert objection.text.startswith("Your response was not valid JSON. Error: ")
    assert [tool.name for tool in model.calls[1].tools] == ["Person"]


@pytest.mark.row("STRU-02", "STRU-07")
@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Again! {error} {schema}", "Again! $.name: missing {schema}"),
        ("Again!", "Again!"),
        (lambda error: f"<{error}>", "<$.name: missing>"),
    ],
)
async def test_the_objection_can_be_worded(prompt: Any, text: str) -> None:
    model = mock("{}", ANN)
    await llm.structured(model, Person, retry_prompt=prompt).generate("Who?")
    assert model.calls[1].messages[-1] == llm.HumanMessage(text)


@pytest.mark.row("STRU-08", "STRU-10")
@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_in_the_end_it_gives_up(retries: int) -> None:
    replies = [llm.AIMessage(f"no {at}", usage=llm.Usage(1, 2)) for at in range(retries + 1)]
    model = mock(*replies, ANN)
    with pytest.raises(llm.StructuredOutputError) as caught:
        await llm.structured(model, Person, max_retries=retries).generate("Who?")
    error = caught.value
    assert len(model.calls) == error.attempts == retries + 1
    text = f"failed to parse structured output after {retries + 1} attempts: Expecting value"
    assert error.message.startswith(text)
    assert error.message.endswith(error.last_error)
    assert (error.raw, error.code, error.retryable) == (f"no {retries}", "invalid_output", False)
    assert error.usage == llm.Usage(retries + 1, 2 * (retries + 1))
    assert (error.provider, error.model_id) == ("mock", "mock-fixture")
    assert error.op == "structured.generate"
    assert error.partial is not None
    assert error.partial.text == error.raw
    assert error.__cause__ is not None


@pytest.mark.row("STRU-23")
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_a_cut_answer_is_not_asked_again(strategy: Any) -> None:
    cut = llm.AIMessage(ANN, finish_reason=llm.FinishReason.LENGTH, usage=llm.Usage(1, 2))
    model = mock(cut, cut)
    asked = llm.structured(model, Person, strategy=strategy)
    with pytest.raises(llm.StructuredOutputError) as caught:
        await asked.generate("Who?")
    assert caught.value.message == "answer was cut by the token limit"
    assert (caught.value.attempts, caught.value.raw) == (1, ANN)
    assert caught.value.usage == llm.Usage(1, 2)
    with pytest.raises(llm.StructuredOutputError, match="cut by the token limit"):
        await asked.stream("Who?").result()
    assert len(model.calls) == 2


@pytest.mark.row("STRU-23", "SCHE-33")
@pytest.mark.parametrize("refusal", ["I will not.", None])
async def test_a_withheld_answer_is_not_asked_again(refusal: str | None) -> None:
    reply = llm.AIMessage(refusal=refusal, finish_reason=llm.FinishReason.CONTENT_FILTER)
    model = mock(reply)
    with pytest.raises(llm.ContentFilterError, match=refusal or "content filter") as caught:
        await llm.structured(model, Person).generate("Who?")
    assert caught.value.partial is not None
    assert caught.value.provider == "mock"
    assert len(model.calls) == 1


# --- options -------------------------------------------------------------------------------------


@pytest.mark.row("STRU-13")
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_options_reach_every_attempt_and_none_is_made_up(strategy: Any) -> None:
    model = mock("no", ANN, ANN)
    asked = llm.structured(model, Person, strategy=strategy)
    options = llm.GenerateOptions(seed=4, top_p=0.5)
    await asked.generate("Who?", options=options, max_tokens=9, seed=5, metadata={"a": 1})
    await asked.stream("Who?", options=options, max_tokens=9, seed=5, metadata={"a": 1}).result()
    for request in model.calls:
        found = request.options
        assert (found.seed, found.top_p, found.max_tokens) == (5, 0.5, 9)
        assert found.metadata == {"a": 1}
        assert found.temperature is None
        assert found.parallel_tool_calls is None


@pytest.mark.row("STRU-13", "OPTI-17")
@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"response_format": llm.ResponseFormat.text()}, "response_format"),
        ({"tools": [OTHER]}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"options": llm.GenerateOptions(tool_choice="auto")}, "tool_choice"),
        ({"options": {"response_format": llm.ResponseFormat.json()}}, "response_format"),
        ({"n": 2}, "n"),
        ({"options": llm.GenerateOptions(n=3)}, "n"),
    ],
)
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_options_that_are_in_the_way_are_refused(
    keywords: Any, name: str, strategy: Any
) -> None:
    model = mock()
    asked = llm.structured(model, Person, strategy=strategy)
    text = f"{name} cannot be combined with structured output"
    with pytest.raises(llm.InvalidRequestError, match=text):
        await asked.generate("Who?", **keywords)
    stream = asked.stream("Who?", **keywords)
    with pytest.raises(llm.InvalidRequestError, match=text):
        await anext(stream)
    assert model.calls == []


@pytest.mark.row("OPTI-17", "OPTI-03")
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_a_model_with_several_answers_is_refused_however_it_is_wrapped(strategy: Any) -> None:
    inner = mock(ANN)
    several = inner.with_options(n=2)
    wrapped = llm.DelegatingChatModel(several)
    for model in (several, wrapped, llm.Router([inner, wrapped])):
        with pytest.raises(llm.InvalidRequestError, match="n cannot be combined"):
            await llm.structured(model, Person, strategy=strategy).generate("Who?")
    asked = llm.structured(llm.DelegatingChatModel(several).with_options(n=1), Person)
    assert await asked.generate("Who?", tools=(), tool_choice=None) == Person("Ann", 7)
    inner.reset()
    asked = llm.structured(several, Person, strategy="tool")
    assert await asked.generate("Who?", n=llm.UNSET, tool_choice=llm.UNSET) == Person("Ann", 7)


@pytest.mark.row("OPTI-01", "CHAT-03")
def test_unknown_options_are_refused_at_once() -> None:
    asked = llm.structured(mock(), Person)
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        asked.stream("Who?", temprature=1)  # type: ignore[call-arg]  # the point
    with pytest.raises(TypeError, match="options must be"):
        asked.stream("Who?", options=3)  # type: ignore[arg-type]  # the point


@pytest.mark.row("OPTI-01")
async def test_unknown_options_of_generate() -> None:
    asked = llm.structured(mock(), Person)
    with pytest.raises(TypeError, match="unknown option"):
        await asked.generate("Who?", temprature=1)  # type: ignore[call-arg]  # the point
    with pytest.raises(TypeError, match="options must be"):
        await asked.run("Who?", options=3)  # type: ignore[arg-type]  # the point


@pytest.mark.row("CHAT-11", "CHAT-12")
async def test_input_is_that_of_models() -> None:
    asked = llm.structured(mock(), Person)
    with pytest.raises(llm.InvalidRequestError, match="no messages"):
        await asked.generate([])
    with pytest.raises(TypeError, match="invalid input type for messages: int"):
        await anext(asked.stream(3))  # type: ignore[arg-type]  # the point


@pytest.mark.row("CHAT-10", "RETR-07")
@pytest.mark.parametrize("where", ["call", "options", "with_options", "config"])
async def test_the_time_limit_is_for_all_attempts(where: str, skip_time: Any) -> None:
    def late(request: llm.ChatRequest) -> str:
        skip_time(4)
        return "no"

    model: llm.ChatModel = MockChatModel(
        [late, late, late], timeout=10 if where == "config" else None
    )
    if where == "with_options":
        model = llm.DelegatingChatModel(model.with_options(timeout=10))
    asked = llm.structured(model, Person, max_retries=5)
    options = llm.GenerateOptions(timeout=10) if where == "options" else None
    with pytest.raises(llm.RequestTimeoutError):
        await asked.generate(
            "Who?", options=options, **({"timeout": 10} if where == "call" else {})
        )


@pytest.mark.row("CHAT-10")
async def test_without_time_limit_attempts_take_their_time(skip_time: Any) -> None:
    def late(request: llm.ChatRequest) -> str:
        skip_time(1000)
        return "no"

    asked = llm.structured(mock(late, late, ANN), Person)
    assert await asked.generate("Who?") == Person("Ann", 7)
    model = mock(late, ANN).with_options(timeout=10)
    assert await llm.structured(model, Person).generate("Who?", timeout=llm.UNSET) == Person(
        "Ann", 7
    )


@pytest.mark.row("CHAT-10")
async def test_no_attempt_begins_after_the_time_limit(skip_time: Any) -> None:
    def late(problem: str) -> str:
        skip_time(10)
        return problem

    model = mock("no", ANN)
    asked = llm.structured(model, Person, retry_prompt=late)
    with pytest.raises(llm.RequestTimeoutError, match="longer than its timeout"):
        await asked.generate("Who?", timeout=10)
    assert len(model.calls) == 1


# --- construction --------------------------------------------------------------------------------


@dataclasses.dataclass
class Wrong:
    fine: int
    bad: complex


@pytest.mark.row("STRU-02", "STRU-03")
@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        (
            Wrong,
            {},
            "Wrong cannot be asked of a model: type complex has no JSON Schema (field Wrong",
        ),
        (list[Wrong], {}, "list[Wrong] cannot be asked of a model: type complex"),
        (object(), {}, "has no JSON Schema"),
        (Person, {"max_retries": -1}, "max_retries must be an int of at least 0, got -1"),
        (Person, {"max_retries": True}, "max_retries must be an int of at least 0, got True"),
        (Person, {"max_retries": 1.5}, "max_retries must be an int"),
        (Person, {"strategy": "magic"}, "strategy must be one of auto, native, tool, prompt"),
        (Person, {"retry_prompt": 3}, "retry_prompt must be a str or a function, got 3"),
        (Person, {"strict": "yes"}, "strict must be a bool or None, got 'yes'"),
        (Person, {"validators": [3]}, "validator 3 is no function"),
        (Person, {"name": "a b"}, "name 'a b' is not allowed: use 1 to 64 letters"),
        (Person, {"name": 3}, "name 3 is not allowed"),
        (Person, {"name": "auto"}, "name 'auto' is not allowed: it is a word of tool_choice"),
        (dict[str, Any], {"strict": True}, "dict[str, Any] has no strict form: the values of $"),
        (Person, {"strategy": "x", "max_retries": None}, "got None; strategy must be"),
    ],
)
def test_mistakes_are_told_at_construction(kind: Any, arguments: Any, text: str) -> None:
    with pytest.raises(llm.ConfigError) as caught:
        llm.structured(mock(), kind, **arguments)
    assert text in caught.value.message
    assert caught.value.op == "structured.new"


@pytest.mark.row("STRU-16")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Person, "Person"),
        (list[Person], "list_Person"),
        (Person | None, "Person_None"),
        (Literal["é", "b"], "Literal_b"),
        (Annotated[int, Meta(ge=1)], "int"),
        (type("none", (), {"__annotations__": {}, "__module__": __name__}), "none_"),
        (Literal["x" * 80], "Literal_" + "x" * 56),
    ],
)
def test_names_come_from_types(kind: Any, name: str) -> None:
    if isinstance(kind, type):
        kind = dataclasses.dataclass(kind) if kind is not Person else kind
    assert llm.structured(mock(), kind).name == name


@pytest.mark.row("STRU-20")
async def test_what_has_no_strict_form_is_asked_for_as_it_is() -> None:
    model = mock('{"value": {"a": [1]}}', '{"name": "Ann"}')
    await llm.structured(model, dict[str, Any], strategy="native").generate("Anything")
    wanted = model.calls[0].options.response_format
    assert (wanted.strict, wanted.schema) == (False, {"type": "object"})
    await llm.structured(model, Person, strategy="native", strict=False).generate("Who?")
    wanted = model.calls[1].options.response_format
    assert (wanted.strict, wanted.schema["required"]) == (False, ["name"])


# --- models --------------------------------------------------------------------------------------


class Closing(MockChatModel):
    closed = 0

    async def _aclose(self) -> None:
        type(self).closed += 1


@pytest.mark.row("CHAT-13", "CHAT-15")
async def test_it_closes_only_what_it_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Closing, "closed", 0)
    model = Closing([ANN])
    async with llm.structured(model, Person) as asked:
        assert asked.model is model
        assert repr(asked) == "<StructuredModel Person of mock/mock-fixture>"
        await asked.generate("Who?")
    assert Closing.closed == 0
    llm.register("closing", lambda config: Closing([], config=config))
    try:
        async with llm.structured("closing/m", Person) as named:
            assert isinstance(named.model, Closing)
        await named.aclose()
    finally:
        llm.unregister("closing")
    assert Closing.closed == 2


@pytest.mark.row("TOOL-04", "STRU-16", "STRU-05")
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_wrapped_and_routed_models(strategy: Any) -> None:
    seen: list[llm.ChatRequest] = []

    async def layer(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        seen.append(request)
        async for chunk in call_next(request):
            yield chunk

    wrappings: list[Any] = [
        lambda inner, bad: inner,
        lambda inner, bad: llm.DelegatingChatModel(inner),
        lambda inner, bad: llm.Router([inner]),
        lambda inner, bad: llm.FailoverRouter(bad, inner),
        lambda inner, bad: bad.with_middleware(llm.with_fallback(inner)),
    ]
    for wrap in wrappings:
        seen.clear()
        inner = mock("no", called(ANN) if strategy == "tool" else ANN)
        bad = mock(*[llm.OverloadedError("no")] * 2)
        model = wrap(inner, bad).with_middleware(layer)
        result = await llm.structured(model, Person, strategy=strategy).run("Who?")
        assert (result.value, result.attempts) == (Person("Ann", 7), 2)
        assert len(seen) == len(inner.calls) == 2
        tools = [tool.name for tool in inner.calls[1].tools]
        assert tools == (["Person"] if strategy == "tool" else [])


@pytest.mark.row("STRU-05")
def test_capabilities_of_routers_are_those_of_all() -> None:
    able, unable = mock(json_schema=True), mock(json_object=True)
    assert llm.structured(llm.Router([able, able]), Person).strategy == "native"
    assert llm.structured(llm.Router([able, unable]), Person).strategy == "prompt"


@pytest.mark.row("CHAT-07")
async def test_one_model_serves_many_tasks() -> None:
    import asyncio

    def reply(request: llm.ChatRequest) -> Sequence[llm.StreamChunk]:
        name = request.messages[-1].text
        return [llm.StreamChunk('{"name": '), llm.StreamChunk(f'"{name}"}}')]

    asked = llm.structured(MockChatModel([reply] * 100), Person, strategy="native")
    calls = [asked.generate(str(at)) for at in range(50)]
    streams = [asked.stream(str(at)).result() for at in range(50, 100)]
    people = await asyncio.gather(*calls, *streams)
    assert [person.name for person in people] == [str(at) for at in range(100)]


async def test_a_model_that_fails_is_left_alone() -> None:
    model = Flaky(answer("no"), [ValueError("a bug")])
    with pytest.raises(ValueError, match="a bug"):
        await llm.structured(model, Person).generate("Who?")
    assert model.open == 0
