"""Named moments inside a call, for code that does not want to wrap it.

    class Audit(Hooks):
        async def after_generate(self, call, response, error):
            await save(call.call_id, response and response.usage)

    model = model.with_middleware(with_hooks(Audit()))

Hooks run in the caller's task, in order, and only those that are defined cost anything. An observer
that fails is logged and ignored; `before_generate` and `on_error` decide, so their errors count.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Sequence
from typing import Any, TypeAlias

from beluga_llm._call import SETTLE_EVERY, CallNext, Chunks
from beluga_llm._call_context import CallContext
from beluga_llm._chunks import StreamChunk
from beluga_llm._events import Event
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ThinkingPart
from beluga_llm._replay import replay
from beluga_llm._request import ChatRequest
from beluga_llm._transcript import Transcript
from beluga_llm._usage import FinishReason
from beluga_llm.middleware._hook_methods import (
    Function,
    Hooks,
    Suppress,
    compose_hooks,
    flat,
)

logger = logging.getLogger("beluga_llm.hooks")


class _ObserverError(Exception):
    """Carries what a strict observer raised within the call past `on_error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


_Bound: TypeAlias = tuple[tuple[Function, bool], ...]


class HooksLayer:
    """The layer of `with_hooks`."""

    def __init__(self, hooks: Hooks) -> None:
        self._all = flat(hooks)
        self._before = self._defined("before_generate")
        self._after = self._defined("after_generate")
        self._stream = self._defined("on_stream")
        self._tool_call = self._defined("on_tool_call")
        self._reasoning = self._defined("on_reasoning")
        self._error = self._defined("on_error")
        self._cancel = tuple((method, False) for method, _ in self._defined("on_cancel"))
        self._retry = self._defined("on_retry")
        self._hears = any(
            (self._after, self._tool_call, self._reasoning, self._error, self._cancel)
        )

    def _defined(self, name: str) -> _Bound:
        usual = getattr(Hooks, name)
        methods = ((getattr(hooks, name), hooks.strict) for hooks in self._all)
        return tuple(
            (method, strict)
            for method, strict in methods
            if getattr(method, "__func__", method) is not usual
        )

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the answer, told to the hooks."""
        call = CallContext(request)
        for method, _ in self._before:
            await _result(method(call))
        heard, hears = Transcript(), self._hears
        pending = heard.pending
        watched = request.streaming and (self._stream or self._reasoning)
        instead: Sequence[StreamChunk] = ()
        listener = self._listen(request, call)
        try:
            async for chunk in call_next(request):
                if hears:
                    pending.append(chunk)
                    if len(pending) >= SETTLE_EVERY:
                        heard.settle()
                if watched:
                    await self._within(self._chunk(call, chunk))
                yield chunk
        except _ObserverError as failed:
            await self._observe(self._after, call, heard.partial(), failed.error)
            raise failed.error from failed.error.__cause__
        except Exception as error:  # noqa: BLE001 -- raised again, unless a hook says otherwise
            instead = await self._failed(request, call, heard, error)
        except asyncio.CancelledError:
            await self._observe(self._cancel, call, heard.partial())
            raise
        except GeneratorExit:
            await self._left(request, call, heard)
            raise
        else:
            await self._complete(request, call, heard.message())
        finally:
            if listener is not None and request.call is not None:
                request.call.listeners.remove(listener)
        for chunk in instead:
            yield chunk

    def _listen(self, request: ChatRequest, call: CallContext) -> Function | None:
        """Puts a listener for retries on the call, if a hook wants to know."""
        if not self._retry or request.call is None:
            return None

        async def hear(event: Event) -> None:
            if event.name == "retry":
                facts = event.facts["attempt"], event.facts["error"], event.facts["wait"]
                await self._within(self._observe(self._retry, call, *facts))

        request.call.listeners.append(hear)
        return hear

    async def _chunk(self, call: CallContext, chunk: StreamChunk) -> None:
        await self._observe(self._stream, call, chunk)
        if chunk.reasoning_delta:
            await self._observe(self._reasoning, call, chunk.reasoning_delta)

    async def _within(self, observing: Awaitable[None]) -> None:
        """Observers within the call: an error of theirs is not the call's own."""
        try:
            await observing
        except Exception as error:  # noqa: BLE001 -- raised again, at the end of the call
            raise _ObserverError(error) from None

    async def _complete(self, request: ChatRequest, call: CallContext, message: AIMessage) -> None:
        try:
            if not request.streaming:
                for part in message.parts:
                    if isinstance(part, ThinkingPart):
                        await self._observe(self._reasoning, call, part.text)
            for tool_call in message.tool_calls:
                await self._observe(self._tool_call, call, tool_call)
        except Exception as error:  # of a strict observer
            await self._observe(self._after, call, message, error)
            raise
        await self._observe(self._after, call, message, None)

    async def _left(self, request: ChatRequest, call: CallContext, heard: Transcript) -> None:
        """A stream was closed before its end, by its consumer or because of a cancellation."""
        if getattr(request.call, "cancelled", False):
            await self._observe(self._cancel, call, heard.partial())
            return
        call.closed_early = True
        await self._observe(self._after, call, heard.partial(), None)

    async def _failed(
        self, request: ChatRequest, call: CallContext, heard: Transcript, error: Exception
    ) -> Sequence[StreamChunk]:
        """What is said instead of an error that a hook suppresses.

        Raises:
            Exception: the error, or what a hook made of it.
        """
        current = error
        for method, _ in self._error:
            try:
                word = await _result(method(call, current))
            except Exception as raised:  # noqa: BLE001 -- a raised error replaces the former one
                word = raised
            if isinstance(word, Suppress):
                instead = _instead(request, heard, word, error)
                for chunk in instead:
                    heard.hear(chunk)
                    if request.streaming:
                        await self._chunk(call, chunk)
                await self._observe(self._after, call, heard.message(), None)
                return instead
            if isinstance(word, Exception):
                current = word
        await self._observe(self._after, call, heard.partial(), current)
        raise current  # the error itself, or another one in its context

    async def _observe(self, methods: _Bound, *facts: Any) -> None:
        for method, strict in methods:
            try:
                if (answer := method(*facts)) is not None:
                    await _result(answer)
            except Exception:
                if strict:
                    raise
                logger.exception("a hook failed: %s", getattr(method, "__qualname__", method))

    def __repr__(self) -> str:
        return f"with_hooks({', '.join(type(hooks).__name__ for hooks in self._all)})"


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _instead(
    request: ChatRequest, heard: Transcript, suppressed: Suppress, error: Exception
) -> Sequence[StreamChunk]:
    """The chunks that end a call whose error was suppressed.

    What the consumer of a stream was shown stays; a whole answer is replaced.
    """
    if request.call is not None:
        request.call.suppressed_error = error
    ends = [StreamChunk(finish_reason=FinishReason.ERROR)]
    if suppressed.message is None:
        return ends
    if not request.streaming:
        return [StreamChunk(reset=True), *replay(suppressed.message)]
    shown = heard.partial()
    if shown is not None and (shown.parts or shown.tool_calls or shown.refusal):
        return ends
    return [*replay(suppressed.message), *ends]


def with_hooks(*hooks: Hooks) -> HooksLayer:
    """A layer that calls hooks at their moments; see `Hooks`.

    Put it outermost but for guards, so that it sees each call once.
    """
    return HooksLayer(compose_hooks(*hooks))
