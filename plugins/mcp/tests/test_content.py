"""What results of MCP become; by hand, from the specification."""

from __future__ import annotations

import base64
from typing import Any

import mcp_types
import pytest

import beluga_llm as llm
from beluga_llm_mcp._content import to_content
from beluga_llm_mcp._session import _listed
from beluga_llm_mcp._tools import McpTool, _named

PNG = base64.b64encode(b"\x89PNG").decode()


def result(*content: dict[str, Any], **more: Any) -> mcp_types.CallToolResult:
    return mcp_types.CallToolResult.model_validate({"content": content, **more})


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def blob(mime_type: str | None, uri: str = "file:///a/report.x", data: str = PNG) -> dict[str, Any]:
    found = {"uri": uri, "blob": data, **({"mimeType": mime_type} if mime_type else {})}
    return {"type": "resource", "resource": found}


DATA = b"\x89PNG"


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "image", "data": PNG, "mimeType": "image/webp"},
            llm.ImagePart(data=DATA, mime_type="image/webp"),
        ),
        (
            {"type": "audio", "data": PNG, "mimeType": "audio/mpeg"},
            llm.AudioPart(data=DATA, format="mp3"),
        ),
        (
            {"type": "audio", "data": PNG, "mimeType": "audio/strange; x=1"},
            llm.FilePart(data=DATA, mime_type="audio/strange"),
        ),
        (blob("image/png"), llm.ImagePart(data=DATA, mime_type="image/png")),
        (blob("video/mp4"), llm.VideoPart(data=DATA, mime_type="video/mp4")),
        (
            blob("application/pdf"),
            llm.FilePart(data=DATA, mime_type="application/pdf", name="report.x"),
        ),
        (
            blob(None, "x://"),
            llm.FilePart(data=DATA, mime_type="application/octet-stream"),
        ),
    ],
)
def test_blocks_become_parts(block: dict[str, Any], part: llm.ContentPart):
    assert to_content(result(text("See:"), block)) == [llm.TextPart("See:"), part]


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "resource", "resource": {"uri": "file:///a.txt", "text": "abc"}}, "abc"),
        ({"type": "resource_link", "uri": "file:///a.txt", "name": "a"}, "a: file:///a.txt"),
        (
            {
                "type": "resource_link", "uri": "x://y", "name": "a",
                "title": "The A", "description": "first",
            },
            "The A: x://y (first)",
        ),
        ({"type": "image", "data": "no base64!", "mimeType": "image/png"},
         "[image/png that cannot be read]"),
    ],
)  # fmt: skip
def test_blocks_become_text(block: dict[str, Any], words: str):
    assert to_content(result(text("One."), block)) == f"One.\n{words}"


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize(
    ("blocks", "structured", "content"),
    [
        ([], None, ""),
        ([], {"a": 1}, '{"a": 1}'),
        ([text('{"a":1}')], {"a": 1}, '{"a":1}'),
        ([text("It is 1.")], {"a": "é"}, 'It is 1.\n{"a": "é"}'),
        ([text("3")], {"result": 3}, "3"),
        ([text("hello")], {"result": "hello"}, "hello"),
        ([text("a"), text("b")], {"result": ["a", "b"]}, "a\nb"),
        ([text('{"x":1}'), text('{"x":2}')], {"result": [{"x": 1}, {"x": 2}]}, '{"x":1}\n{"x":2}'),
        ([text("3")], {"result": 3, "unit": "C"}, '3\n{"result": 3, "unit": "C"}'),
        ([], [1, 2], "[1, 2]"),
        ([], 0, "0"),
    ],
)
def test_structured_content_is_said_once(blocks: list[Any], structured: Any, content: str):
    assert to_content(result(*blocks, structuredContent=structured)) == content


class Answers:
    """A session that answers one thing."""

    label = "test"

    def __init__(self, answer: mcp_types.CallToolResult) -> None:
        self.answer = answer

    async def call(self, name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        return self.answer


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([text("closed")], "closed"),
        ([text("see"), blob("image/png"), text("it")], "see\nit"),
        ([blob("image/png")], "x failed"),
        ([], "x failed"),
    ],
)
async def test_an_error_is_told_in_words(blocks: list[Any], words: str):
    session: Any = Answers(result(*blocks, isError=True))
    tool = McpTool(session, mcp_types.Tool(name="x", input_schema={"type": "object"}), "x")
    with pytest.raises(llm.ToolError) as caught:
        await tool.run({})
    assert str(caught.value) == words


def test_names_are_those_that_providers_take():
    taken: set[str] = set()
    long = "n" * 100
    assert [_named(name, taken) for name in ("a", "a.b", "a/b", "é", long, long)] == [
        "a", "a_b", "a_b_2", "_", "n" * 64, "n" * 62 + "_2",
    ]  # fmt: skip


class Pages:
    """A client of a server that gives its tools page by page."""

    def __init__(self, pages: list[tuple[str, str | None]]) -> None:
        self.pages = pages
        self.asked: list[str | None] = []

    async def list_tools(self, *, cursor: str | None = None) -> mcp_types.ListToolsResult:
        self.asked.append(cursor)
        name, following = self.pages[len(self.asked) - 1]
        tools = [mcp_types.Tool(name=name, input_schema={"type": "object"})]
        return mcp_types.ListToolsResult(tools=tools, next_cursor=following)


@pytest.mark.row("DIST-05")
@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ([("a", None)], [None]),
        ([("a", "2"), ("b", "3"), ("c", None)], [None, "2", "3"]),
        ([("a", "2"), ("b", "2")], [None, "2"]),
    ],
    ids=["one", "three", "a server that goes round in circles"],
)
async def test_all_pages_of_tools_are_read(
    pages: list[tuple[str, str | None]], asked: list[str | None]
):
    client: Any = Pages(pages)
    assert [tool.name for tool in await _listed(client)] == [name for name, _ in pages]
    assert client.asked == asked
