"""A request as a value: what goes through the middleware to a provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from beluga_llm._frozen import EMPTY
from beluga_llm._messages import Message
from beluga_llm._options import NO_OPTIONS, GenerateOptions, OptionLayer
from beluga_llm._tool_types import ToolDefinition


class RequestInfo(msgspec.Struct, frozen=True):
    """Who asks: ids for logs, spans and hooks.

    Attributes:
        call_id: 16 hex digits, one for each logical call.
        session_id, request_id, tenant: the application's, where it set them.
        metadata: the call's `metadata=`.
    """

    call_id: str = ""
    session_id: str | None = None
    request_id: str | None = None
    tenant: str | None = None
    metadata: Mapping[str, Any] = EMPTY


class ModelInfo(msgspec.Struct, frozen=True):
    """The model that a request is on its way to.

    Attributes:
        provider: its entry name.
        model_id: the id that is asked, `model=` of the call included.
        server: host and port, "" for what is no HTTP service.
        base_url: the API's address without credentials, "" likewise.
        credential: the first 16 hex digits of the key's SHA-256; where there is no fixed key, what
            stands for it.
        variant: what of its configuration changes answers, as text; "" for nothing.
        inside: the models that it hands requests on to.
    """

    provider: str = ""
    model_id: str = ""
    server: str = ""
    base_url: str = ""
    credential: str = ""
    variant: str = ""
    inside: tuple[InnerModel, ...] = ()

    @property
    def state_key(self) -> tuple[str, str, str, str]:
        """What limits and gates learned from a provider are kept under."""
        return self.provider, self.base_url, self.credential, self.model_id


class InnerModel(msgspec.Struct, frozen=True):
    """A model within another one, with what it adds to the requests that it gets."""

    model: ModelInfo
    options: GenerateOptions
    tools: tuple[ToolDefinition, ...]


class Bounds(msgspec.Struct, frozen=True):
    """Limits of time that middleware sets for what is inside of it.

    Attributes:
        deadline: the event loop's time at which the answer must have ended.
        first_chunk, idle: seconds, as in Timeouts.
    """

    deadline: float | None = None
    first_chunk: float | None = None
    idle: float | None = None

    def narrowed(self, other: Bounds) -> Bounds:
        """The narrower of both, limit by limit."""
        return Bounds(
            earliest(self.deadline, other.deadline),
            earliest(self.first_chunk, other.first_chunk),
            earliest(self.idle, other.idle),
        )


NO_BOUNDS = Bounds()


def earliest(*times: float | None) -> float | None:
    """The first of some times or limits; None stands for never."""
    found = None
    for time in times:
        if time is not None and (found is None or time < found):
            found = time
    return found


class RunningCall(Protocol):
    """What a layer or a provider may see and change of the call it works for.

    Attributes:
        opened: every generator handed out and not yet closed.
        attempt: how many requests were begun for this call.
        attributes: free for the application and its middleware.
        deadline: the event loop's time at which the call must have ended, or None.
        on_drop: synchronous clean-ups, run when a stream is dropped unfinished.
        listeners: who hears of what layers do; see `tell`.
        cancelled: whether a stream was left because its consumer was cancelled.
        suppressed_error: the error that a hook had the call end without.
        scope_deadline: that of a cancel scope around the call, where the running task is another
            one than the scope's.
        withheld: what came of the running attempt and was not passed on yet.
        watchers: the kinds of looks that are around it.
        span: OpenTelemetry's span of it, where one is made.
    """

    opened: list[Any]
    attempt: int
    attributes: dict[str, Any]
    deadline: float | None
    on_drop: list[Callable[[], None]]
    listeners: list[Callable[[Any], Any]]
    cancelled: bool
    suppressed_error: Exception | None
    scope_deadline: float
    withheld: list[Any]
    watchers: frozenset[str]
    span: Any


class ChatRequest(msgspec.Struct, frozen=True):
    """One request. Middleware changes it with `replace(request, **changes)`.

    Attributes:
        messages: the conversation, checked.
        options: of the call over those of the model, checked.
        tools: what is offered to the model.
        streaming: whether the provider's streaming endpoint is to be used.
        info: ids of the call.
        call: the running call; None where a request is made by hand.
        asked: the layers of options that the call asked, and the wrappers around a model: what
            another model puts over its own.
        merged: `options` as they were when this request was made; a difference is the work of
            middleware, and is passed on too.
        model: the model that the request is on its way to.
        bounds: limits of time set by middleware; they only ever narrow.
    """

    messages: tuple[Message, ...]
    options: GenerateOptions = NO_OPTIONS
    tools: tuple[ToolDefinition, ...] = ()
    streaming: bool = True
    info: RequestInfo = RequestInfo()
    call: RunningCall | None = None
    asked: tuple[OptionLayer, ...] = ()
    merged: GenerateOptions = NO_OPTIONS
    model: ModelInfo = ModelInfo()
    bounds: Bounds = NO_BOUNDS
