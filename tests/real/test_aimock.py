"""Against aimock: other people's idea of what the vendors send, for every provider it emulates.

Its answers are chosen by the last question, from the fixtures beside its start script. Where it
differs from a vendor, the row says so, and the test does not ask for it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import pytest

import beluga_llm as llm

WEATHER = llm.ToolDefinition(
    "get_weather",
    "Get the weather of a city",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
HELLO = "Hello! How can I help you today?"
UNICODE = (
    "Привет \N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4} 世界 "
    "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
    "\N{ZERO WIDTH JOINER}\N{BOY} é"
)
CLAUDE = {"model": "claude-haiku-4-5"}
GEMINI = {"model": "gemini-2.5-flash"}


class Emulated(NamedTuple):
    """A provider as aimock emulates it.

    Attributes:
        entry: the provider.
        path: what its base URL has after the server's address.
        fields: what else `create` needs.
        lacks: what aimock gets wrong or leaves out, or our provider does not ask it for.
    """

    entry: str
    path: str = ""
    fields: Mapping[str, Any] = {}
    lacks: frozenset[str] = frozenset()


ROWS = {
    "openai": Emulated("openai", "/v1"),
    # an answer that is incomplete or failed does not say why
    "openai-responses": Emulated("openai", "/v1", {"api": "responses"}, frozenset(("finish",))),
    "openai-compatible": Emulated("openai-compatible", "/v1"),
    "azure": Emulated("azure"),
    "azure-dated": Emulated("azure", fields={"api_version": "2024-10-21"}),
    "anthropic": Emulated("anthropic", fields=CLAUDE),
    # calls end with FUNCTION_CALL, a word that the API does not have
    "google": Emulated("google", "/v1beta", GEMINI, frozenset(("call_reason",))),
    "vertex": Emulated(
        "vertex",
        fields={**GEMINI, "options": {"project": "p", "location": "us-central1"}},
        lacks=frozenset(("call_reason",)),
    ),
    # reasoning in `reasoning_content`, every answer ends with stop and has no tokens, no call ids
    "ollama": Emulated("ollama", lacks=frozenset(("thinking", "finish", "usage", "call_ids"))),
    "ollama-chat": Emulated("ollama", "/v1", {"api": "chat"}),
    # reasoning as text
    "cohere": Emulated("cohere", lacks=frozenset(("thinking",))),
    # token counts in streams only where asked, which Mistral does not know
    "mistral": Emulated("mistral", "/v1", lacks=frozenset(("stream_usage",))),
    "openrouter": Emulated("openrouter", "/api/v1"),
    # blocks of reasoning that begin with an event of their own, which Converse has not
    "bedrock": Emulated("bedrock", fields=CLAUDE, lacks=frozenset(("stream_thinking",))),
}


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> Emulated:
    found: Emulated = ROWS[request.param]
    if found.entry not in llm.list_providers():
        pytest.skip(f"no plugin for {found.entry} is installed here")
    return found


@pytest.fixture
async def model(row: Emulated, aimock: str) -> AsyncIterator[llm.ChatModel]:
    fields = {"model": "some-model", "api_key": "test-key", **row.fields}
    async with llm.create(row.entry, base_url=aimock + row.path, **fields) as made:
        yield made


def needs(row: Emulated, *what: str) -> None:
    """Skips a test of what aimock does not emulate."""
    if lacking := row.lacks & {*what}:
        pytest.skip(f"aimock differs from {row.entry} in {', '.join(sorted(lacking))}")


async def both(model: llm.ChatModel, *messages: Any, **options: Any) -> list[llm.AIMessage]:
    """The answer of each kind of call."""
    whole = await model.generate(list(messages), **options)
    return [whole, await model.stream(list(messages), **options).response()]


async def test_a_greeting_comes_whole_and_in_pieces(model: llm.ChatModel) -> None:
    whole = await model.generate("hello")
    async with model.stream("hello") as stream:
        pieces = [chunk.delta async for chunk in stream if chunk.delta]
    assert len(pieces) > 3
    assert whole.text == "".join(pieces) == stream.message.text == HELLO
    assert whole.finish_reason == stream.finish_reason == "stop"
    assert whole.model_id == stream.model_id


async def test_unicode_comes_through(model: llm.ChatModel) -> None:
    assert [reply.text for reply in await both(model, "unicode")] == [UNICODE] * 2


async def test_token_counts(model: llm.ChatModel, row: Emulated) -> None:
    needs(row, "usage")
    whole, streamed = await both(model, "usage")
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (11, 7)
    if "stream_usage" not in row.lacks:
        assert streamed.usage == whole.usage


async def test_reasoning_precedes_the_answer(model: llm.ChatModel, row: Emulated) -> None:
    needs(row, "thinking")
    whole, streamed = await both(model, "think")
    assert (whole.thinking, whole.text) == ("Let me think about it.", "The answer is 42.")
    assert streamed.text == whole.text
    if "stream_thinking" not in row.lacks:
        assert streamed.thinking == whole.thinking
        for reply in (whole, streamed):
            assert [part.type for part in reply.parts] == ["thinking", "text"]


@pytest.mark.parametrize(
    ("question", "reason"), [("length", "length"), ("filtered", "content_filter")]
)
async def test_finish_reasons(
    model: llm.ChatModel, row: Emulated, question: str, reason: str
) -> None:
    needs(row, "finish")
    assert [reply.finish_reason for reply in await both(model, question)] == [reason] * 2


async def test_tools_are_called_and_answered(model: llm.ChatModel, row: Emulated) -> None:
    tooled = model.bind_tools([WEATHER])
    question = llm.HumanMessage("What is the weather in Paris and Rome?")
    for reply in await both(tooled, question):
        calls = reply.tool_calls
        assert [(call.name, call.args["city"]) for call in calls] == [
            ("get_weather", "Paris"),
            ("get_weather", "Rome"),
        ]
        if "call_ids" in row.lacks:
            assert len({call.id for call in calls}) == 2
        else:
            assert [call.id for call in calls] == ["call_1", "call_2"]
        if "call_reason" not in row.lacks:
            assert reply.finish_reason == "tool_calls"
        results = [llm.ToolMessage("sunny", tool_call_id=call.id) for call in calls]
        final = await tooled.generate([question, reply, *results])
        assert final.text == "It is sunny in Paris."


@pytest.mark.row("ERRO-05", "ERRO-09")
@pytest.mark.parametrize(
    ("question", "kind", "status"),
    [
        ("rate limit", llm.RateLimitError, 429),
        ("overloaded", llm.OverloadedError, 529),
        ("server error", llm.ProviderUnavailableError, 500),
        ("bad key", llm.AuthenticationError, 401),
        ("too long", llm.ContextLengthError, 400),
    ],
)
async def test_errors(
    model: llm.ChatModel, question: str, kind: type[llm.BelugaError], status: int
) -> None:
    for call in (model.generate(question), model.stream(question).response()):
        with pytest.raises(kind) as caught:
            await call
        error = caught.value
        assert type(error) is kind
        assert (error.status, error.provider) == (status, model.provider)
        assert error.request_id
        assert error.retry_after == (2.0 if status == 429 else None)


@pytest.mark.row("PAIN-02")
async def test_a_connection_that_drops_is_told(model: llm.ChatModel) -> None:
    with pytest.raises(llm.StreamInterruptedError) as caught:
        await model.stream("drop").response()
    partial = caught.value.partial
    assert partial is not None
    assert "one two three four five six".startswith(partial.text)


@pytest.mark.row("STRE-04", "STRE-05")
async def test_a_slow_answer_can_be_left(model: llm.ChatModel) -> None:
    async with model.stream("slow") as stream:
        async for chunk in stream:
            if chunk.delta:
                break
        began = time.monotonic()
    assert time.monotonic() - began < 0.1
    assert stream.state == "closed"
    assert model._transport.connections == 0
    assert (await model.generate("hello")).text == HELLO
