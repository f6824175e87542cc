"""Looking on: the facts of an answer, and watches that share one loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from support.flaky import Flaky, answer
from support.strategies import chunk_lists

import beluga_llm as llm
from beluga_llm._answer_facts import AnswerFacts
from beluga_llm._call import Chunks, Layer
from beluga_llm._fold import Fold
from beluga_llm._watching import Aborted, Watch, is_watched, watched


@given(chunk_lists)
def test_the_facts_of_an_answer_are_those_of_its_fold(chunks: list[llm.StreamChunk]):
    facts, fold = AnswerFacts(), Fold()
    facts.extend(chunks[:2])
    facts.extend(chunks[2:])
    for chunk in chunks:
        fold.add(chunk)
    for name in (
        "usage",
        "model_id",
        "response_id",
        "finish_reason",
        "finish_reasons",
        "tool_names",
    ):
        assert getattr(facts, name) == getattr(fold, name), name
    assert facts.metadata == fold.message().provider_metadata


class Looker(Layer):
    """A layer that writes down what its looks hear; `kind` tells lookers apart."""

    def __init__(self, kind: str, seen: list[str]) -> None:
        self.kind, self.seen = kind, seen
        self.looks: list[Watch] = []

    def __call__(self, request: llm.ChatRequest, call_next: llm.CallNext) -> Chunks:
        if is_watched(request, self.kind):
            return call_next(request)
        self.looks.append(_Look(request, self))
        return watched(request, call_next, self.looks[-1])


class _Look(Watch):
    def __init__(self, request: llm.ChatRequest, layer: Looker) -> None:
        super().__init__(request)
        self.kind = layer.kind  # type: ignore[misc]  # each of these is a kind of its own
        self._tell: Callable[[str], None] = layer.seen.append

    def begin(self) -> None:
        self._tell(f"{self.kind} begins")

    def finish(self, error: BaseException | None, aborted: Aborted | None) -> None:
        self._tell(f"{self.kind} ends: {self.heard.chunks}, {error or aborted}")


class Between(Layer):
    """A layer that is no generator function, and hands out one."""

    def __call__(self, request: llm.ChatRequest, call_next: llm.CallNext) -> Chunks:
        return self._texts(call_next(request))

    async def _texts(self, chunks: Chunks) -> Chunks:
        async for chunk in chunks:
            if chunk.delta:
                yield chunk


class Passing(Layer):
    """A layer that hands out what is beneath it, for a changed request."""

    def __call__(self, request: llm.ChatRequest, call_next: llm.CallNext) -> Chunks:
        return call_next(llm.replace(request, tools=(TOOL,)))


TOOL = llm.ToolDefinition("look", "Looks.", {"type": "object", "properties": {}})


def looked_at(*kinds: Any) -> tuple[llm.ChatModel, Flaky, list[str], list[Looker]]:
    seen: list[str] = []
    layers = [Looker(kind, seen) if isinstance(kind, str) else kind for kind in kinds]
    inner = Flaky(answer("a", "b"))
    lookers = [layer for layer in layers if isinstance(layer, Looker)]
    return inner.with_middleware(*layers), inner, seen, lookers


def together(lookers: list[Looker]) -> bool:
    """Whether the first two hear in one loop."""
    first, second = (looker.looks[0] for looker in lookers[:2])
    return first.heard is second.heard


@pytest.mark.row("OBSE-02", "OBSE-16")
@pytest.mark.parametrize("streaming", [True, False])
async def test_looks_that_stand_around_one_another_hear_in_one_loop(streaming: bool):
    model, _, seen, lookers = looked_at("a", "b", "a", "c")
    await (model.stream("hi").response() if streaming else model.generate("hi"))
    begins = ["a begins", "b begins", "c begins"]
    assert seen == [*begins, "c ends: 4, None", "b ends: 4, None", "a ends: 4, None"]
    assert together(lookers)
    assert lookers[2].looks == []


async def test_a_layer_between_two_looks_keeps_them_apart():
    for between, heard in ((Between(), 2), (none_between, 4)):
        model, _, seen, lookers = looked_at("a", between, "b")
        await model.generate("hi")
        assert seen == ["a begins", "b begins", "b ends: 4, None", f"a ends: {heard}, None"]
        assert not together(lookers)


async def none_between(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
    async for chunk in call_next(request):
        yield chunk


async def test_a_look_that_joins_asks_what_it_was_asked():
    model, inner, seen, lookers = looked_at("a", Passing(), "b")
    await model.generate("hi")
    assert together(lookers)
    assert inner.requests[0].tools == (TOOL,)
    assert len(seen) == 4


async def test_looks_that_share_a_loop_end_once_however_it_ends():
    model, _, seen, _ = looked_at("a", "b")
    async with model.stream("hi") as stream:
        async for chunk in stream:
            if chunk.delta:
                break
    assert seen[2:] == ["b ends: 2, closed", "a ends: 2, closed"]
    async for chunk in model.stream("hi"):
        if chunk.delta:
            break
    assert seen[6:] == ["b ends: 2, closed", "a ends: 2, closed"]
    failing = Flaky([llm.OverloadedError("busy")]).with_middleware(*model._layers)
    with pytest.raises(llm.OverloadedError):
        await failing.generate("hi")
    assert [("busy" in text, text[:10]) for text in seen[10:]] == [
        (True, "b ends: 0,"),
        (True, "a ends: 0,"),
    ]


async def test_looks_at_a_request_made_by_hand_share_a_loop_too():
    seen: list[str] = []
    outer, inner = Looker("a", seen), Looker("b", seen)
    request = llm.ChatRequest((llm.HumanMessage("hi"),))

    def call_next(request: llm.ChatRequest) -> Chunks:
        return inner(request, Flaky(answer("a"))._stream)

    async for _ in outer(request, call_next):
        pass
    assert together([outer, inner])
    assert len(seen) == 4


async def test_an_answer_that_cannot_be_taken_in_is_no_error_of_the_call(
    caplog: pytest.LogCaptureFixture,
):
    odd = llm.StreamChunk("a", metadata=5)  # type: ignore[arg-type]
    layers = looked_at("a")[0]._layers
    model = Flaky([odd]).with_middleware(*layers)
    request = llm.ChatRequest((llm.HumanMessage("hi"),), streaming=False)
    assert "a" in [chunk.delta async for chunk in model.handle(request)]
    (record,) = [r for r in caplog.records if r.name == "beluga_llm.telemetry"]
    assert (record.levelno, record.getMessage()) == (
        logging.ERROR,
        "an answer could not be recorded",
    )


class Starting(Layer):
    """A layer that starts a task while it is opened."""

    def __init__(self, job: Callable[[], Any]) -> None:
        self.job = job
        self.task: asyncio.Task[None] | None = None

    def __call__(self, request: llm.ChatRequest, call_next: llm.CallNext) -> Chunks:
        self.task = asyncio.create_task(self.job())
        return call_next(request)


@pytest.mark.row("OBSE-16")
async def test_a_task_that_a_layer_starts_keeps_no_looks_of_its_own_calls():
    ended: list[bool] = []

    async def job() -> None:
        model, _, seen, lookers = looked_at("a")
        await model.generate("hi")
        assert seen == ["a begins", "a ends: 4, None"]
        look = weakref.ref(lookers[0].looks.pop())
        del model, lookers
        gc.collect()
        ended.append(look() is None)

    starting = Starting(job)
    model, _, seen, _ = looked_at("a", starting)
    await model.generate("hi")
    assert starting.task is not None
    await starting.task
    assert ended == [True]
    assert seen == ["a begins", "a ends: 4, None"]
