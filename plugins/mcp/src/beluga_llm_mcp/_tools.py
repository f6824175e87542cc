"""`mcp_tools`: the tools of a server, for as long as an `async with` lasts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import urlsplit

import httpx2
import mcp_types
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from beluga_llm import ConfigError, ContentPart, ToolDefinition, ToolError
from beluga_llm_mcp._content import to_content
from beluga_llm_mcp._session import Session

_REFUSED = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64
_WORDS = ("auto", "none", "required")
"""Words of `tool_choice`, which no tool may be named by."""
_TIMES = httpx2.Timeout(30, read=300)
"""Those of the official package: a server may hold an answer open."""


class McpTool:
    """A tool of an MCP server.

    Attributes:
        name: what a model calls it by.
        original: what its server calls it.
        definition: the tool as a model is told of it; its schema is the server's, whole.
    """

    def __init__(self, session: Session, tool: mcp_types.Tool, name: str) -> None:
        self.name = name
        self.original = tool.name
        about = tool.description or tool.title or ""
        self.definition = ToolDefinition(name, about, tool.input_schema)
        self._session = session

    async def run(self, arguments: Mapping[str, Any], /) -> str | list[ContentPart]:
        """What the server answers: text, or parts.

        Raises:
            ToolError: the tool says that it failed.
            ToolFailedError: the server failed, or is gone.
        """
        result = await self._session.call(self.original, dict(arguments))
        content = to_content(result)
        if not result.is_error:
            return content
        texts = content if isinstance(content, str) else _texts(content)
        raise ToolError(texts or f"{self.original} failed")

    def __repr__(self) -> str:
        return f"<McpTool {self.name} of {self._session.label}>"


class McpServer:
    """What `mcp_tools` gives: `async with` it to get the tools."""

    def __init__(self, label: str, client: Any, *, prefix: str, timeout: float | None) -> None:
        self._label = label
        self._client = client
        self._prefix = prefix
        self._timeout = timeout
        self._session: Session | None = None

    async def __aenter__(self) -> list[McpTool]:
        if self._session is not None:
            raise RuntimeError("the tools of a server are opened once; call mcp_tools again")
        session = self._session = Session(self._label, self._client, self._timeout)
        await session.opened()
        names = {*_WORDS}
        return [
            McpTool(session, tool, _named(self._prefix + tool.name, names))
            for tool in session.tools
        ]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def __repr__(self) -> str:
        return f"<McpServer {self._label}>"


def mcp_tools(
    server: Any = None,
    /,
    *,
    command: str | Sequence[str] | None = None,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    errlog: TextIO | None = None,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    prefix: str = "",
    connect_timeout: float | None = 30.0,
    **client: Any,
) -> McpServer:
    """The tools of an MCP server, as a list of objects for `bind_tools` and `run_tools`.

        async with mcp_tools(["uvx", "mcp-server-time"]) as tools: ...
        async with mcp_tools("https://example.com/mcp", headers={...}) as tools: ...

    The server is started, or connected to, when the block is entered, and is stopped, or
    disconnected from, when it is left; the tools work inside it, from any task.

    Args:
        server: a URL, a command with its arguments as a list, or anything else that `mcp.Client`
            takes. `url=` and `command=` say the same by name.
        command: a program to start, which speaks over its standard input and output.
        args: its arguments, after those in `command`.
        env: variables for it, beside the few that every program needs.
        cwd: where it is started.
        errlog: where its standard error goes; to ours by default.
        url: the address of a server that speaks streamable HTTP.
        headers: sent with every request to it.
        prefix: put before the name of each tool, to tell those of several servers apart.
        connect_timeout: seconds until the tools must be known; None waits as long as it takes.
        **client: further arguments of `mcp.Client`, such as `elicitation_callback`.

    Raises:
        ConfigError: not exactly one server is named, or its address is none.
        ToolFailedError: on entering: the server could not be used.
    """
    if isinstance(server, str) and "://" in server:
        server, url = None, url or server
    elif isinstance(server, str | list | tuple):
        server, command = None, command or server
    if sum((server is not None, bool(command), bool(url))) != 1:
        raise ConfigError("name one MCP server: a URL, or a command", op="mcp.new")
    if url:
        address = url

        def by_http(stack: AsyncExitStack) -> Client:
            http = httpx2.AsyncClient(headers=dict(headers or {}), timeout=_TIMES)
            stack.push_async_exit(http)
            return Client(streamable_http_client(address, http_client=http), **client)

        return McpServer(_address(url), by_http, prefix=prefix, timeout=connect_timeout)
    if command:
        program, *rest = [command] if isinstance(command, str) else command
        parameters = StdioServerParameters(
            command=program, args=[*rest, *args], env=dict(env) if env else None, cwd=cwd
        )

        def by_stdio(stack: AsyncExitStack) -> Client:
            where = errlog or _stderr(stack)
            return Client(stdio_client(parameters, errlog=where), **client)

        label = Path(program).name
        return McpServer(label, by_stdio, prefix=prefix, timeout=connect_timeout)
    given = server
    return McpServer(
        type(given).__name__,
        lambda stack: Client(given, **client),
        prefix=prefix,
        timeout=connect_timeout,
    )


def _address(url: str) -> str:
    """A URL without what may be secret in it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ConfigError(f"the address of an MCP server: {error}", op="mcp.new") from error
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _stderr(stack: AsyncExitStack) -> TextIO:
    """Our standard error, where it is a file that a program can be given."""
    try:
        sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
    return sys.stderr


def _named(name: str, taken: set[str]) -> str:
    """A name that every provider takes; MCP allows dots and slashes, and 128 characters."""
    base = made = _REFUSED.sub("_", name)[:_LONGEST]
    number = 2
    while made in taken:
        tail = f"_{number}"
        made = base[: _LONGEST - len(tail)] + tail
        number += 1
    taken.add(made)
    return made


def _texts(parts: Sequence[ContentPart]) -> str:
    return "\n".join(text for part in parts if (text := getattr(part, "text", "")))
