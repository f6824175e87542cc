"""The stream that users hold: iterate it, look at it, leave it.

It refers to the generator that drives the call, and that does not refer to it: a stream that is
merely dropped closes its response synchronously, and its generators soon after.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import NoReturn, Self

from beluga_llm._call import Call, Chunks, State, drive, running
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import StreamInterruptedError
from beluga_llm._messages import AIMessage
from beluga_llm._usage import FinishReason, Usage


class ChatStream:
    """An answer as it arrives: iterate it, best inside `async with`.

        async with model.stream("Tell me a story") as stream:
            async for chunk in stream:
                print(chunk.delta, end="")

    Leaving the block, however it is left, closes the connection at once. A stream that fails
    raises a typed error from the loop; one that ends normally is complete. It can be iterated
    once, as chunks or as text.
    """

    __slots__ = ("__weakref__", "_begin", "_call", "_chunks", "_closing", "_iterated")

    def __init__(self, begin: Callable[[Call], Chunks], call: Call) -> None:
        self._begin = begin
        self._call = call
        self._chunks: Chunks | None = None
        self._iterated = False
        self._closing = False

    def __aiter__(self) -> ChatStream:
        if self._iterated:
            raise RuntimeError("stream can be iterated only once")
        self._iterated = True
        return self

    def __anext__(self) -> Awaitable[StreamChunk]:
        chunks = self._chunks
        if chunks is None:
            if self._call.state == "closed":
                raise RuntimeError("stream was closed before it was iterated")
            chunks = self._chunks = drive(self._begin, self._call)
        return chunks.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._call.cancelled = True
        await self.aclose()

    def __del__(self) -> None:
        call = self._call
        if self._chunks is None or call.state != "open" or running(self._chunks):
            return
        loop = call.loop
        if loop is None or loop.is_closed() or loop is asyncio._get_running_loop():
            call.drop()
        else:  # collected in another thread
            loop.call_soon_threadsafe(call.drop)

    def __repr__(self) -> str:
        call = self._call
        model = f"{call.provider}/{call.model_id}"
        return f"<ChatStream {model} {call.state}, {call.chunks + len(call._pending)} chunks>"

    async def aclose(self) -> None:
        """Ends the call: closes every layer, then the connection. Idempotent.

        Raises:
            RuntimeError: another task is reading the stream.
        """
        if self._chunks is None:
            if self._call.state == "pending":
                self._call.state = "closed"
            return
        if self._closing:
            return
        self._not_read()
        self._closing = True
        try:
            await self._chunks.aclose()
        finally:
            self._closing = False
        if self._call.state == "pending":  # made, but never read
            self._call.state = "closed"

    def _not_read(self) -> None:
        if self._chunks is not None and running(self._chunks):
            raise RuntimeError("stream is being read by another task: cancel that task instead")

    def text(self) -> AsyncIterator[str]:
        """The non-empty text of the first answer; this is the one iteration of the stream."""
        return _Text(self.__aiter__())

    async def response(self) -> AIMessage:
        """The final message, after reading what is left. It may be asked again.

        Raises:
            BelugaError: what the stream failed with.
            StreamInterruptedError: the stream was closed before its end.
        """
        self._iterated = True
        self._not_read()
        while self._call.state in ("pending", "open"):
            try:
                await self.__anext__()
            except StopAsyncIteration:
                break
        if self._call.error is not None:
            raise self._call.error
        if self._call.state != "complete":
            raise StreamInterruptedError(
                "stream was closed before its end",
                content_started=self.time_to_first_chunk is not None,
                partial=self.message,
                op=self._call.op,
                provider=self._call.provider or None,
                retryable=False,
            )
        return self.message

    @property
    def message(self) -> AIMessage:
        """The answer so far, at any time."""
        return self._call.message

    @property
    def usage(self) -> Usage:
        """Tokens reported so far."""
        return self._call.fold.usage

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, None until it has."""
        return self._call.fold.finish_reason

    @property
    def model_id(self) -> str | None:
        """The model that answers, as the provider names it; None until it is known."""
        return self._call.fold.model_id

    @property
    def state(self) -> State:
        """pending, open, complete, failed or closed."""
        return self._call.state

    @property
    def error(self) -> BaseException | None:
        """What the stream failed with."""
        return self._call.error

    @property
    def suppressed_error(self) -> Exception | None:
        """The error that a hook had the stream end without."""
        return self._call.suppressed_error

    @property
    def time_to_first_chunk(self) -> float | None:
        """Seconds from the first iteration to the first content, None before."""
        return self._call.time_to_first_chunk


class _Text:
    __slots__ = ("_pieces", "_stream")

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream
        self._pieces: list[str] = []

    def __aiter__(self) -> _Text:
        return self

    async def aclose(self) -> None:
        """Ends the call, as `ChatStream.aclose` does."""
        await self._stream.aclose()

    async def __anext__(self) -> str:
        while True:
            chunk = await self._stream.__anext__()
            if chunk.reset and self._pieces:
                await self._begun_anew()
            if chunk.delta and chunk.choice == 0:
                self._pieces.append(chunk.delta)
                return chunk.delta

    async def _begun_anew(self) -> NoReturn:
        await self._stream.aclose()
        raise StreamInterruptedError(
            "the answer was begun anew after text was shown: iterate chunks to follow that",
            content_started=True,
            partial=AIMessage("".join(self._pieces)),
        )
