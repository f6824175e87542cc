"""An assistant that does things: it keeps a to-do list by calling your functions.

    python tool_assistant.py "Put milk on my list, then tell me what is on it"

Each call is shown when the model makes it, and what deletes something is asked for first: refused
calls go back to the model as errors, and it can answer to that.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import msgspec

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")
QUESTION = "Put milk on my list, then tell me what is on it."


class Todos:
    """A list, and the methods of it that a model may call."""

    def __init__(self) -> None:
        self.items: list[str] = []

    @llm.tool
    def add(self, item: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]) -> str:
        """Adds an item to the list."""
        self.items.append(item)
        return f"{len(self.items)} items"

    @llm.tool
    def show(self) -> list[str]:
        """All items of the list."""
        return self.items

    @llm.tool
    def clear(self) -> str:
        """Deletes all items."""
        self.items.clear()
        return "the list is empty"


def may(call: llm.ToolCall) -> bool:
    """Whether a call may be made; asks where somebody is there to answer."""
    if call.name != "clear":
        return True
    return sys.stdin.isatty() and input("clear the list? [y/N] ").lower() == "y"


async def before(call: llm.ToolCall) -> None:
    """Looks at each call before it is made; a ToolError is told to the model."""
    if not await asyncio.to_thread(may, call):
        raise llm.ToolError("the user said no")


async def main() -> None:
    """One question, with everything that happens until its answer."""
    todos = Todos()
    question = " ".join(sys.argv[1:]) or QUESTION
    async with llm.stream_tools(
        MODEL, question, [todos.add, todos.show, todos.clear], before_tool=before
    ) as stream:
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                print(f"[{item.call.name}({item.call.arguments}) -> {item.result.text}]")
            else:
                print(item.delta, end="", flush=True)
    print(f"\nthe list: {todos.items}")


if __name__ == "__main__":
    asyncio.run(main())
