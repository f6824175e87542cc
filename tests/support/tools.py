"""The tool loop in both its forms, and answers that call tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

import beluga_llm as llm

Loop: TypeAlias = Callable[..., Awaitable[llm.ToolRun]]


async def streamed(*args: Any, **kwargs: Any) -> llm.ToolRun:
    """`stream_tools`, read to its end."""
    async with llm.stream_tools(*args, **kwargs) as stream:
        async for _ in stream:
            pass
    return stream.run


both = pytest.mark.parametrize("loop", [llm.run_tools, streamed], ids=["run", "stream"])


def calling(*calls: tuple[str, Any], text: str = "", tokens: int = 1) -> llm.AIMessage:
    """An answer that calls tools, by name and arguments; ids are c0, c1, ..."""
    return llm.AIMessage(
        text or (),
        tool_calls=[
            llm.ToolCall(f"c{number}", name, arguments)
            for number, (name, arguments) in enumerate(calls)
        ],
        usage=llm.Usage(tokens, tokens),
        finish_reason="tool_calls",
    )


def results(run: llm.ToolRun) -> list[tuple[str, bool]]:
    """Text and failure of each result, in order."""
    return [(m.text, m.is_error) for m in run.messages if isinstance(m, llm.ToolMessage)]
