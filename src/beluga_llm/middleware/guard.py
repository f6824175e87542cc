"""Checks of what goes in and what comes out.

def no_secrets(messages):
    return "a key is in the prompt" if "sk-" in messages[-1].text else None

model = model.with_middleware(with_guard(input=no_secrets))
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

from beluga_llm._call import CallNext, Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import GuardBlockedError
from beluga_llm._fold import fold
from beluga_llm._messages import AIMessage, Message
from beluga_llm._request import ChatRequest

Verdict: TypeAlias = str | Awaitable[str | None] | None
InputGuard: TypeAlias = Callable[[Sequence[Message]], Verdict]
OutputGuard: TypeAlias = Callable[[AIMessage], Verdict]


class Guard:
    """The layer of `with_guard`."""

    def __init__(self, input: tuple[InputGuard, ...], output: tuple[OutputGuard, ...]) -> None:
        self._input, self._output = input, output

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the answer, if nothing is found in it."""
        await _check("input", self._input, request.messages)
        if not self._output:
            async for chunk in call_next(request):
                yield chunk
            return
        held: list[StreamChunk] = []
        async for chunk in call_next(request):
            if chunk.reset:  # what is discarded is not checked, so nobody may see it
                held.clear()
            held.append(chunk)
        await _check("output", self._output, fold(held))
        for chunk in held:
            yield chunk

    def __repr__(self) -> str:
        return f"with_guard({len(self._input)} for input, {len(self._output)} for output)"


async def _check(what: str, guards: Iterable[Callable[[Any], Verdict]], value: Any) -> None:
    for guard in guards:
        try:
            reason = guard(value)
            if inspect.isawaitable(reason):
                reason = await reason
        except GuardBlockedError:
            raise
        except Exception as error:
            raise GuardBlockedError(f"{what} blocked: {error}") from error
        if reason is not None:
            raise GuardBlockedError(f"{what} blocked: {reason}")


def with_guard(
    input: InputGuard | Iterable[InputGuard] | None = None,
    output: OutputGuard | Iterable[OutputGuard] | None = None,
) -> Guard:
    """A layer that refuses requests and answers in which something is found.

    A guard is a function, sync or async, that gives None where all is well, and otherwise returns
    or raises a reason; the call then fails with a GuardBlockedError. Guards of answers see the
    whole message, so a guarded stream is held back until it is complete.

    Args:
        input: guards of the messages.
        output: guards of the answer.
    """
    return Guard(_several(input), _several(output))


def _several(guards: Any) -> tuple[Any, ...]:
    if guards is None:
        return ()
    return (guards,) if callable(guards) else tuple(guards)
