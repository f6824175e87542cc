"""The web chat among the examples: what a browser would see, and what the provider does."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import beluga_llm as llm
from beluga_llm.testing import FakeServer

PLACE = Path(__file__).parents[2] / "docs" / "examples" / "web_chat.py"


def example() -> Any:
    spec = importlib.util.spec_from_file_location("web_chat", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def browser(server: FakeServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the application, whose provider is the fake server."""
    model = llm.create("openai-compatible/m", base_url=server.base_url())
    runner = web.AppRunner(example().app(model), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session
    await runner.cleanup()


def said(text: str) -> dict[str, str]:
    return {"session": "s", "text": text}


@pytest.mark.row("DOCS-19")
async def test_a_conversation_streams_as_plain_text(
    server: FakeServer, browser: aiohttp.ClientSession
):
    async with browser.get("/") as page:
        assert page.content_type == "text/html"
        assert "/chat" in await page.text()
    for text in ("Grüße <b>", "again"):
        server.reply(text)
        async with browser.post("/chat", json=said("hi")) as response:
            assert (response.status, response.content_type) == (200, "text/plain")
            assert await response.text() == text
    assert [m["content"] for m in server.requests[1].json["messages"]] == ["hi", "Grüße <b>", "hi"]


@pytest.mark.row("DOCS-19", "PAIN-03")
async def test_closing_the_tab_disconnects_from_the_provider(
    server: FakeServer, browser: aiohttp.ClientSession
):
    server.reply("one two three", stall_after=600)
    async with browser.post("/chat", json=said("hi")) as response:
        assert (await response.content.readany()).startswith(b"one")
        response.close()
    await server.disconnected(within=20.0)


@pytest.mark.row("DOCS-19")
async def test_a_failure_is_a_status_or_a_broken_answer(
    server: FakeServer, browser: aiohttp.ClientSession
):
    server.reply(status=500)
    async with browser.post("/chat", json=said("hi")) as response:
        assert response.status == 502
    server.reply("one two three", finish=False, end_marker=False)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with browser.post("/chat", json=said("hi")) as response:
            await response.text()
