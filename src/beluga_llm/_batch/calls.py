"""`ChatModel.batch` and `ChatModel.batch_as_completed`: one call for each input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sized
from typing import TYPE_CHECKING, Any, cast

import msgspec

from beluga_llm._batch.progress import Counter, Listener, shown
from beluga_llm._batch.workers import Items, Workers, places
from beluga_llm._closing import until_done
from beluga_llm._messages import AIMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._usage import NO_USAGE
from beluga_llm._validate import MessageInput

if TYPE_CHECKING:
    from beluga_llm._keywords import CallKeywords
    from beluga_llm._model import ChatModel


class BatchResult(msgspec.Struct, frozen=True):
    """What came of one input of a batch.

    Attributes:
        index: its place among the inputs, from 0.
        message: the answer; None where the call failed.
        error: what it failed with; None where it did not.
    """

    index: int
    message: AIMessage | None = None
    error: Exception | None = None


class Batch:
    """The calls of one batch.

    Args:
        model: who is asked.
        inputs: any iterable, also an asynchronous one.
        max_concurrency: how many calls may be under way; None is what the model is configured with.
        options: a layer of options under the keywords.
        keywords: options of every call.

    Raises:
        InvalidRequestError: `max_concurrency` is none.
    """

    def __init__(
        self,
        model: ChatModel,
        inputs: Items[MessageInput],
        *,
        max_concurrency: int | None,
        options: GenerateOptions | None,
        keywords: CallKeywords,
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._limit = places(max_concurrency, model._config.max_concurrency)
        self._options = options
        self._keywords: Any = dict(keywords)
        if (tools := keywords.get("tools")) is not None:
            self._keywords["tools"] = tuple(tools)  # an iterator would serve one call only

    async def run(
        self, *, return_exceptions: bool, progress: bool | Listener
    ) -> list[AIMessage | Exception]:
        """The answers in the order of the inputs."""
        results: dict[int, AIMessage | Exception] = {}
        total = len(self._inputs) if isinstance(self._inputs, Sized) else None

        async def answer(index: int, messages: MessageInput) -> None:
            result = await self._result(index, messages)
            if result.error is not None and not return_exceptions:
                result.error.add_note(f"batch item {index}")
                raise result.error
            results[index] = cast("AIMessage | Exception", result.message or result.error)
            usage = NO_USAGE if result.message is None else result.message.usage
            counter.add(failed=result.error is not None, usage=usage)

        with shown(progress) as tell:
            counter = Counter(total, tell)
            await Workers(answer, self._inputs, limit=self._limit).run()
        return [results[index] for index in range(len(results))]

    async def as_completed(self) -> AsyncGenerator[BatchResult, None]:
        """The results as they are there; at most `max_concurrency` of them wait to be read."""
        ready = asyncio.Queue[BatchResult | None]()
        room = asyncio.Semaphore(self._limit)

        async def answer(index: int, messages: MessageInput) -> None:
            result = await self._result(index, messages)
            await room.acquire()
            ready.put_nowait(result)

        task = asyncio.create_task(Workers(answer, self._inputs, limit=self._limit).run())
        task.add_done_callback(lambda _: ready.put_nowait(None))
        try:
            while (result := await ready.get()) is not None:
                room.release()
                yield result
            task.result()  # raises what reading the inputs raised
        finally:
            task.cancel()
            await until_done(task)
            if not task.cancelled():
                task.exception()  # has been raised, or nobody is left to hear of it

    async def _result(self, index: int, messages: MessageInput) -> BatchResult:
        try:
            message = await self._model.generate(messages, options=self._options, **self._keywords)
        except Exception as error:  # noqa: BLE001 -- raised, or handed out
            return BatchResult(index, error=error)
        return BatchResult(index, message)
