"""Values of types from a real server: llama.cpp holds a tiny model to schemas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.asked import TYPES, Book, Page, Span

import beluga_llm as llm

pytestmark = pytest.mark.timeout(180)  # it works hard


@pytest.fixture
async def model(llama: str) -> AsyncIterator[llm.ChatModel]:
    made = llm.create("openai-compatible/tiny-chat", base_url=f"{llama}/v1")
    async with made.with_options(temperature=0, max_tokens=1000) as model:
        yield model


@pytest.mark.row("STRU-03", "STRU-15", "STRU-20")
@pytest.mark.parametrize("kind", TYPES, ids=str)
async def test_every_type_natively(model: llm.ChatModel, kind: Any) -> None:
    """Nonsense, but of the type asked for, at once, whole and streamed."""
    asked = llm.structured(model, kind, strategy="native", max_retries=0)
    value = await asked.generate("JSON")
    async with asked.stream("JSON") as stream:
        shown = [one async for one in stream]
        assert await stream.result() == value
    assert shown


@pytest.mark.row("STRU-03", "STRU-04")
@pytest.mark.parametrize("strategy", ["native", "tool"])
@pytest.mark.parametrize("kind", [Span, tuple[float, bool], list[tuple[int, int]] | None])
async def test_tuples_as_arrays(model: llm.ChatModel, kind: Any, strategy: Any) -> None:
    """Where no strict form is asked for, they are arrays with a type for each place."""
    asked = llm.structured(model, kind, strategy=strategy, strict=False)
    try:
        await asked.generate("JSON")
    except llm.StructuredOutputError:
        assert strategy == "tool"  # whose schema it is not held to


@pytest.mark.row("STRU-15")
async def test_elements_of_a_list(model: llm.ChatModel) -> None:
    asked = llm.structured(model, list[Page], strategy="native", max_retries=0)
    async with asked.stream("JSON") as stream:
        pages = [page async for page in stream.items()]
        assert pages == await stream.result()
    assert pages
    assert all(page.keys() <= {"number", "text"} for page in pages)


@pytest.mark.row("STRU-10", "STRU-07", "STRU-14")
async def test_a_model_that_cannot_do_it(model: llm.ChatModel) -> None:
    """Told in words, it only knows people; two answers are tried, and both of them paid for."""
    with pytest.raises(llm.StructuredOutputError) as caught:
        await llm.structured(model, Book, strategy="prompt", max_retries=1).generate(
            "JSON: name, age"
        )
    assert caught.value.attempts == 2
    assert caught.value.usage.output_tokens > 2
