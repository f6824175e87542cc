"""Spans on a list, without OpenTelemetry's SDK: for demonstrations."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context


class LoggedSpan(trace.Span):
    """A span that keeps what it is told.

    Attributes:
        name: of the span.
        attributes: of the span.
        events: the names of its events, with their attributes.
        duration: seconds, 0 until it ends.
    """

    def __init__(self, log: SpanLog, name: str, attributes: Mapping[str, Any] | None) -> None:
        self.name = name
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.duration = 0.0
        self._log, self._began = log, time.perf_counter()
        ids = int.from_bytes(os.urandom(16), "big"), int.from_bytes(os.urandom(8), "big")
        self._context = trace.SpanContext(*ids, is_remote=False)

    def get_span_context(self) -> trace.SpanContext:
        """Its ids."""
        return self._context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return not self.duration

    def set_attribute(self, key: str, value: Any) -> None:
        """Keeps an attribute."""
        self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Keeps attributes."""
        self.attributes.update(attributes)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Keeps an event."""
        self.events.append((name, dict(attributes or {})))

    def update_name(self, name: str) -> None:
        """Changes the name."""
        self.name = name

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Keeps the status as an attribute."""
        self.attributes["status"] = getattr(status, "status_code", status).name

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Keeps an exception as an event."""
        self.add_event("exception", {"exception.message": str(exception)})

    def end(self, end_time: int | None = None) -> None:
        """Puts it on the list."""
        self.duration = time.perf_counter() - self._began
        self._log.spans.append(self)


class SpanLog(trace.TracerProvider, trace.Tracer):
    """A tracer provider whose spans are a list.

    Attributes:
        spans: those that have ended.
    """

    def __init__(self) -> None:
        self.spans: list[LoggedSpan] = []

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        """Itself."""
        return self

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: Any = None,
        *_: Any,
        **__: Any,
    ) -> LoggedSpan:
        """A new span."""
        return LoggedSpan(self, name, attributes)

    @contextmanager
    def start_as_current_span(self, name: str, *_: Any, **__: Any) -> Iterator[LoggedSpan]:  # type: ignore[override]  # a context manager of ours
        """A new span, current in the block."""
        span = self.start_span(name)
        with trace.use_span(span, end_on_exit=True):
            yield span
