"""What people write to hear of moments inside a call; `hooks.py` is the layer that calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from beluga_llm._call_context import CallContext
from beluga_llm._chunks import StreamChunk
from beluga_llm._messages import AIMessage
from beluga_llm._tool_types import ToolCall

Function: TypeAlias = Callable[..., Any]


@frozen
class Suppress:
    """What `on_error` returns to have the call end without the error.

    Attributes:
        message: the response instead; None: what had arrived, with the finish reason "error".
    """

    message: AIMessage | None = None


class Hooks:
    """Methods that are called at certain moments; all may be async, and all are optional.

    Args:
        strict: raise what observers raise, instead of logging it; but for `on_cancel`, since a
            cancellation stays one.
    """

    strict: bool = False

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    @classmethod
    def from_callables(
        cls,
        *,
        before_generate: Function | None = None,
        after_generate: Function | None = None,
        on_stream: Function | None = None,
        on_tool_call: Function | None = None,
        on_reasoning: Function | None = None,
        on_error: Function | None = None,
        on_cancel: Function | None = None,
        on_retry: Function | None = None,
        strict: bool = False,
    ) -> Hooks:
        """Hooks made of functions that take what the methods take."""
        made = cls(strict=strict)
        given = {
            "before_generate": before_generate,
            "after_generate": after_generate,
            "on_stream": on_stream,
            "on_tool_call": on_tool_call,
            "on_reasoning": on_reasoning,
            "on_error": on_error,
            "on_cancel": on_cancel,
            "on_retry": on_retry,
        }
        vars(made).update({name: function for name, function in given.items() if function})
        return made

    def before_generate(self, call: CallContext) -> Awaitable[None] | None:
        """Before the model is called; an exception ends the call, and nothing else is told."""

    def after_generate(
        self, call: CallContext, response: AIMessage | None, error: Exception | None
    ) -> Awaitable[None] | None:
        """Once for each call that began, but for cancelled ones.

        Args:
            call: the call; `closed_early` says that a stream was left before its end.
            response: the answer, or what had arrived of it.
            error: what the call failed with.
        """

    def on_stream(self, call: CallContext, chunk: StreamChunk) -> Awaitable[None] | None:
        """Each chunk of a stream, before the consumer gets it."""

    def on_tool_call(self, call: CallContext, tool_call: ToolCall) -> Awaitable[None] | None:
        """Each complete tool call, in order, before `after_generate`."""

    def on_reasoning(self, call: CallContext, text: str) -> Awaitable[None] | None:
        """Reasoning: each delta of a stream, each block of a whole answer."""

    def on_error(self, call: CallContext, error: Exception) -> Any:
        """What becomes of an error.

        Returns:
            None or the same error keeps it; another exception, returned or raised, replaces it;
            a Suppress ends the call without one.
        """

    def on_cancel(self, call: CallContext, partial: AIMessage | None) -> Awaitable[None] | None:
        """The call was cancelled; neither `on_error` nor `after_generate` is called."""

    def on_retry(
        self, call: CallContext, attempt: int, error: Exception, wait: float
    ) -> Awaitable[None] | None:
        """Before each wait of a retry inside of these hooks.

        Args:
            call: the call.
            attempt: the number of the attempt that failed, from 1.
            error: what it failed with.
            wait: seconds until the next one.
        """


class _Composed(Hooks):
    """Several hooks, one after the other."""

    def __init__(self, hooks: Sequence[Hooks]) -> None:
        super().__init__()
        self.hooks = tuple(hooks)


def compose_hooks(*hooks: Hooks) -> Hooks:
    """Hooks that call all of these in the order given; with none, hooks that do nothing.

    The first exception of a `before_generate` stops the others; each `on_error` gets the error
    that the one before it left, and the first Suppress ends the chain.
    """
    return _Composed(hooks)


def flat(hooks: Hooks) -> list[Hooks]:
    """Hooks without composition, in their order."""
    if isinstance(hooks, _Composed):
        return [one for inner in hooks.hooks for one in flat(inner)]
    return [hooks]
