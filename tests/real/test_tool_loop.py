"""The tool loop against a real server: llama.cpp, through its three endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.tools import Loop, both, results

import beluga_llm as llm

KINDS = ["chat", "responses", "messages"]


@pytest.fixture(params=KINDS)
async def model(request: pytest.FixtureRequest, llama: str) -> AsyncIterator[llm.ChatModel]:
    if request.param == "messages":
        made = llm.create("anthropic/tiny-chat", base_url=llama, api_key="key")
    else:
        made = llm.create("openai-compatible/tiny-chat", base_url=f"{llama}/v1", api=request.param)
    async with made.with_options(temperature=0, max_tokens=200) as model:
        yield model


@llm.tool
async def weather(city: str) -> str:
    """Get the weather of a city"""
    return f"sunny in {city}"


@pytest.mark.row("TOOL-17")
@both
async def test_a_single_call(model: llm.ChatModel, loop: Loop) -> None:
    run = await loop(model, "What is the weather in Oslo?", tools=[weather])
    assert results(run) == [("sunny in Oslo", False)]
    assert run.response.text
    assert run.response.finish_reason == "stop"
    assert run.rounds == 2
    assert run.usage.output_tokens


@pytest.mark.row("TOOL-17")
@both
async def test_parallel_calls_run_at_once(model: llm.ChatModel, loop: Loop) -> None:
    together = asyncio.Barrier(2)

    @llm.tool(name="weather", description="Get the weather of a city")
    async def meet(city: str) -> str:
        await together.wait()
        return f"sunny in {city}"

    run = await loop(model, "What is the weather in Tokyo and Rome?", tools=[meet])
    assert results(run) == [("sunny in Tokyo", False), ("sunny in Rome", False)]
    assert run.response.text


@pytest.mark.row("TOOL-09", "TOOL-12")
@both
async def test_failures_are_told(model: llm.ChatModel, loop: Loop) -> None:
    @llm.tool(name="weather", description="Get the weather of a city")
    async def fail(city: str) -> str:
        if city == "Rome":
            await asyncio.Event().wait()
        raise llm.ToolError("the station is down")

    run = await loop(
        model, "What is the weather in Tokyo and Rome?", tools=[fail], tool_timeout=0.05
    )
    assert results(run) == [
        ("the station is down", True),
        ("'weather' gave no result within 0.05 s", True),
    ]
    assert run.response.text


@pytest.mark.row("TOOL-23")
async def test_a_stream_shows_the_turns_and_the_calls(model: llm.ChatModel) -> None:
    order: list[str] = []
    async with llm.stream_tools(model, "What is the weather in Oslo?", [weather]) as stream:
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                order.append(f"event {item.result.text}")
            elif item.tool_calls:
                order.append("arguments")
                llm.partial_args(stream.message.tool_calls[0].arguments)
            elif item.delta:
                order.append("text")
    assert order[0] == "arguments"
    assert "event sunny in Oslo" in order
    assert order[-1] == "text"
    assert stream.run.rounds == 2
