"""What is put around chunks on their way: an end in time, errors of ours, a scope for each read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from beluga_llm._call import Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._deadline import Reads
from beluga_llm._errors import BelugaError, ConnectionFailedError, RequestTimeoutError


async def limited(chunks: Chunks, deadline: Callable[[], float | None]) -> Chunks:
    """Chunks that end with an error at the deadline, whatever makes them waits for."""
    reads = Reads(chunks.__anext__, deadline)
    try:
        async for chunk in reads:
            yield chunk
    finally:
        reads.close()
        await chunks.aclose()


async def foreign(chunks: Chunks, model_id: str = "") -> Chunks:
    """A provider that is not ours: its network errors and time-outs become errors of ours.

    Where it does not say which model answered, it is the one that was asked.
    """
    named = not model_id
    try:
        async for chunk in chunks:
            named = named or bool(getattr(chunk, "model_id", None))
            yield chunk
        if not named:
            yield StreamChunk(model_id=model_id)
    except BelugaError:
        raise
    except TimeoutError as error:
        raise RequestTimeoutError(str(error) or "timed out") from error
    except OSError as error:
        raise ConnectionFailedError(str(error) or type(error).__name__) from error
    finally:
        await chunks.aclose()


class pull:  # noqa: N801 -- reads as the function it is to its users
    """Iterates chunks with a context manager around each read, never across a yield.

    Args:
        chunks: what to iterate.
        around: makes a context manager, plain or async, for each read; None for none.
    """

    __slots__ = ("_around", "_next")

    def __init__(
        self,
        chunks: AsyncIterator[StreamChunk],
        *,
        around: Callable[[], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]
        | None = None,
    ) -> None:
        self._next = chunks.__anext__
        self._around = around

    def __aiter__(self) -> pull:
        return self

    async def __anext__(self) -> StreamChunk:
        if self._around is None:
            return await self._next()
        scope = self._around()
        if isinstance(scope, AbstractAsyncContextManager):
            async with scope:
                return await self._next()
        with scope:
            return await self._next()
