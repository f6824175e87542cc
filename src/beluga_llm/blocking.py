"""Models for programs without an event loop: scripts, command lines, threads of a web server.

    from beluga_llm import blocking

    reply = blocking.generate("openai/gpt-4o-mini", "What is 2+2?")
    with blocking.stream("openai/gpt-4o-mini", "Tell me a story") as stream:
        for chunk in stream:
            print(chunk.delta, end="", flush=True)

All calls of a process, from any number of threads, share one event loop in a daemon thread. It
starts with the first call and ends with the process, or with `close()`; then the models that were
used are closed too, named ones and those that you still hold. Keep a model as long as you use it,
so that its connections are kept, and end one early with `run(model.aclose())`. Ctrl-C cancels the
call and disconnects. Where an event loop runs already, these functions raise RuntimeError: use the
model's own methods there.

`run` does the same for everything else that is awaited:

    answer = blocking.run(llm.run_tools(model, "What is the weather in Lisbon?", [weather]))
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from beluga_llm._closing import until_done
from beluga_llm._loop_thread import LoopThread, end_loop_thread, loop_thread, refuse_running_loop

if TYPE_CHECKING:
    from beluga_llm._call import State
    from beluga_llm._chat_stream import ChatStream
    from beluga_llm._chunks import StreamChunk
    from beluga_llm._keywords import LoopKeywords
    from beluga_llm._messages import AIMessage
    from beluga_llm._model import ChatModel
    from beluga_llm._options import GenerateOptions
    from beluga_llm._usage import FinishReason, Usage
    from beluga_llm._validate import MessageInput, ToolInput

__all__ = ["BlockingStream", "close", "generate", "run", "stream"]

T = TypeVar("T")


def generate(
    model: ChatModel | str,
    messages: MessageInput,
    *,
    options: GenerateOptions | None = None,
    tools: Iterable[ToolInput] = (),
    **keywords: Unpack[LoopKeywords],
) -> AIMessage:
    """The whole answer to a conversation.

    Args:
        model: a model, or "provider/model" as for `create`; a model that is named is made once,
            with the environment's key, and kept until `close`.
        messages: a str, a message, or a sequence of both.
        options: a layer of options under the keywords.
        tools: tools of this call, beside the bound ones.
        **keywords: further options of this call, as for `ChatModel.generate`.

    Raises:
        RuntimeError: the calling thread runs an event loop.
        BelugaError: the call failed; the class says how.
    """
    refuse_running_loop("generate", "await model.generate(...)")
    thread = loop_thread()
    asked = thread.model(model) if isinstance(model, str) else model

    async def ask() -> AIMessage:
        thread.close_at_end(asked)
        return await asked.generate(messages, options=options, tools=tools, **keywords)

    return thread.wait_for(ask())


def stream(
    model: ChatModel | str,
    messages: MessageInput,
    *,
    options: GenerateOptions | None = None,
    tools: Iterable[ToolInput] = (),
    **keywords: Unpack[LoopKeywords],
) -> BlockingStream:
    """The answer as it arrives; nothing happens before the first iteration.

    Takes the same arguments as `generate`. Errors of the call are raised from the iteration.

    Raises:
        RuntimeError: the calling thread runs an event loop.
    """
    refuse_running_loop("stream", "model.stream(...)")
    thread = loop_thread()
    asked = thread.model(model) if isinstance(model, str) else model
    return BlockingStream(
        thread, asked, asked.stream(messages, options=options, tools=tools, **keywords)
    )


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, run to its end on the loop of the other calls.

    A model that is used in here alone is closed by `run(model.aclose())`.

    Raises:
        RuntimeError: the calling thread runs an event loop.
    """
    try:
        refuse_running_loop("run", "await")
    except RuntimeError:
        coroutine.close()
        raise
    return loop_thread().wait_for(coroutine)


