"""The connection to one MCP server, owned by a task of its own.

The client of the official package holds anyio's cancel scopes, which must be left by the task that
entered them, and in the reverse order. So one task enters the client, waits, and leaves it, whoever
else comes and goes; calls are made from any task, and none waits for a connection that has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, Tool

from beluga_llm import ToolError, ToolFailedError

logger = logging.getLogger("beluga_llm.mcp")

T = TypeVar("T")


class Session:
    """An open connection.

    Args:
        label: what the server is called in errors.
        connect: makes the client; what it puts on the stack is closed after the client.
        connect_timeout: seconds until the tools must be known.
    """

    def __init__(
        self,
        label: str,
        connect: Callable[[AsyncExitStack], AbstractAsyncContextManager[Client]],
        connect_timeout: float | None,
    ) -> None:
        self.label = label
        self.tools: list[Tool] = []
        self._connect = connect
        self._connect_timeout = connect_timeout
        self._client: Client | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._owner = asyncio.create_task(self._own(), name=f"mcp {label}")

    async def opened(self) -> None:
        """Waits until the tools are known.

        Raises:
            ToolFailedError: the server could not be reached, or did not answer.
        """
        waiting = (self._opened, self._owner)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._owner.cancel()
            await self.close()
            raise
        if self._owner.done():
            raise self._ended("could not be used")

    async def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """The result of a tool.

        Raises:
            ToolError: the server refuses the arguments.
            ToolFailedError: the server failed, or is gone.
        """
        if self._client is None or self._closing.is_set():
            raise ToolFailedError(f"the connection to MCP server {self.label!r} is closed")
        try:
            return await self._while_open(self._client.call_tool(name, arguments))
        except MCPError as error:
            if error.code == INVALID_PARAMS:
                raise ToolError(error.message) from error
            raise self._failed(error) from error
        except ToolFailedError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    async def close(self) -> None:
        """Ends the connection, and waits for it; being cancelled meanwhile only hastens it."""
        self._closing.set()
        cancelled: asyncio.CancelledError | None = None
        while not self._owner.done():
            try:
                await asyncio.wait((self._owner,))
            except asyncio.CancelledError as error:
                cancelled = error
                self._owner.cancel()
        if not self._owner.cancelled() and (problem := self._owner.exception()) is not None:
            logger.debug("MCP server %s: %s", self.label, problem)
        if cancelled is not None:
            raise cancelled

    async def _own(self) -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self._connect_timeout):
                self._client = await stack.enter_async_context(self._connect(stack))
                self.tools = await _listed(self._client)
            self._opened.set_result(None)
            await self._closing.wait()

    async def _while_open(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of some work; an error as soon as the connection has ended."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._owner), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._ended("is gone")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    def _failed(self, error: Exception) -> ToolFailedError:
        return ToolFailedError(f"MCP server {self.label!r}: {_words(error)}")

    def _ended(self, how: str) -> ToolFailedError:
        """Why the owner has ended."""
        cause = None if self._owner.cancelled() else self._owner.exception()
        why = f": {_words(cause)}" if cause is not None else ""
        if isinstance(cause, TimeoutError) and self._connect_timeout and not self._opened.done():
            why = f": no answer within {self._connect_timeout:g} s"
        error = ToolFailedError(f"MCP server {self.label!r} {how}{why}")
        error.__cause__ = cause
        return error


async def _listed(client: Client) -> list[Tool]:
    """All pages of the server's tools."""
    page = await client.list_tools()
    found, seen = list(page.tools), set[str | None]((None,))
    while (cursor := page.next_cursor) not in seen:
        seen.add(cursor)
        page = await client.list_tools(cursor=cursor)
        found += page.tools
    return found


def _words(error: BaseException) -> str:
    """What an error says; of a group, what its first member says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return error.message
    return f"{type(error).__name__}: {error}"
