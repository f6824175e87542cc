"""The streamed tool loop: the chunks of every turn, and the ends of its calls between them.

Theory of operation. The items come from one async generator, which holds nothing open by itself:
the stream of the turn and the task that runs its tools belong to the `ToolStream`, whose `async
with` closes them when it is left, however it is left. The tools of a turn run in a task group
inside that one task; the generator only waits for it, so nothing is yielded inside a scope.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, Unpack

from beluga_llm._call import running
from beluga_llm._chat_stream import ChatStream
from beluga_llm._chunks import StreamChunk
from beluga_llm._closing import close_each, until_done
from beluga_llm._delegating import as_model
from beluga_llm._messages import AIMessage, Message
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions
from beluga_llm._tools.calling import ToolEvent
from beluga_llm._tools.loop import Rounds, ToolRun
from beluga_llm._tools.settings import AfterTool, BeforeTool, OnError, OnToolError, ToolSettings
from beluga_llm._tools.toolset import Runnable
from beluga_llm._usage import Usage
from beluga_llm._validate import MessageInput

if TYPE_CHECKING:
    from beluga_llm._keywords import LoopKeywords

Item: TypeAlias = StreamChunk | ToolEvent


class ToolStream:
    """A tool loop as it happens: iterate it inside `async with`.

    Leaving the block closes the connection at once, and cancels and awaits the tools that run.
    """

    def __init__(self, model: ChatModel | str, rounds: Rounds) -> None:
        self._model = model
        self._rounds = rounds
        self._items: AsyncGenerator[Item, None] | None = None
        self._made: ChatModel | None = None
        self._stream: ChatStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._run: ToolRun | None = None

    async def __aenter__(self) -> Self:
        if self._items is not None:
            raise RuntimeError("stream can be iterated only once")
        self._items = self._play()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        items = self._items
        assert items is not None  # noqa: S101 -- for type checkers: it was entered
        if running(items):
            raise RuntimeError("stream is being read by another task: cancel that task instead")
        if self._task is not None:
            self._task.cancel()
        closers: list[Callable[[], Awaitable[None]]] = [items.aclose]
        if self._stream is not None:
            closers.append(functools.partial(self._stream.__aexit__, kind, error, traceback))
        if self._task is not None:
            closers.append(functools.partial(_ended, self._task))
        if self._made is not None:
            closers.append(self._made.aclose)
        for problem in await close_each(closers):
            raise problem

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    def __anext__(self) -> Awaitable[Item]:
        if self._items is None:
            raise RuntimeError("iterate it inside `async with stream_tools(...) as stream`")
        return self._items.__anext__()

    async def _play(self) -> AsyncGenerator[Item, None]:
        rounds = self._rounds
        if isinstance(self._model, ChatModel):
            model = self._model
        else:
            model = self._made = as_model(self._model)
        rounds.ask(model)
        while True:
            self._stream = model.stream(**rounds.begin())
            async for chunk in self._stream:
                yield chunk
            slots = rounds.hear(await self._stream.response())
            if not slots:
                break
            task = self._task = asyncio.create_task(rounds.call())
            for slot in slots:
                await asyncio.wait((slot, task), return_when=asyncio.FIRST_COMPLETED)
                if not slot.done():
                    break
                yield slot.result()
            await task
        self._run = rounds.run()

    @property
    def run(self) -> ToolRun:
        """The loop that came to its end.

        Raises:
            RuntimeError: it has not come to it.
        """
        if self._run is None:
            raise RuntimeError("the tool loop has not come to its end")
        return self._run

    @property
    def message(self) -> AIMessage:
        """The answer of this turn so far."""
        return AIMessage() if self._stream is None else self._stream.message

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far: what was given, and all whole answers with their results.

        It can be gone on with: a call that has no result has one that says so.
        """
        return self._rounds.messages

    @property
    def usage(self) -> Usage:
        """Tokens of all whole answers so far."""
        return self._rounds.usage


async def _ended(task: asyncio.Task[None]) -> None:
    """Waits for a task that was cancelled; nobody asks for what it failed with."""
    await until_done(task)
    if not task.cancelled():
        task.exception()


def stream_tools(
    model: ChatModel | str,
    messages: MessageInput,
    tools: Iterable[Runnable],
    *,
    max_rounds: int = 10,
    parallel: bool = True,
    tool_timeout: float | None = None,
    tool_retries: int = 0,
    on_error: OnError = "raise",
    before_tool: BeforeTool | None = None,
    after_tool: AfterTool | None = None,
    on_tool_error: OnToolError | None = None,
    options: GenerateOptions | None = None,
    **keywords: Unpack[LoopKeywords],
) -> ToolStream:
    """`run_tools` as it happens: the chunks of every turn, and a ToolEvent for each call.

        async with stream_tools(model, "What is the weather in Lisbon?", [weather]) as stream:
            async for item in stream:
                if isinstance(item, ToolEvent):
                    print(f"{item.call.name}: {item.result.text}")
                else:
                    print(item.delta, end="")
        print(stream.run.response.text)

    It takes the same arguments and raises the same errors, from the iteration. The events of a
    turn come in the order of its calls, each as soon as it and those before it have ended.
    `timeout=` is for the stream of one turn; tools have `tool_timeout=`.
    """
    settings = ToolSettings(
        max_rounds=max_rounds,
        parallel=parallel,
        tool_timeout=tool_timeout,
        tool_retries=tool_retries,
        on_error=on_error,
        before_tool=before_tool,
        after_tool=after_tool,
        on_tool_error=on_tool_error,
    )
    rounds = Rounds(messages, tools, settings=settings, options=options, keywords=keywords)
    return ToolStream(model, rounds)
