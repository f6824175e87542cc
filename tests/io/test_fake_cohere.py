"""The fake server answers at Cohere's path."""

from __future__ import annotations

import aiohttp
import pytest

from beluga_llm.testing import FakeServer


@pytest.mark.row("TEST-01")
async def test_the_server_speaks_cohere() -> None:
    async with FakeServer() as server, aiohttp.ClientSession() as session:
        server.reply("Hello")
        server.reply(status=429)
        url = server.base_url("cohere") + "/v2/chat"
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        async with session.post(url, json=body) as response:
            answer = await response.json()
            assert response.headers["x-debug-trace-id"]
        assert answer["message"]["content"] == [{"type": "text", "text": "Hello"}]
        async with session.post(url, json=body) as response:
            problem = await response.json()
            assert (response.status, problem["message"][:8]) == (429, "You are ")
            assert problem["id"] == response.headers["x-debug-trace-id"]
