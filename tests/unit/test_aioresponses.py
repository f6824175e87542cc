"""aioresponses beside our models: the fixture that makes it work, and when that can go."""

from __future__ import annotations

from typing import Any

import aiohttp
import aioresponses
import pytest
from aioresponses import core

import beluga_llm as llm
from beluga_llm.testing import _aioresponses

URL = "https://api.example.test/v1/chat/completions"
ANSWER = {
    "id": "r1",
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@pytest.mark.row("TEST-31")
async def test_a_model_is_answered_by_aioresponses(aioresponses_compat: Any):
    aioresponses_compat.post(URL, payload=ANSWER)
    aioresponses_compat.post(URL, status=429, payload={"error": {"message": "slow down"}})
    base_url = URL.removesuffix("/chat/completions")
    async with llm.create("openai-compatible/m", base_url=base_url) as model:
        assert (await model.generate("hi")).text == "Hi"
        with pytest.raises(llm.RateLimitError, match="slow down"):
            await model.generate("hi")


@pytest.mark.row("TEST-31")
def test_nothing_stays_patched():
    with _aioresponses.aioresponses_compat():
        pass
    assert core.ClientResponse is aiohttp.ClientResponse


@pytest.mark.row("TEST-31")
async def test_the_fixture_is_still_needed():
    """Fails when aioresponses works by itself: then `aioresponses_compat` can go."""
    with aioresponses.aioresponses() as mocked:
        mocked.post(URL, payload=ANSWER)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TypeError, match="stream_writer"):
                await session.post(URL)


@pytest.mark.row("TEST-31")
@pytest.mark.parametrize("new", [False, True])
async def test_an_aiohttp_without_writers_is_left_alone(new: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_aioresponses, "needs_writer", lambda: new)
    with _aioresponses.aioresponses_compat():
        assert (core.ClientResponse is _aioresponses.CompatResponse) == new
