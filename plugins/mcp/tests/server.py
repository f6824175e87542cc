"""A real MCP server, for the tests: over stdio, or over HTTP on the port that is its argument."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated, Any, TypedDict

import mcp_types
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, Field

PNG = b"\x89PNG\r\n\x1a\n"


class Weather(TypedDict):
    """How it is."""

    city: str
    degrees: float


class Place(BaseModel):
    """Somewhere."""

    city: str = Field(description="in English")
    country: str | None = None


server = MCPServer("test", log_level="ERROR")


@server.tool()
def add(a: int, b: Annotated[int, Field(ge=0, description="what is added")] = 1) -> int:
    """Adds two numbers."""
    return a + b


@server.tool(name="weather.of", title="The weather")
def weather(place: Place) -> Weather:
    return {"city": place.city, "degrees": 21.5}


@server.tool()
def names() -> list[str]:
    """Several texts."""
    return ["a", "b"]


@server.tool()
def both() -> mcp_types.CallToolResult:
    """A text, and structured content that says more."""
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(type="text", text="It is fine.")],
        structured_content={"degrees": 20},
    )


@server.tool(structured_output=False)
def picture() -> list[Any]:
    """A text, an image and a document."""
    from mcp.server.mcpserver import Image

    return ["Here:", Image(data=PNG, format="png")]


@server.tool()
def refuse() -> mcp_types.CallToolResult:
    """Says that it failed."""
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(type="text", text="the shop is closed")], is_error=True
    )


@server.tool()
async def hang() -> str:
    """Never ends."""
    await asyncio.Event().wait()
    return ""


@server.tool()
def die() -> str:
    """Ends the server."""
    os._exit(3)


@server.tool()
def environment(name: str) -> str:
    """A variable."""
    return os.environ.get(name, "unset")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run()
