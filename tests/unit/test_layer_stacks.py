"""Any stack of layers, routers and wrappers around servers that break off anywhere.

What holds of it, whatever the stack: the consumer's text is the stream's, nothing is told twice,
an answer begins where the one before it was taken back, or where it was asked to go on, an error
knows what was shown, and nothing is left open.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.flaky import Flaky, answer

import beluga_llm as llm
from beluga_llm import StreamChunk, Usage
from beluga_llm.testing import VirtualClock

POLICIES = st.sampled_from(["raise", "restart", "continue"])
THOUGHT = StreamChunk(reasoning_delta="hm")
CALL = StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c", "f", "{}"),))
Make = Callable[["World"], llm.ChatModel]


class Unique(Flaky):
    """No two of its words are the same."""

    world: World

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        chunks = super()._stream(request)
        begin: str | None = "".join(message.text for message in request.messages[1:])
        try:
            async for chunk in chunks:
                word = f"<{next(self.world.words)}>" if chunk.delta else ""
                if word and begin is not None:
                    self.world.begins[word], begin = begin, None
                yield llm.replace(chunk, delta=word)
        finally:
            await chunks.aclose()


class World:
    """What one example is made of.

    Attributes:
        begins: by the first word of each answer, the text that it was asked to go on from.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock(auto=True)
        self.words = itertools.count()
        self.begins: dict[str, str] = {}
        self.models: list[Unique] = []

    def model(self, attempts: list[list[Any]]) -> llm.ChatModel:
        made = Unique(*attempts, prefill=True)
        made.world = self
        self.models.append(made)
        return made


@st.composite
def attempts(draw: st.DrawFn) -> list[Any]:
    """One answer: words, in parts or not, and how it ends."""
    numbered = draw(st.booleans())
    count = draw(st.integers(0, 3))
    chunks = [StreamChunk("x", part_index=place if numbered else None) for place in range(count)]
    head = draw(st.sampled_from([[], [StreamChunk(model_id="m", usage=Usage(1))], [THOUGHT]]))
    tail = draw(st.sampled_from([[], [], [CALL]]))
    end: Any = draw(st.sampled_from(["cut", "cut", "busy", "refused", "bug", "well"]))
    ends: dict[str, list[Any]] = {
        "cut": [llm.StreamInterruptedError("gone", content_started=bool(count))],
        "busy": [llm.OverloadedError("busy")],
        "refused": [llm.AuthenticationError("no")],
        "bug": [KeyError("bug")],
        "well": answer(),
    }
    return [*head, *chunks, *tail, *ends[end]]


def plain() -> st.SearchStrategy[Make]:
    script = st.lists(attempts(), min_size=1, max_size=3)
    return script.map(lambda found: lambda world: world.model(found))


async def passing(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
    async for chunk in call_next(request):
        yield chunk


def layers() -> st.SearchStrategy[Callable[[World], Any]]:
    return st.one_of(
        st.builds(
            lambda count, policy: lambda world: llm.with_retry(
                max_attempts=count, mid_stream=policy, clock=world.clock
            ),
            st.integers(1, 3),
            POLICIES,
        ),
        st.builds(
            lambda make, policy: lambda world: llm.with_fallback(make(world), mid_stream=policy),
            plain(),
            POLICIES,
        ),
        st.builds(lambda make: lambda world: llm.with_hedge(make(world), delay=0), plain()),
        st.sampled_from([
            lambda world: llm.with_hedge(delay=0),
            lambda world: llm.with_limits(max_concurrent=4, adaptive=False, clock=world.clock),
            lambda world: llm.with_hooks(llm.Hooks.from_callables(on_stream=lambda *facts: None)),
            lambda world: llm.with_cache(cache_streams=True),
            lambda world: llm.with_guard(output=lambda message: None),
            lambda world: llm.with_circuit_breaker(clock=world.clock),
            lambda world: passing,
        ]),
    )  # fmt: skip


def around(inner: st.SearchStrategy[Make]) -> st.SearchStrategy[Make]:
    return st.one_of(
        st.builds(
            lambda make, found: (
                lambda world: make(world).with_middleware(*(layer(world) for layer in found))
            ),
            inner,
            st.lists(layers(), min_size=1, max_size=3),
        ),
        st.builds(lambda make: lambda world: llm.Router([make(world)]), inner),
        st.builds(lambda make: lambda world: llm.DelegatingChatModel(make(world)), inner),
        st.builds(
            lambda makes, policy: (
                lambda world: llm.FailoverRouter(
                    *(make(world) for make in makes), mid_stream=policy
                )
            ),
            st.lists(inner, min_size=1, max_size=2),
            POLICIES,
        ),
    )


STACKS = st.recursive(plain(), around, max_leaves=3)


async def consume(world: World, stream: llm.ChatStream, most: int) -> None:
    """Reads so many chunks, as a consumer that follows the rules."""
    shown: list[str] = []
    error: Exception | None = None
    try:
        async with stream:
            async for chunk in stream:
                if chunk.reset:
                    shown.clear()
                if chunk.delta:
                    assert "".join(shown) == world.begins.get(chunk.delta, "".join(shown))
                    assert not any(chunk.delta in word for word in shown)
                    shown.append(chunk.delta)
                if (most := most - 1) == 0:
                    break
    except (llm.BelugaError, KeyError) as raised:
        error = raised
    assert stream.message.text == "".join(shown)
    if shown and isinstance(error, llm.BelugaError):
        assert error.partial is not None
        assert error.partial.text == "".join(shown)


@pytest.mark.row("STRE-28", "NONE-06", "ROUT-16", "MIDD-25", "STRE-05")
@given(STACKS, st.integers(1, 30))
def test_whatever_the_stack_nothing_is_told_twice_and_nothing_is_left(make: Make, most: int):
    async def run() -> None:
        world = World()
        await consume(world, make(world).stream("hi"), most)
        assert [model.open for model in world.models] == [0] * len(world.models)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
