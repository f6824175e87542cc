"""The methods of a model that make many calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from beluga_llm._messages import AIMessage
from beluga_llm._options import GenerateOptions, check_keywords, check_layer
from beluga_llm._validate import MessageInput

if TYPE_CHECKING:
    from beluga_llm._batch.calls import BatchResult
    from beluga_llm._batch.progress import BatchProgress
    from beluga_llm._keywords import CallKeywords

_TOOLS = frozenset(("tools",))


class Batches:
    """What a model can do with many inputs."""

    @overload
    async def batch(
        self,
        inputs: Iterable[MessageInput] | AsyncIterable[MessageInput],
        *,
        max_concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | Callable[[BatchProgress], object] = False,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> list[AIMessage]: ...
    @overload
    async def batch(
        self,
        inputs: Iterable[MessageInput] | AsyncIterable[MessageInput],
        *,
        max_concurrency: int | None = None,
        return_exceptions: bool,
        progress: bool | Callable[[BatchProgress], object] = False,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> list[AIMessage | Exception]: ...
    async def batch(
        self,
        inputs: Iterable[MessageInput] | AsyncIterable[MessageInput],
        *,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
        progress: bool | Callable[[BatchProgress], object] = False,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> Any:
        """The answers to many conversations, in the order of the inputs.

            answers = await model.batch(questions, max_concurrency=20, timeout=60)

        Each is a call like any other, through all middleware.

        Args:
            inputs: what `generate` takes, in any iterable, plain or asynchronous; each is read
                when there is a place for it.
            max_concurrency: how many calls may be under way; None is what the model is configured
                with, 5 where nothing is said.
            return_exceptions: put errors into the list, instead of raising the first one, which
                cancels all other calls and says by a note which item failed.
            progress: True shows a bar on a terminal; or a function that is called after each item.
            options: a layer of options under the keywords.
            **keywords: options of every call. `timeout=` is the time of each item by itself, from
                when it has a place.

        Raises:
            InvalidRequestError: `max_concurrency` is less than 1.
            TypeError: `inputs` is one input.
            BelugaError: a call failed.
            ImportError: the bar was asked for, and rich is not installed.
        """
        made = _batch(self, inputs, max_concurrency, options=options, keywords=keywords)
        return await made.run(return_exceptions=return_exceptions, progress=progress)

    def batch_as_completed(
        self,
        inputs: Iterable[MessageInput] | AsyncIterable[MessageInput],
        *,
        max_concurrency: int | None = None,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> AsyncGenerator[BatchResult, None]:
        """The results of many calls, each as soon as it is there; errors are results too.

            async for result in model.batch_as_completed(questions):
                print(result.index, result.error or result.message.text)

        Takes the arguments of `batch`. Nothing happens before the first iteration. Closing it
        (`aclose()`, or `contextlib.aclosing` around the loop) cancels the calls that are under way
        and waits for their end. Calls wait while nobody reads, so endless inputs will do.
        """
        made = _batch(self, inputs, max_concurrency, options=options, keywords=keywords)
        results: AsyncGenerator[BatchResult, None] = made.as_completed()
        return results


def _batch(
    model: Any, inputs: Any, max_concurrency: int | None, *, options: Any, keywords: Any
) -> Any:
    from beluga_llm._batch.calls import Batch
    from beluga_llm._batch.workers import check_items

    check_keywords(keywords, _TOOLS)
    check_layer(options)
    check_items(inputs)
    return Batch(model, inputs, max_concurrency=max_concurrency, options=options, keywords=keywords)
