"""Tools of real servers, over stdio and streamable HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.testing import MockChatModel
from beluga_llm_mcp import McpServer, McpTool, mcp_tools

Opened = Callable[..., McpServer]
SILENT = ["sh", "-c", "cat > /dev/null"]


def calling(*calls: tuple[str, dict[str, Any]]) -> llm.AIMessage:
    return llm.AIMessage(
        tool_calls=[llm.ToolCall(f"c{n}", name, args) for n, (name, args) in enumerate(calls)],
        finish_reason="tool_calls",
    )


def by_name(tools: list[McpTool]) -> dict[str, McpTool]:
    return {tool.name: tool for tool in tools}


@pytest.fixture(autouse=True)
def _nothing_is_said(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """No warning is logged, and nothing is written, whatever happens to the server."""
    yield
    loud = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    debug = ("Executing <", "Close running child process")  # asyncio's debug mode on a slow machine
    assert [text for text in loud if not text.startswith(debug)] == []
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


@pytest.mark.row("DIST-05")
async def test_tools_are_listed_with_their_whole_schemas(url: str):
    async with mcp_tools(url) as tools:
        assert [tool.name for tool in tools] == [
            "add", "weather_of", "names", "both", "picture", "refuse", "hang", "die", "environment",
        ]  # fmt: skip
        assert all(isinstance(tool, llm.Tool) for tool in tools)
        add, weather = tools[0].definition, tools[1].definition
        assert (add.name, add.description) == ("add", "Adds two numbers.")
        assert add.input_schema["required"] == ["a"]
        assert add.input_schema["properties"]["b"]["minimum"] == 0
        assert add.input_schema["properties"]["b"]["description"] == "what is added"
        place = weather.input_schema["$defs"]["Place"]
        assert place["properties"]["city"]["description"] == "in English"
        assert tools[1].original == "weather.of"
        assert repr(tools[1]).startswith("<McpTool weather_of of http://127.0.0.1:")
        assert MockChatModel([]).bind_tools(tools).bound_tools[0] == add


@pytest.mark.row("DIST-05", "TOOL-17")
async def test_they_work_in_the_tool_loop_beside_functions(opened: Opened):
    def double(n: int) -> int:
        return 2 * n

    answer = calling(
        ("add", {"a": 1, "b": 2}),
        ("double", {"n": 4}),
        ("weather_of", {"place": {"city": "Oslo"}}),
        ("names", {}),
        ("both", {}),
        ("picture", {}),
        ("refuse", {}),
        ("add", {"a": 1, "b": -1}),
    )
    async with opened() as tools:
        run = await llm.run_tools(MockChatModel([answer, "ok"]), "hi", [*tools, double])
        add = by_name(tools)["add"]
        many = await asyncio.gather(*(add.run({"a": n, "b": n}) for n in range(30)))
    assert many == [str(2 * n) for n in range(30)]
    found = [m for m in run.messages if isinstance(m, llm.ToolMessage)]
    assert [(m.text, m.is_error) for m in found[:2]] == [("3", False), ("8", False)]
    assert json.loads(found[2].text) == {"city": "Oslo", "degrees": 21.5}
    assert found[3].text == "a\nb"
    assert found[4].text == 'It is fine.\n{"degrees": 20}'
    assert found[5].parts == (
        llm.TextPart("Here:"),
        llm.ImagePart(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png"),
    )
    assert (found[6].text, found[6].is_error) == ("the shop is closed", True)
    assert found[7].is_error
    assert "greater than or equal to 0" in found[7].text


@pytest.mark.row("DIST-05")
async def test_a_call_that_is_given_up_leaves_the_others(url: str):
    async with mcp_tools(url) as tools:
        named = by_name(tools)
        task = asyncio.create_task(named["hang"].run({}))
        assert await named["add"].run({"a": 1}) == "2"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        model = MockChatModel([calling(("hang", {})), "ok"])
        run = await llm.run_tools(model, "hi", tools, tool_timeout=0.1)
        assert run.messages[2].text == "'hang' gave no result within 0.1 s"
        assert await named["add"].run({"a": 2}) == "3"
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.row("DIST-05")
async def test_a_server_that_dies_in_the_middle_is_a_failed_tool(mortal: Opened):
    """For the call that kills it, for those beside it, and for later ones."""
    async with mortal() as tools:
        named = by_name(tools)
        beside = asyncio.create_task(named["hang"].run({}))
        assert await named["add"].run({"a": 1}) == "2"
        model = MockChatModel([calling(("die", {}))])
        with pytest.raises(llm.ToolFailedError, match="tool 'die' failed: ToolFailedError: MCP"):
            await llm.run_tools(model, "hi", tools)
        with pytest.raises(llm.ToolFailedError, match="MCP server"):
            await beside
        with pytest.raises(llm.ToolFailedError, match="MCP server"):
            await named["add"].run({"a": 1})
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize("way", ["end", "error", "cancel"])
async def test_leaving_ends_everything_however_it_is_left(opened: Opened, way: str):
    inside = asyncio.Event()
    calls: list[asyncio.Task[Any]] = []
    found: list[McpTool] = []

    async def use() -> None:
        async with opened() as tools:
            found.extend(tools)
            calls.append(asyncio.create_task(by_name(tools)["hang"].run({})))
            assert await tools[0].run({"a": 1}) == "2"
            inside.set()
            if way == "error":
                raise KeyError
            if way == "cancel":
                await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await inside.wait()
    if way == "cancel":
        await asyncio.sleep(0)
        task.cancel()
    expected: Any = {"error": KeyError, "cancel": asyncio.CancelledError}.get(way)
    if expected:
        with pytest.raises(expected):
            await task
    else:
        await task
    with pytest.raises(llm.ToolFailedError, match="MCP server"):
        await calls[0]
    with pytest.raises(llm.ToolFailedError, match="the connection to MCP server .* is closed"):
        await found[0].run({"a": 1})
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.row("DIST-05")
async def test_it_may_be_left_by_another_task(url: str):
    server = mcp_tools(url)
    tools = await asyncio.create_task(server.__aenter__())
    assert await tools[0].run({"a": 1}) == "2"
    await asyncio.create_task(server.__aexit__(None, None, None))
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(RuntimeError, match="opened once"):
        await server.__aenter__()
    await mcp_tools(url).__aexit__(None, None, None)


@pytest.mark.row("DIST-05")
async def test_leaving_that_is_cancelled_leaves_all_the_same(command: list[str]):
    server = mcp_tools(command)
    tools = await server.__aenter__()
    leaving = asyncio.create_task(server.__aexit__(None, None, None))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(llm.ToolFailedError, match="is closed"):
        await tools[0].run({"a": 1})
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.row("DIST-05")
async def test_several_servers_at_once(url: str):
    async with mcp_tools(url, prefix="one_") as first, mcp_tools(url, prefix="two_") as second:
        model = MockChatModel([calling(("one_add", {"a": 1}), ("two_add", {"a": 2})), "ok"])
        run = await llm.run_tools(model, "hi", [*first, *second])
    assert [message.text for message in run.messages[2:4]] == ["2", "3"]


@pytest.mark.row("DIST-05")
async def test_older_protocols_are_spoken(url: str):
    async with mcp_tools(url, mode="legacy") as tools:
        assert await tools[0].run({"a": 1}) == "2"


def test_one_event_loop_after_the_other(url: str):
    async def once() -> Any:
        async with mcp_tools(url) as tools:
            return await tools[0].run({"a": 1})

    assert [asyncio.run(once()) for _ in range(3)] == ["2"] * 3


@pytest.mark.row("DIST-05")
async def test_the_program_gets_what_it_is_given(
    command: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECRET_OF_OURS", "s")
    python, *args = command
    async with mcp_tools(command=python, args=args, env={"GIVEN": "g"}) as tools:
        look = by_name(tools)["environment"]
        assert await look.run({"name": "GIVEN"}) == "g"
        assert await look.run({"name": "SECRET_OF_OURS"}) == "unset"


@pytest.mark.row("DIST-05")
async def test_a_server_of_this_process_can_be_used():
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("here")

    @server.tool()
    def twice(n: int) -> int:
        return 2 * n

    async with mcp_tools(server) as tools:
        assert repr(mcp_tools(server)) == "<McpServer MCPServer>"
        assert await tools[0].run({"n": 4}) == "8"


async def test_standard_error_may_be_no_file(command: list[str], monkeypatch: pytest.MonkeyPatch):
    """As in notebooks."""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    async with mcp_tools(command) as tools:
        assert await tools[0].run({"a": 1}) == "2"


# --- servers that cannot be used -----------------------------------------------------------------


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"command": ["/no/such/program"]}, "MCP server 'program' could not be used: FileNotFound"),
        ({"command": ["true"]}, "MCP server 'true' could not be used: Connection closed"),
        (
            {"command": SILENT, "connect_timeout": 0.05},
            "MCP server 'sh' could not be used: no answer within 0.05 s",
        ),
        (
            {"url": "http://user:pass-1@127.0.0.1:9/mcp?key=key-1", "headers": {"X-Key": "key-1"}},
            "MCP server 'http://127.0.0.1:9/mcp' could not be used: ",
        ),
    ],
    ids=["missing", "ends", "silent", "nobody"],
)
async def test_a_server_that_cannot_be_used_is_told(how: dict[str, Any], text: str):
    server = mcp_tools(**how)
    with pytest.raises(llm.ToolFailedError) as caught:
        async with server:
            pass
    assert caught.value.message.startswith(text)
    assert "key-1" not in f"{caught.value}{server!r}"
    assert "pass-1" not in f"{caught.value}{server!r}"
    assert len(asyncio.all_tasks()) == 1


async def test_entering_can_be_cancelled():
    server = mcp_tools(SILENT)
    task = asyncio.create_task(server.__aenter__())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.row("DIST-05")
async def test_a_tool_may_be_called_by_a_word_of_tool_choice():
    """Providers refuse such names, and with them the whole request."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("here")

    @server.tool(name="none")
    def nothing() -> str:
        return "nothing"

    async with mcp_tools(server) as tools:
        assert [(tool.name, tool.original) for tool in tools] == [("none_2", "none")]
        assert await tools[0].run({}) == "nothing"


async def test_a_limit_that_is_the_servers_own_is_told_as_it_is():
    @contextlib.asynccontextmanager
    async def slow(where: Any) -> AsyncIterator[Any]:
        raise TimeoutError
        yield

    with pytest.raises(llm.ToolFailedError, match="could not be used: TimeoutError"):
        async with mcp_tools(slow(None), connect_timeout=None):
            pass


@pytest.mark.parametrize(
    "how", [{}, {"url": "http://x/mcp", "command": "y"}, {"command": []}, {"url": ""}]
)
def test_exactly_one_server_is_named(how: dict[str, Any]):
    with pytest.raises(llm.ConfigError, match="name one MCP server"):
        mcp_tools(**how)


@pytest.mark.parametrize("url", ["http://x:port/mcp", "http://[::1/mcp"])
def test_an_address_that_is_none_is_told(url: str):
    with pytest.raises(llm.ConfigError, match="the address of an MCP server: "):
        mcp_tools(url)
