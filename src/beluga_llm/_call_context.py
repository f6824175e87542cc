"""A call as hooks and selectors see it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from beluga_llm._messages import Message
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest


class CallContext:
    """What an application may know of a call while it runs.

    Attributes:
        started_at: when it began here, in unix seconds.
        closed_early: whether a stream was left before its end.
    """

    __slots__ = ("_request", "attributes", "closed_early", "started_at")

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self.started_at = time.time()
        self.closed_early = False
        self.attributes: dict[str, Any] = {} if request.call is None else request.call.attributes

    @property
    def call_id(self) -> str:
        """16 hex digits, one for each logical call; the same in logs, spans and hooks."""
        return self._request.info.call_id

    @property
    def provider(self) -> str:
        """The entry name of the model's provider."""
        return self._request.model.provider

    @property
    def model_id(self) -> str:
        """The model that is asked."""
        return self._request.model.model_id

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation."""
        return self._request.messages

    @property
    def options(self) -> GenerateOptions:
        """The options of the call over those of the model."""
        return self._request.options

    @property
    def streaming(self) -> bool:
        """Whether the call is a stream."""
        return self._request.streaming

    @property
    def attempt(self) -> int:
        """How many requests were begun for the call so far."""
        return 0 if self._request.call is None else self._request.call.attempt

    @property
    def session_id(self) -> str | None:
        """The application's session, where it set one."""
        return self._request.info.session_id

    @property
    def request_id(self) -> str | None:
        """The application's request, where it set one."""
        return self._request.info.request_id

    @property
    def tenant(self) -> str | None:
        """The application's tenant, where it set one."""
        return self._request.info.tenant

    def __repr__(self) -> str:
        kind = "stream" if self.streaming else "generate"
        return f"<CallContext {self.call_id} {kind} {self.provider}/{self.model_id}>"
