"""A span for each call, as OpenTelemetry's conventions for generative AI have it.

    model = model.with_middleware(with_tracing(), with_metrics(), with_retry())

Nothing is recorded, and nothing costs, until the application has set up OpenTelemetry's SDK. What
was said is recorded only where an application asks for it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, get_args

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._errors import ConfigError
from beluga_llm._request import ChatRequest
from beluga_llm._telemetry import tracer
from beluga_llm._telemetry.spans import CallSpan, Capture, capture_mode
from beluga_llm._watching import is_watched, watched

if TYPE_CHECKING:
    from beluga_llm._telemetry import LoggerProvider, TracerProvider


class Tracing(Layer):
    """The layer of `with_tracing`.

    Attributes:
        tracer_provider: what makes the spans; None: the global one.
        capture_content: whether, and where, what was said is recorded.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        capture_content: bool | Capture | None,
        logger_provider: LoggerProvider | None,
    ) -> None:
        modes = get_args(Capture)
        if capture_content not in (None, True, False, *modes):
            raise ConfigError(
                f"capture_content must be a bool or one of {', '.join(map(repr, modes))}, "
                f"got {capture_content!r}"
            )
        self.tracer_provider = tracer_provider
        self.capture_content = capture_content
        self._logger_provider = logger_provider

    @functools.cached_property
    def capture(self) -> Capture | None:
        """Where content goes; the environment is read at the first call."""
        return capture_mode(self.capture_content)

    def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the call, within a span."""
        if is_watched(request, CallSpan.kind):
            return call_next(request)
        made_by = tracer(self.tracer_provider)
        if made_by is None:
            return call_next(request)
        span = CallSpan(request, made_by, self.capture, self._logger_provider)
        return watched(request, call_next, span)

    def __repr__(self) -> str:
        return "with_tracing()"


def with_tracing(
    tracer_provider: TracerProvider | None = None,
    capture_content: bool | Capture | None = None,
    *,
    logger_provider: LoggerProvider | None = None,
) -> Tracing:
    """A layer that makes a span of each call; put it outside of fallbacks and retries.

        model = model.with_middleware(with_tracing())

    Retries, fallbacks, hedges, waits and cache hits are events of the span. Of several such layers
    around one call the outermost makes it.

    Args:
        tracer_provider: what makes the spans; None: the global one.
        capture_content: True records what was said, but no bytes of media, as attributes of the
            span; "EVENT_ONLY" and "SPAN_AND_EVENT" as an event too; None leaves it to the variable
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT; False never does.
        logger_provider: what takes events that are log records; None: the global one.

    Raises:
        ConfigError: `capture_content` is none of these.
    """
    return Tracing(tracer_provider, capture_content, logger_provider)
