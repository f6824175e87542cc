"""Tools of MCP servers for beluga-llm: over stdio and streamable HTTP.

    async with mcp_tools(["uvx", "mcp-server-time"]) as tools:
        run = await llm.run_tools(model, "What time is it in Lisbon?", tools)

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_mcp._tools import McpServer as McpServer
    from beluga_llm_mcp._tools import McpTool as McpTool
    from beluga_llm_mcp._tools import mcp_tools as mcp_tools

_WHERE = {
    "_tools": ("McpServer", "McpTool", "mcp_tools"),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)
