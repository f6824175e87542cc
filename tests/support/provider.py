"""A model whose calls a test begins, answers and ends by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from beluga_llm import ChatModel, ChatRequest, Clock, FinishReason, StreamChunk, Usage


class Script:
    """What a provider does; all copies of it go by the same one.

    Attributes:
        hold: whether requests wait until `finish` or `fail`.
        facts: `rate_limit` of the answers' metadata.
        usage: of the answers.
        error: raised instead of an answer.
    """

    def __init__(self) -> None:
        self.hold = False
        self.facts: Any = None
        self.usage: Usage | None = None
        self.error: Exception | None = None


class Provider(ChatModel):
    """Answers at once, or where it is told to hold, when the test says so.

    Attributes:
        started: the text of each request and when it began, in order.
        script: what it does.
    """

    provider = "acme"

    def __init__(self, clock: Clock, model_id: str = "m") -> None:
        super().__init__()
        self.model_id = model_id
        self.started: list[tuple[str, float]] = []
        self.script = Script()
        self._clock = clock
        self._held: dict[str, asyncio.Future[None]] = {}

    @property
    def running(self) -> list[str]:
        """The texts of requests that have begun and not ended."""
        return list(self._held)

    def finish(self, text: str) -> None:
        """Lets a request end well."""
        self._held[text].set_result(None)

    def fail(self, text: str, error: Exception) -> None:
        """Lets a request fail."""
        self._held[text].set_exception(error)

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        text = request.messages[-1].text
        self.started.append((text, self._clock.time()))
        script = self.script
        if script.error is not None:
            raise script.error
        if script.hold:
            self._held[text] = asyncio.get_running_loop().create_future()
            try:
                await self._held[text]
            finally:
                del self._held[text]
        if script.facts is not None:
            yield StreamChunk(metadata={"rate_limit": script.facts})
        yield StreamChunk("ok ")
        yield StreamChunk("fine", finish_reason=FinishReason.STOP, usage=script.usage)
