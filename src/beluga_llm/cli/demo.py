"""`beluga-llm demo`: what the library does, shown on the embedded model.

Everything takes the real way: a server on loopback, HTTP, server-sent events. Each scene is a
function of the model, short enough to read as an example.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import click
from rich.console import Console
from rich.text import Text

import beluga_llm as llm
from beluga_llm.cli._choice import DEMO
from beluga_llm.cli._session import opened_model, usage_line
from beluga_llm.cli._shared import debug_option, on_terminal


class Stage:
    """Where scenes appear: coloured on a terminal, plain elsewhere, never wrapped."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)

    def title(self, text: str, code: str) -> None:
        """What comes next, and the call that does it."""
        self._console.print(Text.assemble("\n", (text, "bold"), ": ", (code, "cyan")))

    def show(self, text: str, style: str = "", end: str = "\n") -> None:
        """Some text."""
        self._console.print(Text(text, style=style), end=end)


Scene: TypeAlias = Callable[[llm.ChatModel, Stage], Awaitable[None]]


async def show_chunks(model: llm.ChatModel, stage: Stage) -> None:
    """A stream, chunk by chunk."""
    stage.title("chunks", 'model.stream("Tell me a story")')
    async with model.stream("Tell me a story") as stream:
        count = 0
        async for chunk in stream:
            if chunk.reasoning_delta:
                stage.show(chunk.reasoning_delta, "dim", end="")
            if chunk.delta:
                if not count and stream.message.thinking:
                    stage.show("")
                stage.show(chunk.delta, ("", "green")[count % 2], end="")
                count += 1
    stage.show("")
    stage.show(f"{count} chunks of text; tokens: {usage_line(stream.usage)}", "dim")


@llm.tool
def weather(city: Literal["Lisbon", "Oslo"], unit: Literal["C", "F"] = "C") -> str:
    """The weather in a city right now."""
    return f"18 {unit} and sunny in {city}"


@llm.tool
async def clock(zone: str = "UTC") -> dict[str, str]:
    """The time of day in a time zone."""
    return {"zone": zone, "time": "12:00"}


async def show_tool_loop(model: llm.ChatModel, stage: Stage) -> None:
    """Two tools that the model calls at once, and the answer that uses their results."""
    stage.title("tools", "run_tools(model, question, [weather, clock])")
    run = await llm.run_tools(
        model, "What is the weather in Lisbon, and the time?", [weather, clock]
    )
    for message in run.messages:
        if isinstance(message, llm.AIMessage):
            for call in message.tool_calls:
                stage.show(f"{call.name}({call.arguments})")
        if isinstance(message, llm.ToolMessage):
            stage.show(f"{message.name} -> {message.text}")
    stage.show(run.response.text)
    stage.show(f"{run.rounds} rounds; tokens: {usage_line(run.usage)}", "dim")


async def show_tool_stream(model: llm.ChatModel, stage: Stage) -> None:
    """The same as it happens: arguments while they arrive, results, then the answer."""
    stage.title("tools, streamed", "stream_tools(model, question, [weather])")
    async with llm.stream_tools(model, "What is the weather in Lisbon?", [weather]) as stream:
        shown: dict[str, Any] = {}
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                stage.show(f"{item.call.name} -> {item.result.text}")
            elif item.tool_calls:
                arguments = llm.partial_args(stream.message.tool_calls[0].arguments)
                if arguments != shown:
                    shown = arguments
                    stage.show(f"weather {json.dumps(shown)}", "dim")
            elif item.delta:
                stage.show(item.delta, end="")
    stage.show("")


@dataclass
class Book:
    """A book to read on a long winter evening."""

    title: Literal["The Voyage of the Beagle", "Pride and Prejudice"]
    pages: int
    genre: Literal["novel", "poetry", "science"] = "novel"


async def show_value(model: llm.ChatModel, stage: Stage) -> None:
    """A value of a type, while it grows and when it is complete."""
    stage.title("a value of a type", 'structured(model, Book).stream("Invent a book")')
    books = llm.structured(model, Book, strategy="native")
    async with books.stream("Invent a book") as stream:
        async for value in stream:
            stage.show(json.dumps(value), "dim")
        stage.show(repr(await stream.result()))


async def show_retry(model: llm.ChatModel, stage: Stage) -> None:
    """A provider that is asked too often, and again when it says so."""
    from beluga_llm.testing import DemoChatModel, FakeServer

    stage.title("a retry after 429", "model.with_middleware(with_retry())")

    def on_retry(call: llm.CallContext, attempt: int, error: Exception, wait: float) -> None:
        stage.show(f"attempt {attempt}: {error}; again in {wait:g} s", "dim")

    async with FakeServer(DemoChatModel()) as server:
        server.reply(status=429, headers={"retry-after": "0.2"})
        url = server.base_url("chat")
        patient = llm.create("openai-compatible/demo", base_url=url).with_middleware(
            llm.with_hooks(llm.Hooks.from_callables(on_retry=on_retry)), llm.with_retry()
        )
        async with patient:
            reply = await patient.generate("Are you there?")
    stage.show(reply.text)


async def show_spans(model: llm.ChatModel, stage: Stage) -> None:
    """What OpenTelemetry is told of calls and tools."""
    from beluga_llm.testing._span_log import SpanLog

    stage.title("spans", "model.with_middleware(with_tracing())")
    log = SpanLog()
    traced = model.with_middleware(llm.with_tracing(log))
    await llm.run_tools(traced, "What is the weather in Lisbon?", [weather])
    for span in log.spans:
        stage.show(f"{span.name}  {span.duration * 1000:.1f} ms")
        for name, value in span.attributes.items():
            stage.show(f"  {name} = {value}", "dim")


SCENES: tuple[Scene, ...] = (
    show_chunks,
    show_tool_loop,
    show_tool_stream,
    show_value,
    show_retry,
    show_spans,
)


@click.command(short_help="Show what the library does, without a key.")
@debug_option
def demo() -> None:
    """Show what the library does; needs no key, no network and no model file.

    A server on this machine answers; the provider "openai-compatible" speaks to it over HTTP.

    \b
    Example:
      beluga-llm demo
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    stage = Stage()
    with asyncio.Runner() as runner, opened_model(runner, DEMO, watched=on_terminal()) as model:
        runner.run(_play(model, stage))


async def _play(model: llm.ChatModel, stage: Stage) -> None:
    async with model:
        for scene in SCENES:
            await scene(model, stage)