def close() -> None:
    """Ends the loop and its thread, and closes the models that were used; idempotent.

    Calls of other threads that are under way end with a RuntimeError. A later call starts anew. At
    the end of the process this happens by itself.

    Raises:
        ExceptionGroup: models failed to close; all were tried.
    """
    refuse_running_loop("close", "await asyncio.to_thread(blocking.close)")
    end_loop_thread()


class BlockingStream:
    """An answer as it arrives, for a `for` loop: what `ChatStream` is for `async for`.

    Leaving its `with` block, however it is left, closes the connection at once. A stream that
    fails raises a typed error from the loop; one that ends normally is complete. It can be
    iterated once, as chunks or as text, by one thread at a time; any thread may close it.
    """

    def __init__(self, thread: LoopThread, model: ChatModel, stream: ChatStream) -> None:
        self._thread = thread
        self._model = model
        self._stream = stream
        self._context = contextvars.copy_context()  # one for all steps, as in one task
        self._reading: asyncio.Task[Any] | None = None
        self._broken_off = False

    def __iter__(self) -> Self:
        self._stream.__aiter__()  # once only
        return self

    def __next__(self) -> StreamChunk:
        chunk = self._next(self._stream)
        if chunk is None:
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._stream).replace("<ChatStream", "<BlockingStream", 1)

    def close(self) -> None:
        """Ends the call: closes every layer, then the connection. Idempotent.

        A thread that waits for the next chunk meanwhile gets a StreamInterruptedError.
        """
        if not self._thread.closed:  # else it has been closed with everything
            self._wait_for(self._close)

    async def _close(self) -> None:
        if self._reading is not None:
            self._broken_off = self._reading.cancel()
            await until_done(self._reading)
        await self._stream.aclose()

    def text(self) -> Iterator[str]:
        """The non-empty text of the first answer; this is the one iteration of the stream."""
        return self._each(self._stream.text())

    def response(self) -> AIMessage:
        """The final message, after reading what is left. It may be asked again.

        Raises:
            BelugaError: what the stream failed with.
            StreamInterruptedError: the stream was closed before its end.
        """
        return self._read(self._stream.response)

    @property
    def message(self) -> AIMessage:
        """The answer so far, at any time."""
        return self._stream.message

    @property
    def usage(self) -> Usage:
        """Tokens reported so far."""
        return self._stream.usage

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, None until it has."""
        return self._stream.finish_reason

    @property
    def model_id(self) -> str | None:
        """The model that answers, as the provider names it; None until it is known."""
        return self._stream.model_id

    @property
    def state(self) -> State:
        """pending, open, complete, failed or closed."""
        return self._stream.state

    @property
    def error(self) -> BaseException | None:
        """What the stream failed with."""
        return self._stream.error

    @property
    def suppressed_error(self) -> Exception | None:
        """The error that a hook had the stream end without."""
        return self._stream.suppressed_error

    @property
    def time_to_first_chunk(self) -> float | None:
        """Seconds from the first iteration to the first content, None before."""
        return self._stream.time_to_first_chunk

    def _each(self, items: AsyncIterator[T]) -> Iterator[T]:
        while (item := self._next(items)) is not None:
            yield item

    def _next(self, items: AsyncIterator[T]) -> T | None:
        """The next item, None at the end."""

        async def step() -> T | None:
            try:
                return await anext(items)
            except StopAsyncIteration:
                return None  # given as a default, it has CPython crash: see streams.py

        return self._read(step)

    def _read(self, function: Callable[[], Awaitable[T]]) -> T:
        async def step() -> T:
            self._thread.close_at_end(self._model)
            self._thread.close_at_end(self._stream)
            self._reading = asyncio.current_task()
            try:
                return await function()
            finally:
                self._reading = None

        try:
            return self._wait_for(step)
        except asyncio.CancelledError:
            if self._broken_off:
                self._wait_for(self._stream.response)  # raises: it says that it was closed
            raise

    def _wait_for(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        refuse_running_loop("stream", "model.stream(...)")
        return self._thread.wait_for(function(), self._context)
