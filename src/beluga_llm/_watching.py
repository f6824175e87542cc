"""Looking on while a call runs: what tracing, metrics and logging have in common.

Theory of operation. A `Watch` hears the chunks and the events of one call, and is told once how it
ended: by its end, an error, a cancellation, or because its consumer left. A stream that is merely
dropped ends it too, synchronously. Of several watches of one kind around the same call only the
outermost looks on: which kinds do is written on the running call, and so on its way to every model
behind a fallback.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, TypeAlias

from beluga_llm._call import SETTLE_EVERY, CallNext, Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._events import Event
from beluga_llm._fold import Fold
from beluga_llm._request import ChatRequest, RunningCall

logger = logging.getLogger("beluga_llm.telemetry")

Aborted: TypeAlias = Literal["closed", "cancelled"]


class Watch(ABC):
    """One look at one call.

    Args:
        request: what was asked.
        whole: whether what was said is of interest; else only the facts of the answer are.

    Attributes:
        kind: what only the outermost of looks on.
        request: likewise.
        chunks: how many were heard.
        first: seconds to the first content, None before.
        times: when content was heard, where that is wanted.
    """

    kind: ClassVar[str]
    times: list[float] | None = None

    def __init__(self, request: ChatRequest, *, whole: bool = False) -> None:
        self.request = request
        self.chunks = 0
        self.first: float | None = None
        self.heard: list[StreamChunk] = []
        self._whole = whole
        self._began = time.perf_counter()
        self._fold = Fold()
        self._over = False

    def begin(self) -> None:  # noqa: B027 -- nothing has to be done
        """The call begins."""

    def hear(self, chunk: StreamChunk) -> None:
        """Takes the next chunk, until there was content; then `heard` takes them."""
        self.heard.append(chunk)
        if chunk.is_content:
            now = time.perf_counter()
            self.first = now - self._began
            if self.times is not None:
                self.times.append(now)

    def settle(self) -> None:
        """Takes in what was heard."""
        self.chunks += len(self.heard)
        for chunk in self.heard:
            if self._whole or not _is_bare_text(chunk):
                self._fold.add(chunk)
        self.heard.clear()

    def event(self, event: Event) -> None:  # noqa: B027 -- likewise
        """Something happened within the call."""

    @abstractmethod
    def finish(self, error: BaseException | None, aborted: Aborted | None) -> None:
        """The call has ended; this is called once.

        Args:
            error: what it failed with.
            aborted: how its consumer left it.
        """

    def start(self) -> None:
        """Begins the look; what goes wrong is no error of the call, and ends the look."""
        try:
            self.begin()
        except Exception:
            self._over = True
            logger.exception("a call could not be recorded")

    def told(self, event: Event) -> None:
        """Takes an event, if the look has not ended; likewise."""
        if not self._over:
            try:
                self.event(event)
            except Exception:
                logger.exception("an event of a call could not be recorded")

    def end(self, error: BaseException | None = None, aborted: Aborted | None = None) -> None:
        """Ends the look, if it has not ended; what goes wrong is no error of the call."""
        if not self._over:
            self._over = True
            try:
                self.settle()
                self.finish(error, aborted)
            except Exception:
                logger.exception("a call could not be recorded")

    def dropped(self) -> None:
        """Ends the look at a stream that nobody holds any more."""
        self.end(aborted="closed")

    @property
    def duration(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self._began

    @property
    def answer(self) -> Fold:
        """The answer that was heard; without what it said, where that is of no interest."""
        return self._fold


def _is_bare_text(chunk: StreamChunk) -> bool:
    """Whether a chunk tells nothing but more text."""
    return (
        chunk.delta != ""
        and chunk.finish_reason is None
        and chunk.usage is None
        and chunk.model_id is None
        and chunk.response_id is None
        and not chunk.tool_calls
        and not chunk.reset
        and not chunk.choice
    )


def is_watched(request: ChatRequest, kind: str) -> bool:
    """Whether a look of this kind is around the call already."""
    return request.call is not None and kind in request.call.watchers


async def watched(request: ChatRequest, call_next: CallNext, watch: Watch) -> Chunks:
    """The chunks of the call, which the watch hears."""
    call = request.call
    watch.start()
    if call is not None:
        call.watchers |= {watch.kind}
        call.listeners.append(watch.told)
        call.on_drop.append(watch.dropped)
    try:
        chunks = call_next(request)
        async for chunk in chunks:
            watch.hear(chunk)
            yield chunk
            if watch.first is not None:
                break
        heard, times = watch.heard, watch.times
        async for chunk in chunks:  # the rest, at little cost
            heard.append(chunk)
            if times is not None and (chunk.delta or chunk.is_content):
                times.append(time.perf_counter())
            if len(heard) >= SETTLE_EVERY:
                watch.settle()
            yield chunk
    except GeneratorExit:
        watch.end(aborted="cancelled" if call is not None and call.cancelled else "closed")
        raise
    except asyncio.CancelledError:
        watch.end(aborted="cancelled")
        raise
    except BaseException as error:
        watch.end(error)
        raise
    else:
        watch.end()
    finally:
        if call is not None:
            call.watchers -= {watch.kind}
            call.listeners.remove(watch.told)
            if watch.dropped in call.on_drop:  # else the stream was dropped
                call.on_drop.remove(watch.dropped)


def error_code(error: BaseException) -> str:
    """What an error is counted under: its code, or the name of its class."""
    return error.code if isinstance(error, BelugaError) else type(error).__name__


def span_of(call: RunningCall | None) -> Any:
    """OpenTelemetry's span around what runs now; None where there is none."""
    return None if call is None or "span" not in call.watchers else call.span
