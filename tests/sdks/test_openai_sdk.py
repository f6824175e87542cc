"""OpenAI's own SDK accepts what the fake server says; its strict validation is on.

Runs in a session of its own, `nox -s sdks`, which installs the SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.testing import FakeServer, Reply, rate_limited

openai = pytest.importorskip("openai", reason="the SDKs are installed by `nox -s sdks`")
pytestmark = pytest.mark.row("TEST-01")

ASKED: Any = [{"role": "user", "content": "What is the weather?"}]
CHAT_TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
TOOLS: Any = [{"type": "function", "strict": None, **CHAT_TOOLS[0]["function"]}]
CALLS = llm.AIMessage(
    "Let me see.",
    tool_calls=[
        llm.ToolCall("call_1", "weather", '{"city": "Oslo"}'),
        llm.ToolCall("call_2", "weather", '{"city": "Lima"}'),
    ],
    usage=llm.Usage(input_tokens=12, output_tokens=7, cached_tokens=4, reasoning_tokens=2),
)
HELLO = llm.AIMessage("Hello, you", usage=llm.Usage(input_tokens=12, output_tokens=3))
CUT = llm.AIMessage("Once upon", finish_reason=llm.FinishReason.LENGTH)


@pytest.fixture
async def client(fake_llm_server: FakeServer) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(
        api_key="test-key",
        base_url=fake_llm_server.base_url("chat"),
        max_retries=0,
        timeout=5,
        _strict_response_validation=True,
    ) as made:
        yield made


# --- chat completions ----------------------------------------------------------------------------


async def test_chat(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("Hello, you")
    answer = await client.chat.completions.create(model="m", messages=ASKED)
    assert answer.choices[0].message.content == "Hello, you"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert fake_llm_server.requests[0].key == "test-key"
    assert fake_llm_server.requests[0].json["messages"] == ASKED


async def test_chat_tools(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(CALLS)
    answer = await client.chat.completions.create(model="m", messages=ASKED, tools=CHAT_TOOLS)
    first, second = answer.choices[0].message.tool_calls
    assert (first.id, first.function.name, first.function.arguments) == (
        "call_1", "weather", '{"city": "Oslo"}',
    )  # fmt: skip
    assert second.id == "call_2"
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert answer.usage.completion_tokens_details.reasoning_tokens == 2


async def test_chat_stream(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("Hello, you there", chunk_size=11)
    stream = await client.chat.completions.create(
        model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == "Hello, you there"
    assert len([text for text in texts if text]) > 1
    assert chunks[-1].usage.completion_tokens == 3


async def test_chat_stream_with_its_own_fold(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(CALLS)
    async with client.chat.completions.stream(
        model="m", messages=ASKED, tools=CHAT_TOOLS, stream_options={"include_usage": True}
    ) as stream:
        kinds = {event.type async for event in stream}
        answer = await stream.get_final_completion()
    assert {"content.delta", "tool_calls.function.arguments.delta"} <= kinds
    calls = answer.choices[0].message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city": "Oslo"}', '{"city": "Lima"}']
    assert answer.choices[0].message.content == "Let me see."


async def test_chat_that_was_cut_off(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(CUT)
    answer = await client.chat.completions.create(model="m", messages=ASKED)
    assert answer.choices[0].finish_reason == "length"


async def test_models(fake_llm_server: FakeServer, client: Any):
    assert [model.id async for model in client.models.list()] == ["fake-model"]


# --- responses -----------------------------------------------------------------------------------


async def test_responses(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(HELLO)
    answer = await client.responses.create(model="m", input="hi")
    assert answer.output_text == "Hello, you"
    assert answer.status == "completed"
    assert answer.usage.output_tokens == 3


async def test_responses_tools(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(CALLS)
    answer = await client.responses.create(model="m", input="hi", tools=TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(call.call_id, call.arguments) for call in calls] == [
        ("call_1", '{"city": "Oslo"}'),
        ("call_2", '{"city": "Lima"}'),
    ]
    assert answer.usage.input_tokens_details.cached_tokens == 4
    assert answer.usage.input_tokens_details.cache_write_tokens == 0


@pytest.mark.parametrize("answer", [HELLO, CALLS, "Hello, you"], ids=["text", "tools", "str"])
async def test_responses_stream(fake_llm_server: FakeServer, client: Any, answer: Any):
    fake_llm_server.reply(answer)
    async with client.responses.stream(model="m", input="hi", tools=TOOLS) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text
    assert text


async def test_responses_reasoning(fake_llm_server: FakeServer, client: Any):
    thought = llm.ThinkingPart("I think", signature="sealed", provider="openai", id="rs_1")
    fake_llm_server.reply(llm.AIMessage([thought, llm.TextPart("Hello")]))
    answer = await client.responses.create(model="m", input="hi")
    assert [item.type for item in answer.output] == ["reasoning", "message"]


async def test_responses_that_were_cut_off(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(CUT)
    answer = await client.responses.create(model="m", input="hi")
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 5}, {"cached_tokens": 2}], ids=str)
async def test_a_script_need_not_tell_the_usage(
    fake_llm_server: FakeServer, client: Any, usage: dict[str, int]
):
    fake_llm_server.reply(llm.AIMessage("Hello", usage=llm.Usage(**usage)), times=4)
    chat = await client.chat.completions.create(model="m", messages=ASKED)
    assert chat.choices[0].message.content == "Hello"
    stream = await client.chat.completions.create(
        model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    assert [chunk async for chunk in stream][-1].object == "chat.completion.chunk"
    answer = await client.responses.create(model="m", input="hi")
    assert answer.output_text == "Hello"
    async with client.responses.stream(model="m", input="hi") as events:
        assert (await events.get_final_response()).output_text == "Hello"


# --- errors --------------------------------------------------------------------------------------

ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "InternalServerError",
}


@pytest.mark.parametrize("status", ERRORS)
async def test_errors(fake_llm_server: FakeServer, client: Any, status: int):
    fake_llm_server.reply(status=status, error="that is wrong", times=2)
    for call in (
        client.chat.completions.create(model="m", messages=ASKED),
        client.responses.create(model="m", input="hi"),
    ):
        with pytest.raises(getattr(openai, ERRORS[status]), match="that is wrong") as caught:
            await call
        assert caught.value.body["message"] == "that is wrong"
        assert caught.value.request_id


async def test_an_error_in_a_stream(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("one two three four", error="no more", error_after=3)
    stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
    with pytest.raises(openai.APIError, match="no more"):
        async for _ in stream:
            pass


@pytest.mark.parametrize("fault", ["cut_after", "reset_after"])
async def test_a_broken_stream(fake_llm_server: FakeServer, client: Any, fault: str):
    fake_llm_server.reply(Reply("one two three four", **{fault: 300}))
    stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
    with pytest.raises(openai.APIConnectionError):
        async for _ in stream:
            pass


async def test_it_waits_as_long_as_it_is_told(fake_llm_server: FakeServer, client: Any):
    for kind in ("seconds", "milliseconds"):
        fake_llm_server.reply(rate_limited(0.01 if kind == "milliseconds" else 0, kind))
        fake_llm_server.reply("Hello")
        patient = client.with_options(max_retries=1)
        answer = await patient.chat.completions.create(model="m", messages=ASKED)
        assert answer.choices[0].message.content == "Hello"


async def test_leaving_is_seen(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("one two three four", stall_after=400)
    stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
    async for _ in stream:
        break
    await stream.close()
    assert await fake_llm_server.disconnected()
