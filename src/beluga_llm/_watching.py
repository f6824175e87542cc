"""Looking on while a call runs: what tracing, metrics and logging have in common.

Theory of operation. A `Watch` hears the chunks and the events of one call, and is told once how it
ended: by its end, an error, a cancellation, or because its consumer left. A stream that is merely
dropped ends it too, synchronously. Of several watches of one kind around the same call only the
outermost looks on: which kinds do is written on the running call, and so on its way to every model
behind a fallback.

Watches that stand directly around one another hear the same chunks in one loop: the outer one
invites, while it opens what is beneath it; a watch that is opened then offers itself; and it joins
if its chunks are what comes back, so if no layer stands between.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from contextvars import ContextVar
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from beluga_llm._answer_facts import AnswerFacts
from beluga_llm._call import SETTLE_EVERY, CallNext, Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._events import Event
from beluga_llm._fold import Fold
from beluga_llm._request import ChatRequest, RunningCall

logger = logging.getLogger("beluga_llm.telemetry")

Aborted: TypeAlias = Literal["closed", "cancelled"]


class Heard:
    """What was heard of one answer.

    Attributes:
        answer: its facts.
        said: the answer itself, where that is of interest.
        chunks: how many there were.
        first: seconds to the first content of a stream, None before.
        times: when there was content, where that is of interest.
        pending: the latest chunks, not taken in yet.
    """

    __slots__ = ("answer", "began", "chunks", "first", "pending", "said", "times")

    def __init__(self) -> None:
        self.answer = AnswerFacts()
        self.said: Fold | None = None
        self.chunks = 0
        self.first: float | None = None
        self.times: list[float] | None = None
        self.pending: list[StreamChunk] = []
        self.began = time.perf_counter()

    def hear(self, chunk: StreamChunk) -> None:
        """Takes the next chunk, until there was content; then `pending` takes them."""
        self.pending.append(chunk)
        if chunk.is_content:
            now = time.perf_counter()
            self.first = now - self.began
            if self.times is not None:
                self.times.append(now)

    def settle(self) -> None:
        """Takes in what is pending."""
        pending = self.pending
        self.chunks += len(pending)
        self.answer.extend(pending)
        if self.said is not None:
            self.said.extend(pending)
        pending.clear()

    @property
    def duration(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self.began


class Watch(ABC):
    """One look at one call.

    Attributes:
        kind: what only the outermost of looks on.
        request: what was asked.
        heard: what was answered, from the beginning of the call on.
        whole: whether what was said is of interest; else only the facts of the answer are.
        timed: whether the times of a stream's chunks are of interest.
    """

    kind: ClassVar[str]
    heard: Heard
    whole = False
    timed = False
    _over = False

    def __init__(self, request: ChatRequest) -> None:
        self.request = request

    def begin(self) -> None:  # noqa: B027 -- nothing has to be done
        """The call begins."""

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

    def end(self, error: BaseException | None, aborted: Aborted | None) -> None:
        """Ends the look, if it has not ended; what goes wrong is no error of the call."""
        if not self._over:
            self._over = True
            try:
                self.finish(error, aborted)
            except Exception:
                logger.exception("a call could not be recorded")


class _Offer(NamedTuple):
    """A watch that may join the one around it."""

    chunks: Chunks
    watch: Watch
    request: ChatRequest
    call_next: CallNext


class _Invitation:
    """Where a watch that is opened may offer itself: the last one that does counts.

    A layer may start a task while it is opened, whose context keeps the invitation for ever: so it
    is closed.
    """

    __slots__ = ("is_open", "offer")

    def __init__(self) -> None:
        self.is_open = True
        self.offer: _Offer | None = None


_INVITED: ContextVar[_Invitation | None] = ContextVar("beluga_llm.watching", default=None)
"""None where nobody invites."""


class _Looking:
    """All that look at the same chunks."""

    __slots__ = ("_call", "_watches", "heard")

    def __init__(self, request: ChatRequest) -> None:
        self.heard = Heard()
        self._call = request.call
        self._watches: list[Watch] = []
        if self._call is not None:
            self._call.listeners.append(self.told)
            self._call.on_drop.append(self.dropped)

    def begin(self, watch: Watch) -> None:
        """One more looks on."""
        heard, call = self.heard, self._call
        watch.heard = heard
        if watch.whole and heard.said is None:
            heard.said = Fold()
        if watch.timed and heard.times is None:
            heard.times = []
        watch.start()
        self._watches.append(watch)
        if call is not None:
            call.watchers |= {watch.kind}

    def open(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks, with all that stand directly beneath and join."""
        while True:
            invitation = _Invitation()
            before = _INVITED.set(invitation)
            try:
                chunks = call_next(request)
            finally:
                _INVITED.reset(before)
                invitation.is_open = False
            offer, invitation.offer = invitation.offer, None
            if offer is None or offer.chunks is not chunks:
                return chunks
            _, watch, request, call_next = offer
            self.begin(watch)

    def told(self, event: Event) -> None:
        """Passes on what happened within the call."""
        for watch in self._watches:
            watch.told(event)

    def end(self, error: BaseException | None = None, aborted: Aborted | None = None) -> None:
        """Ends all looks, the innermost first, if they have not ended."""
        if not self._watches:
            return
        watches, self._watches, call = self._watches[::-1], [], self._call
        if call is not None:
            call.watchers -= {watch.kind for watch in watches}
            call.listeners.remove(self.told)
            if self.dropped in call.on_drop:  # else the stream was dropped
                call.on_drop.remove(self.dropped)
        try:
            self.heard.settle()
        except Exception:
            logger.exception("an answer could not be recorded")
        for watch in watches:
            watch.end(error, aborted)

    def dropped(self) -> None:
        """Ends the looks at a stream that nobody holds any more."""
        self.end(aborted="closed")


def is_watched(request: ChatRequest, kind: str) -> bool:
    """Whether a look of this kind is around the call already."""
    return request.call is not None and kind in request.call.watchers


def watched(request: ChatRequest, call_next: CallNext, watch: Watch) -> Chunks:
    """The chunks of the call, which the watch hears."""
    chunks = _watched(request, call_next, watch)
    invitation = _INVITED.get()
    if invitation is not None and invitation.is_open:
        invitation.offer = _Offer(chunks, watch, request, call_next)
    return chunks


async def _watched(request: ChatRequest, call_next: CallNext, watch: Watch) -> Chunks:
    call, looking = request.call, _Looking(request)
    looking.begin(watch)
    heard = looking.heard
    try:
        chunks = looking.open(request, call_next)
        if request.streaming:
            async for chunk in chunks:
                heard.hear(chunk)
                yield chunk
                if heard.first is not None:
                    break
        pending, times = heard.pending, heard.times
        async for chunk in chunks:  # the rest, at little cost
            pending.append(chunk)
            if times is not None and (chunk.delta or chunk.is_content):
                times.append(time.perf_counter())
            if len(pending) >= SETTLE_EVERY:
                heard.settle()
            yield chunk
    except GeneratorExit:
        looking.end(aborted="cancelled" if call is not None and call.cancelled else "closed")
        raise
    except asyncio.CancelledError:
        looking.end(aborted="cancelled")
        raise
    except BaseException as error:
        looking.end(error)
        raise
    else:
        looking.end()


def error_code(error: BaseException) -> str:
    """What an error is counted under: its code, or the name of its class."""
    return error.code if isinstance(error, BelugaError) else type(error).__name__


def span_of(call: RunningCall | None) -> Any:
    """OpenTelemetry's span around what runs now; None where there is none."""
    return None if call is None or "span" not in call.watchers else call.span
