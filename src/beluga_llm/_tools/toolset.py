"""Tools by name, and what may stand for one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from beluga_llm._errors import InvalidRequestError, ToolNotFoundError
from beluga_llm._tool_types import Tool, ToolDefinition
from beluga_llm._tools.function import FunctionTool

Runnable: TypeAlias = Tool | Callable[..., Any]
"""What can be run: a tool, or a function that becomes one."""


def as_tool(tool: Runnable) -> Tool:
    """A tool; functions become one.

    Raises:
        TypeError: it cannot be run.
        ConfigError: the function cannot be described.
    """
    if inspect.ismethod(tool) and isinstance(tool.__func__, FunctionTool):
        return cast("Tool", tool.__func__.__get__(tool.__self__))  # a classmethod around a tool
    if isinstance(tool, ToolDefinition | Mapping):
        name = tool.name if isinstance(tool, ToolDefinition) else tool.get("name")
        raise TypeError(f"tool {name!r} is only described: pass a function or a Tool to run")
    if isinstance(tool, Tool):
        return tool
    if callable(tool):
        return FunctionTool(tool)
    raise TypeError(f"not a tool: {type(tool).__name__}")


class ToolSet:
    """Tools by name, in the order in which they were added.

        tools = ToolSet([search, weather])
        run = await run_tools(model, "...", tools)

    Args:
        tools: functions, `@tool` objects, or objects of your own with the Tool protocol.
    """

    def __init__(self, tools: Iterable[Runnable] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            self.add(tool)

    def add(self, tool: Runnable) -> Tool:
        """Adds a tool, and gives it back; so `@tools.add` is a decorator.

        Raises:
            InvalidRequestError: there is one of this name.
            TypeError: it cannot be run.
        """
        made = as_tool(tool)
        name = made.definition.name
        if name in self._tools:
            raise InvalidRequestError(f"two tools are named {name!r}")
        self._tools[name] = made
        return made

    def get(self, name: str) -> Tool:
        """The tool of a name.

        Raises:
            ToolNotFoundError: there is none; the message names the tools.
        """
        if name not in self._tools:
            known = ", ".join(self.names) or "there are none"
            raise ToolNotFoundError(f"unknown tool {name!r}; the tools are: {known}")
        return self._tools[name]

    def remove(self, name: str) -> None:
        """Takes a tool out.

        Raises:
            ToolNotFoundError: there is none of this name.
        """
        self.get(name)
        del self._tools[name]

    @property
    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._tools)

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """The tools as a model is told of them."""
        return tuple(tool.definition for tool in self._tools.values())

    def __iter__(self) -> Iterator[Tool]:
        return iter(tuple(self._tools.values()))

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __repr__(self) -> str:
        return f"<ToolSet {', '.join(self.names)}>"
