"""What `run_tools` and `stream_tools` can be told about running tools."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal, TypeAlias

from attrs import frozen

from beluga_llm._errors import ConfigError
from beluga_llm._messages import ToolMessage
from beluga_llm._tool_types import ToolCall

OnError: TypeAlias = Literal["raise", "report"]
Heard: TypeAlias = Awaitable[object] | object
"""What an observer returns, which nobody uses; it is awaited where it can be."""

BeforeTool: TypeAlias = Callable[[ToolCall], Heard]
AfterTool: TypeAlias = Callable[[ToolCall, ToolMessage], Heard]
OnToolError: TypeAlias = Callable[[ToolCall, Exception], Heard]


@frozen(kw_only=True)
class ToolSettings:
    """How tools are run.

    Raises:
        ConfigError: lists the values that are wrong.
    """

    max_rounds: int = 10
    parallel: bool = True
    tool_timeout: float | None = None
    tool_retries: int = 0
    on_error: OnError = "raise"
    before_tool: BeforeTool | None = None
    after_tool: AfterTool | None = None
    on_tool_error: OnToolError | None = None

    def __attrs_post_init__(self) -> None:
        if problems := [*self._problems()]:
            raise ConfigError.of(problems)

    def _problems(self) -> Iterator[str]:
        if not _is_count(self.max_rounds) or self.max_rounds < 1:
            yield f"max_rounds must be an int of at least 1, got {self.max_rounds!r}"
        if not _is_count(self.tool_retries) or self.tool_retries < 0:
            yield f"tool_retries must be an int of at least 0, got {self.tool_retries!r}"
        if self.tool_timeout is not None and not _is_time(self.tool_timeout):
            yield f"tool_timeout must be more than 0 seconds, got {self.tool_timeout!r}"
        if self.on_error not in ("raise", "report"):
            yield f"on_error must be 'raise' or 'report', got {self.on_error!r}"
        for name in ("before_tool", "after_tool", "on_tool_error"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                yield f"{name} must be callable, got {type(given).__name__}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value > 0
        and not math.isnan(value)
    )
