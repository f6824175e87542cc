"""The span of a call.

It is current only while a request is being opened: it goes with the running call, and the transport
stands `within` it (`_http_model.py`; `opening` for a provider that is none of ours). So spans of an
HTTP client are its children, spans of the application between two chunks are not, and whoever
closes a stream, in whatever context, has nothing to undo.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

from beluga_llm._call import Chunks
from beluga_llm._events import Event
from beluga_llm._json import dumps_text
from beluga_llm._telemetry import content, emit, mark_failed, names, start, within
from beluga_llm._telemetry.attributes import of_answer, of_request, provider_name
from beluga_llm._watching import Aborted, Watch, error_code

if TYPE_CHECKING:
    from beluga_llm._request import ChatRequest
    from beluga_llm._telemetry import LoggerProvider, Span, Tracer

Capture: TypeAlias = Literal["SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]
"""Where content goes that is captured."""


def capture_mode(asked: bool | Capture | None) -> Capture | None:
    """Where content goes, by the word of the application or else of the environment."""
    if isinstance(asked, str):
        return asked
    if asked is False:
        return None
    given: Any = os.environ.get(names.CAPTURE_VARIABLE, "").strip().upper()
    if given in get_args(Capture):
        return given  # type: ignore[no-any-return]  # it is one of them
    return "SPAN_ONLY" if asked else None


class CallSpan(Watch):
    """The span of one call, from its first iteration to its end."""

    kind: ClassVar[str] = "span"

    def __init__(
        self,
        request: ChatRequest,
        tracer: Tracer,
        capture: Capture | None,
        logger_provider: LoggerProvider | None,
    ) -> None:
        super().__init__(request)
        self.whole = capture is not None
        self._tracer, self._capture, self._logs = tracer, capture, logger_provider
        self._asked: dict[str, Any] = {}
        self._span: Span

    def begin(self) -> None:
        """Starts it under what is the current span."""
        request = self.request
        self._asked = of_request(request)
        name = f"{names.CHAT} {request.model.model_id}"
        self._span = start(self._tracer, name, self._asked, client=True)
        if request.call is not None:
            request.call.span = self._span

    def event(self, event: Event) -> None:
        """Adds what happened as an event of the span."""
        name = names.EVENTS.get(event.name)
        if name is not None and self._span.is_recording():
            self._span.add_event(name, _facts(event))

    def finish(self, error: BaseException | None, aborted: Aborted | None) -> None:
        """Ends it."""
        span = self._span
        try:
            if span.is_recording():
                self._describe(error, aborted)
        finally:
            span.end()

    def _describe(self, error: BaseException | None, aborted: Aborted | None) -> None:
        span, call, heard = self._span, self.request.call, self.heard
        found = of_answer(heard.answer)
        if self.request.streaming:
            found[names.CHUNKS] = heard.chunks
            if heard.first is not None:
                found[names.TIME_TO_FIRST_CHUNK] = heard.first
        if call is not None:
            found[names.ATTEMPTS] = call.attempt
        if aborted is not None:
            found[names.ABORTED] = aborted
        if error is not None:
            found[names.ERROR_TYPE] = error_code(error)
            mark_failed(span, str(error))
            _record(span, error, self._logs)
        found |= answerer(self.request)
        span.set_attributes(found)
        if self._capture is not None:
            self._show(found)

    def _show(self, found: dict[str, Any]) -> None:
        """Tells what was said."""
        said, heard = content.asked(self.request.messages, self.request.tools), self.heard
        if heard.said is not None and heard.chunks:
            said |= content.answered(heard.said.message())
        if self._capture != "EVENT_ONLY":
            self._span.set_attributes({name: dumps_text(value) for name, value in said.items()})
        if self._capture != "SPAN_ONLY":
            details = {**self._asked, **found, **said}
            emit(self._logs, names.DETAILS, self._span, details, warn=False)


def answerer(request: ChatRequest) -> dict[str, Any]:
    """The provider that was asked in the end, where the model is one of several itself."""
    call = request.call
    provider = getattr(call, "provider", None)
    if request.model.inside and provider and provider != request.model.provider:
        return {names.PROVIDER: provider_name(provider)}
    return {}


def _record(span: Span, error: BaseException, provider: LoggerProvider | None) -> None:
    """An exception: as an event of the span, as a log record, or both."""
    wanted = os.environ.get(names.EXCEPTION_VARIABLE, "").strip().lower()
    if wanted not in ("logs", "logs/dup"):
        span.record_exception(error)
        return
    if wanted == "logs/dup":
        span.record_exception(error)
    kind = type(error)
    facts = {
        names.EXCEPTION_TYPE: f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
        names.EXCEPTION_MESSAGE: str(error),
        names.EXCEPTION_STACKTRACE: "".join(traceback.format_exception(error)),
    }
    emit(provider, names.EXCEPTION, span, facts, warn=True)


def _facts(event: Event) -> dict[str, Any]:
    """What an event says, as attributes: nothing of what was said to or by the model."""
    facts = event.facts
    error, failed = facts.get("error"), facts.get("failed")
    wait = facts.get("wait", facts.get("seconds"))
    hit = facts.get("hit")
    wanted: Mapping[str, Any] = {
        names.PROVIDER: provider_name(facts.get("provider") or "") or None,
        names.REQUEST_MODEL: facts.get("model_id") or None,
        names.ATTEMPT: facts.get("attempt"),
        names.WAIT: wait,
        names.ERROR_TYPE: None if error is None else error_code(error),
        names.CACHE_RESULT: None if hit is None else cache_result(hit),
        names.BREAKER_STATE: facts.get("state"),
        names.FAILED_PROVIDER: failed and provider_name(failed.provider),
        names.FAILED_MODEL: failed and failed.model_id,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def cache_result(hit: bool) -> str:
    """How the conventions of metrics would have it."""
    return "hit" if hit else "miss"


async def opening(chunks: Chunks, span: Span) -> Chunks:
    """Chunks of a provider that opens its request by itself: the span is current meanwhile."""
    try:
        try:
            with within(span):
                first = await anext(chunks)
        except StopAsyncIteration:
            return
        yield first
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
