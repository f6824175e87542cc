"""The tool loop over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Literal

import pytest
from support.oracle import request_problems
from support.tools import Loop, both, calling, results

import beluga_llm as llm
from beluga_llm.testing import FakeServer, demo_server

LONG = "word " * 2000
IMAGE = llm.ImagePart(data=b"\x89PNG\r\n\x1a\n....")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """In a thread of its own, so that all tasks of the test's loop are ours."""
    with FakeServer() as running:
        yield running


def connect(server: FakeServer, api: str = "chat") -> llm.ChatModel:
    return llm.create("openai-compatible/m", base_url=server.base_url(api), api=api)


def weather(city: Literal["Lisbon", "Oslo"]) -> dict[str, int]:
    """The weather in a city."""
    return {city: len(city)}


async def hang() -> None:
    """Hangs."""
    await asyncio.Event().wait()


@pytest.mark.row("TOOL-17", "TOOL-23")
@both
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_calls_results_and_the_answer_go_over_the_wire(
    server: FakeServer, loop: Loop, api: str
):
    answer = calling(("weather", {"city": "Oslo"}), ("wind", {}), ("weather", '{"city": "Os'))
    server.reply(answer)
    server.reply("It is fine.")
    async with connect(server, api) as model:
        run = await loop(model, "How is it in Oslo?", tools=[weather])
    assert run.response.text == "It is fine."
    told = results(run)
    assert told[:2] == [
        ('{"Oslo":4}', False),
        ("unknown tool 'wind'; the tools are: weather", True),
    ]
    assert 'The arguments were: {"city": "Os' in told[2][0]
    assert run.usage.output_tokens
    _, second = server.requests
    assert all(text in second.body.decode().replace("\\", "") for text in ('{"Oslo":4}', "wind"))


@pytest.mark.row("CLI-07", "TOOL-17")
@both
async def test_the_demo_model_uses_tools(loop: Loop):
    async with demo_server() as url:
        name = "openai-compatible/demo"
        model = llm.create(name, base_url=url)
        async with model:
            run = await loop(model, "How is the weather?", tools=[weather])
    assert run.response.text == 'weather says: {"Lisbon":6}'
    assert run.rounds == 2


@pytest.mark.row("TOOL-09")
async def test_an_image_is_a_result_where_the_provider_takes_it(server: FakeServer):
    pytest.importorskip("beluga_llm_anthropic")
    server.reply(calling(("look", {})))
    server.reply("A picture.")

    def look() -> list[str | llm.ImagePart]:
        return ["Here:", IMAGE]

    model = llm.create("anthropic/m", base_url=server.base_url("messages"), api_key="k")
    async with model:
        run = await llm.run_tools(model, "Look", [look])
    assert run.response.text == "A picture."
    (block,) = server.requests[1].json["messages"][-1]["content"]
    assert [part["type"] for part in block["content"]] == ["text", "image"]


VENDORS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "openai/gpt-5": ("chat", "openai", "chat_completions", {"api": "chat"}),
    "openai/gpt-5.4": ("responses", "openai", "responses", {"api": "responses"}),
    "anthropic/claude-sonnet-4-5": ("messages", "anthropic", "messages", {}),
    "google/gemini-3-pro": ("generate_content", "google", "generateContent", {}),
    "mistral/mistral-large-latest": ("chat", "mistral", "chat_completions", {}),
    "cohere/command-a-03-2025": ("cohere", "cohere", "chat", {}),
    "ollama/llama3.2": ("ollama", "ollama", "chat", {}),
    "bedrock/m": ("converse", "bedrock", "converse", {"region": "us-east-1"}),
}
"""Wire format, the oracle's provider and API, further fields."""


@pytest.mark.row("TOOL-17", "TOOL-18", "REAS-14")
@both
@pytest.mark.parametrize("name", VENDORS)
async def test_requests_of_later_rounds_keep_the_vendors_rules(
    server: FakeServer, loop: Loop, name: str
):
    """Reasoning, odd ids, no arguments, results that failed, are empty, or are no objects."""
    provider = name.partition("/")[0]
    pytest.importorskip(f"beluga_llm_{provider}")
    wire, oracle, api, fields = VENDORS[name]
    first = llm.AIMessage(
        [llm.ThinkingPart("hm", signature="c2ln", provider=provider), "Let me see."],
        tool_calls=[
            llm.ToolCall("id-é/1", "weather", {"city": "Oslo"}),
            llm.ToolCall("2", "nothing"),
            llm.ToolCall("3", "wind", {"x": 1}),
        ],
        finish_reason="tool_calls",
    )
    second = calling(("weather", {"city": 1}), ("several", {}), ("empty", {}))
    for answer in (first, second, "It is fine."):
        server.reply(answer)

    def nothing() -> None:
        """Nothing."""

    def several() -> list[int]:
        return [1, 2]

    def empty() -> str:
        return ""

    tools = [weather, nothing, several, empty]
    async with llm.create(name, base_url=server.base_url(wire), api_key="k", **fields) as model:
        run = await loop(model, [llm.SystemMessage("Be exact."), "Oslo?"], tools=tools)
    assert (run.rounds, run.response.text) == (3, "It is fine.")
    assert [failed for _, failed in results(run)] == [False, False, True, True, False, False]
    bodies = [seen.json for seen in server.requests]
    assert request_problems(oracle, api, bodies) == [[], [], []]


@pytest.mark.row("TOOL-23", "PAIN-03")
@pytest.mark.parametrize("turn", [1, 2])
async def test_leaving_a_stream_of_any_turn_disconnects(server: FakeServer, turn: int):
    measured = []
    for _ in range(3):  # a busy machine may spoil two measurements, not three
        server.reset()
        if turn == 2:
            server.reply(calling(("weather", {"city": "Oslo"})))
        server.reply(LONG, chunk_delay=0.001)
        async with connect(server) as model:
            async with llm.stream_tools(model, "hi", [weather]) as stream:
                async for item in stream:
                    if isinstance(item, llm.StreamChunk) and item.delta:
                        break
            left = time.monotonic()
            gone = await server.disconnected(server.requests[-1], within=20.0)
        assert len(asyncio.all_tasks()) == 1
        measured.append(gone - left)
        if measured[-1] < 0.1:
            return
    pytest.fail(f"seconds until the server saw it: {measured}")


@pytest.mark.row("TOOL-17", "CHAT-09")
@both
async def test_a_cancelled_loop_leaves_nothing(server: FakeServer, loop: Loop):
    server.reply(calling(("hang", {}), ("hang", {})))
    begun = asyncio.Event()
    async with connect(server) as model:
        task = asyncio.ensure_future(
            loop(model, "hi", tools=[hang], before_tool=lambda call: begun.set())
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model._transport.connections == 0  # type: ignore[attr-defined]  # an HttpModel's
        assert len(asyncio.all_tasks()) == 1
