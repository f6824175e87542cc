"""The scripted model: its queue, its fixtures, and what it remembers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import AIMessage, ChatRequest, FinishReason, RateLimitError, StreamChunk, Usage
from beluga_llm.testing import MockChatModel, MockExhaustedError, VirtualClock, assert_conforms
from beluga_llm.testing.mock import create


@pytest.mark.row("PROV-12")
async def test_it_is_registered_as_mock() -> None:
    model = llm.create("mock", fixtures=[{"content": "Hello"}])
    assert type(model) is MockChatModel
    assert model.qualified_id == "mock/mock-fixture"
    assert (await model.generate("hi")).text == "Hello"


@pytest.mark.row("CHAT-08")
def test_it_is_a_chat_model() -> None:
    assert_conforms(MockChatModel(["a"]))


@pytest.mark.row("TEST-14")
async def test_every_kind_of_response() -> None:
    answer = AIMessage("two", finish_reason="stop", usage=Usage(1, 2), model_id="other")
    chunks = [StreamChunk("th"), StreamChunk("ree"), StreamChunk(finish_reason=FinishReason.STOP)]

    async def later(request: ChatRequest) -> str:
        return f"later: {request.messages[-1].text}"

    model = MockChatModel(
        ["one", answer, chunks, lambda request: request.messages[-1].text.upper(), later]
    )
    assert (await model.generate("1")).text == "one"
    assert await model.generate("2") == answer
    assert (await model.generate("3")).text == "three"
    assert (await model.generate("four")).text == "FOUR"
    assert (await model.generate("five")).text == "later: five"


async def test_exceptions_are_raised() -> None:
    error = RateLimitError("slow down", retry_after=2.0)
    model = MockChatModel([error, KeyError, lambda request: error])
    with pytest.raises(RateLimitError) as caught:
        await model.generate("hi")
    assert caught.value.retry_after == 2.0
    with pytest.raises(KeyError):
        await model.generate("hi")
    with pytest.raises(RateLimitError):
        await model.generate("hi")


async def test_a_text_has_everything_an_answer_has() -> None:
    reply = await MockChatModel(["one two"]).generate("a b c", model="other")
    assert reply.usage == Usage(3, 2)
    assert reply.finish_reason is FinishReason.STOP
    assert reply.model_id == "other"


async def test_streams_come_word_by_word() -> None:
    async with MockChatModel(["one two three"]).stream("hi") as stream:
        deltas = [chunk.delta async for chunk in stream if chunk.delta]
    assert deltas == ["one", " two", " three"]


@pytest.mark.row("TEST-14")
async def test_it_remembers_what_it_was_asked() -> None:
    model = MockChatModel(["a", "b", "c"])
    tool = llm.ToolDefinition("search")
    bound = model.bind_tools([tool])
    await bound.generate("hi", temperature=0.5)
    (call,) = model.calls
    assert call.messages == (llm.HumanMessage("hi"),)
    assert call.options.temperature == 0.5
    assert call.tools == (tool,)
    assert bound.bound_tools == (tool,)
    assert model.bound_tools == ()
    assert model.unused == ("b", "c")


@pytest.mark.row("TEST-15")
async def test_the_queue_is_shared_and_ends() -> None:
    model = MockChatModel(["first", "second"])
    copy = model.with_options(temperature=0.1)
    assert (await model.generate("hi")).text == "first"
    assert (await copy.generate("hi")).text == "second"
    with pytest.raises(MockExhaustedError, match=r"^mock: fixture queue exhausted$"):
        await model.generate("hi")
    model.assert_exhausted()
    model.reset()
    assert model.calls == []
    assert (await copy.generate("hi")).text == "first"


@pytest.mark.row("TEST-15")
async def test_a_fallback_answers_when_the_queue_is_empty() -> None:
    model = MockChatModel([], fallback="nothing more")
    assert (await model.generate("hi")).text == "nothing more"


@pytest.mark.row("TEST-15")
def test_unused_responses_are_a_failure() -> None:
    with pytest.raises(MockExhaustedError, match="2 of 2 responses were not used"):
        MockChatModel(["a", "b"]).assert_exhausted()


async def test_delays_are_slept_on_the_clock() -> None:
    clock = VirtualClock(auto=True)
    model = MockChatModel(["one two"], delay=5, chunk_delay=1, clock=clock)
    await model.generate("hi")
    assert clock.sleeps == [5, 1, 1]


async def test_a_hundred_calls_at_once_get_an_answer_each() -> None:
    model = MockChatModel([str(number) for number in range(100)])
    replies = await asyncio.gather(*(model.generate("hi") for _ in range(100)))
    assert {reply.text for reply in replies} == {str(number) for number in range(100)}


def test_capabilities_are_told() -> None:
    model = MockChatModel([], capabilities={"tools": False})
    assert model.capabilities.tools is False


async def test_what_is_no_response_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cannot answer with int"):
        await MockChatModel([lambda request: 3]).generate("hi")


# --- fixtures ------------------------------------------------------------------------------------

FIXTURES: list[dict[str, Any]] = [
    {"content": "Hello", "usage": {"input_tokens": 1, "output_tokens": 2}},
    {"tool_calls": [{"name": "add", "arguments": {"a": 1}}, {"id": "x", "name": "now"}]},
    {"error": "boom"},
    {"error": {"code": "rate_limit", "retry_after": 2, "status": 429}},
    {"content": "cut", "finish_reason": "length"},
]


@pytest.mark.row("TEST-16")
async def test_fixtures_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fixtures.json"
    path.write_text(json.dumps(FIXTURES))
    model = MockChatModel.from_file(path, model="m")
    hello = await model.generate("hi")
    assert (hello.text, hello.usage.output_tokens) == ("Hello", 2)
    calls = await model.generate("hi")
    assert [call.id for call in calls.tool_calls] == ["call_1_0", "x"]
    assert calls.tool_calls[0].args == {"a": 1}
    assert calls.finish_reason is FinishReason.TOOL_CALLS
    with pytest.raises(llm.InvalidRequestError) as invalid:
        await model.generate("hi")
    assert invalid.value.message == "mock: fixture 2 error: boom"
    with pytest.raises(RateLimitError) as limited:
        await model.generate("hi")
    assert (limited.value.retry_after, limited.value.status) == (2, 429)
    assert (await model.generate("hi")).finish_reason is FinishReason.LENGTH


@pytest.mark.row("TEST-16")
async def test_fixtures_are_looked_for_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("file", "variable"):
        (tmp_path / name).write_text(json.dumps([{"content": name}]))
    path = str(tmp_path / "file")
    monkeypatch.setenv("BELUGA_MOCK_FIXTURES", str(tmp_path / "variable"))
    assert (await llm.create("mock").generate("hi")).text == "variable"
    assert (await llm.create("mock", fixtures_file=path).generate("hi")).text == "file"
    both = llm.create("mock", fixtures_file=path, fixtures=[{"content": "option"}])
    assert (await both.generate("hi")).text == "option"
    config = llm.ProviderConfig.of(fixtures=[{"content": "option"}])
    assert (await MockChatModel(["argument"], config=config).generate("hi")).text == "argument"


@pytest.mark.row("TEST-16")
def test_wrong_fixtures_are_all_told() -> None:
    fixtures = [{"text": "x"}, 3, {"error": {"code": "nonsense"}}, {"tool_calls": [{}]}]
    with pytest.raises(llm.ConfigError) as caught:
        create(llm.ProviderConfig.of(fixtures=fixtures))
    for word in ("fixture 0", "fixture 1", "nonsense", "fixture 3"):
        assert word in str(caught.value)


@pytest.mark.row("TEST-16")
@pytest.mark.parametrize(
    ("fixture", "problem"),
    [
        ({"error": 3}, "error must be a text or an object, got int"),
        ({"error": {"status": "x"}}, "error.status must be a number, got str"),
        ({"error": {"retry_after": "x"}}, "error.retry_after must be a number, got str"),
        ({"tool_calls": ["x"]}, "a tool call must be an object, got str"),
    ],
)
def test_odd_types_in_fixtures_are_told(fixture: dict[str, Any], problem: str) -> None:
    with pytest.raises(llm.ConfigError, match=f"option 'fixtures': fixture 0: {problem}"):
        llm.create("mock", fixtures=[fixture])


def test_fixtures_are_a_list(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"content": "hi"}')
    with pytest.raises(llm.ConfigError, match=r"one\.json' must be a list, got dict"):
        llm.create("mock", fixtures_file=str(path))


def test_a_file_that_is_not_there_is_a_config_error() -> None:
    with pytest.raises(llm.ConfigError, match="nowhere"):
        llm.create("mock", fixtures_file="/nowhere/at/all")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(llm.ConfigError, match="fixture_file"):
        llm.create("mock", fixture_file="x")


@pytest.mark.row("CHAT-14")
def test_it_takes_the_fields_of_the_configuration() -> None:
    assert MockChatModel(["x"], timeout=3)._config.timeout == 3
    with pytest.raises(llm.ConfigError, match="timeout must be > 0"):
        MockChatModel(["x"], timeout=-1)
    with pytest.raises(llm.ConfigError, match="unknown option 'tiemout'"):
        MockChatModel(["x"], tiemout=3)


@pytest.mark.row("TEST-14")
@pytest.mark.parametrize("single", ["Hello", b"x", {"content": "x"}, AIMessage("x"), KeyError()])
def test_a_single_response_is_no_list(single: Any) -> None:
    with pytest.raises(TypeError, match="must be a list of responses, got"):
        MockChatModel(single)


@pytest.mark.row("TEST-16")
async def test_the_class_of_a_fixture_error_comes_from_its_status() -> None:
    model = MockChatModel([{"error": {"status": 503}}])
    with pytest.raises(llm.ProviderUnavailableError, match="mock: fixture 0 error: ") as caught:
        await model.generate("hi")
    assert caught.value.status == 503


@pytest.mark.row("TEST-16")
def test_a_blank_variable_names_no_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELUGA_MOCK_FIXTURES", "  ")
    assert MockChatModel().unused == ()
