"""Anthropic's own SDK accepts what the fake server says; its strict validation is on.

Runs in a session of its own, `nox -s sdks`, which installs the SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.testing import FakeServer

anthropic = pytest.importorskip("anthropic", reason="the SDKs are installed by `nox -s sdks`")
pytestmark = pytest.mark.row("TEST-01")

ASKED: Any = {
    "model": "m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "What is the weather?"}],
}
TOOLS: Any = [
    {
        "name": "weather",
        "description": "The weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
CALLS = llm.AIMessage(
    "Let me see.",
    tool_calls=[
        llm.ToolCall("toolu_1", "weather", '{"city": "Oslo"}'),
        llm.ToolCall("toolu_2", "weather", '{"city": "Lima"}'),
    ],
    usage=llm.Usage(input_tokens=12, output_tokens=7, cached_tokens=4),
)


@pytest.fixture
async def client(fake_llm_server: FakeServer) -> AsyncIterator[Any]:
    async with anthropic.AsyncAnthropic(
        api_key="test-key",
        base_url=fake_llm_server.base_url("messages"),
        max_retries=0,
        timeout=5,
        _strict_response_validation=True,
    ) as made:
        yield made


async def test_messages(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("Hello, you")
    answer = await client.messages.create(**ASKED)
    assert answer.content[0].text == "Hello, you"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens == 2
    assert fake_llm_server.requests[0].key == "test-key"
    assert fake_llm_server.requests[0].headers["anthropic-version"]


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 5}, {"cached_tokens": 2}], ids=str)
async def test_a_script_need_not_tell_the_usage(
    fake_llm_server: FakeServer, client: Any, usage: dict[str, int]
):
    fake_llm_server.reply(llm.AIMessage("Hello", usage=llm.Usage(**usage)), times=2)
    whole = await client.messages.create(**ASKED)
    async with client.messages.stream(**ASKED) as stream:
        final = await stream.get_final_message()
    assert whole.content[0].text == final.content[0].text == "Hello"
    assert whole.usage.output_tokens == final.usage.output_tokens == 0


async def test_a_bearer_token_is_taken_too(fake_llm_server: FakeServer):
    fake_llm_server.reply("Hello")
    url = fake_llm_server.base_url("messages")
    async with anthropic.AsyncAnthropic(auth_token="test-token", base_url=url) as client:
        await client.messages.create(**ASKED)
    assert fake_llm_server.requests[0].key == "test-token"


async def test_tools(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply(CALLS)
    answer = await client.messages.create(**ASKED, tools=TOOLS)
    text, first, second = answer.content
    assert text.text == "Let me see."
    assert (first.id, first.name, first.input) == ("toolu_1", "weather", {"city": "Oslo"})
    assert second.input == {"city": "Lima"}
    assert answer.stop_reason == "tool_use"
    assert answer.usage.cache_read_input_tokens == 4
    assert answer.usage.input_tokens == 8


async def test_a_stream(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("Hello, you there", chunk_size=11, pings=1)
    async with client.messages.stream(**ASKED) as stream:
        texts = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert len(texts) > 1
    assert "".join(texts) == final.content[0].text == "Hello, you there"
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 3


async def test_a_stream_of_tools_and_thinking(fake_llm_server: FakeServer, client: Any):
    thought = llm.ThinkingPart("I think", signature="sealed", provider="anthropic")
    fake_llm_server.reply(
        llm.AIMessage(
            [thought, llm.TextPart("Well.")], tool_calls=CALLS.tool_calls, usage=CALLS.usage
        )
    )
    async with client.messages.stream(**ASKED, tools=TOOLS) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_message()
    assert {"thinking", "signature", "text", "input_json"} <= kinds
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert final.content[0].signature == "sealed"
    assert final.content[2].input == {"city": "Oslo"}


async def test_raw_events(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("Hello")
    stream = await client.messages.create(**ASKED, stream=True)
    kinds = [event.type async for event in stream]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"


async def test_counting(client: Any):
    counted = await client.messages.count_tokens(model="m", messages=ASKED["messages"])
    assert counted.input_tokens > 0


async def test_models(fake_llm_server: FakeServer):
    """Without strict validation: what the list says is for all vendors."""
    url = fake_llm_server.base_url("messages")
    async with anthropic.AsyncAnthropic(api_key="test-key", base_url=url) as client:
        assert [model.id async for model in client.models.list()] == ["fake-model"]


ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    529: "OverloadedError",
}


@pytest.mark.parametrize("status", ERRORS)
async def test_errors(fake_llm_server: FakeServer, client: Any, status: int):
    fake_llm_server.reply(status=status, error="that is wrong")
    with pytest.raises(anthropic.APIStatusError, match="that is wrong") as caught:
        await client.messages.create(**ASKED)
    names = {kind.__name__ for kind in type(caught.value).__mro__}
    assert ERRORS[status] in names
    assert caught.value.body["error"]["message"] == "that is wrong"
    assert caught.value.request_id


async def test_an_error_in_a_stream(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("one two three four", error=llm.OverloadedError("no more"), error_after=4)
    with pytest.raises(anthropic.APIStatusError, match="no more"):
        async with client.messages.stream(**ASKED) as stream:
            async for _ in stream:
                pass


async def test_leaving_is_seen(fake_llm_server: FakeServer, client: Any):
    fake_llm_server.reply("one two three four", stall_after=600)
    async with client.messages.stream(**ASKED) as stream:
        async for _ in stream:
            break
    assert await fake_llm_server.disconnected()
