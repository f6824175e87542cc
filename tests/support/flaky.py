"""A model whose every attempt is written down: chunks, failures, and waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from beluga_llm import Capabilities, ChatModel, ChatRequest, FinishReason, StreamChunk, Usage


def text(*words: str) -> list[StreamChunk]:
    return [StreamChunk(word) for word in words]


def answer(*words: str, tokens: int = 1) -> list[StreamChunk]:
    """A complete answer: a chunk without content first, and the end last."""
    usage = Usage(tokens, tokens, 2 * tokens)
    head = StreamChunk(model_id="real", response_id="r")
    return [head, *text(*words), StreamChunk(finish_reason=FinishReason.STOP, usage=usage)]


class Flaky(ChatModel):
    """Each request takes the next attempt; the last one serves all further requests.

    Attributes:
        requests: what was asked.
        open: how many of its generators are open now.
    """

    provider = "flaky"

    def __init__(self, *attempts: Sequence[Any], name: str = "f1", prefill: bool | None = None):
        super().__init__()
        self.model_id = name
        self.attempts = list(attempts)
        self.requests: list[ChatRequest] = []
        self._running: list[ChatRequest] = []
        self._prefill = prefill

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(prefill=self._prefill)

    @property
    def open(self) -> int:
        return len(self._running)

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        number = len(self.requests)
        self.requests.append(request)
        self._running.append(request)
        try:
            for item in self.attempts[min(number, len(self.attempts) - 1)]:
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                elif isinstance(item, StreamChunk):
                    yield item
                else:
                    await item()
        finally:
            self._running.remove(request)
