"""One call while it runs: its middleware, its state, and the stream that users iterate.

Theory of operation. A layer is a function `(request, call_next) -> async generator`; `compose`
makes one function of all of them. Every generator that is handed out, by whichever layer, is
recorded on the running `Call`, and `Call.close` is the only place that closes them: newest first,
when the call ends for any reason. So layers stay raw generators, need no clean-up of their own, and
a `break` ten layers up reaches the HTTP response at once.

`drive` does not refer to its `ChatStream`, and the stream refers to it: a stream that is merely
dropped closes its response synchronously (`on_drop`), and its generators soon after.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._fold import Fold
from beluga_llm._ids import new_request_id
from beluga_llm._messages import AIMessage
from beluga_llm._request import ChatRequest
from beluga_llm._request_context import context_values

logger = logging.getLogger("beluga_llm")

Chunks: TypeAlias = AsyncGenerator[StreamChunk, None]
CallNext: TypeAlias = Callable[[ChatRequest], Chunks]
State: TypeAlias = Literal["pending", "open", "complete", "failed", "closed"]

SETTLE_EVERY = 256


@runtime_checkable
class Middleware(Protocol):
    """An async-generator function around a call; the same code serves generate and stream.

    It may change the request, answer without calling, call several times (one after the other),
    and drop, add or observe chunks.
    """

    def __call__(self, request: ChatRequest, call_next: CallNext, /) -> Chunks:
        """The chunks of the answer."""
        ...


class Layer:
    """The base of middleware objects that more is known of than what they do with a call.

    Their `__call__` may hand out a generator without being one.

    Attributes:
        models: those that may answer instead of the model that it is put around.
    """

    models: Sequence[Any] = ()

    @abstractmethod
    def __call__(self, request: ChatRequest, call_next: CallNext, /) -> Chunks:
        """The chunks of the answer."""

    def check_model(self, model: Any) -> None:
        """Called with the model that it is put around.

        Raises:
            ConfigError: the model cannot do what the layer needs.
        """


class Call:
    """What changes while a call runs.

    Attributes:
        call_id: 16 hex digits, in logs, spans and hooks alike.
        values: those of the `request_context` in which it was made.
        op: "chat.generate" or "chat.stream".
        state: pending, open, complete, failed or closed.
        attempt: how many requests were begun for it.
        attributes: free for the application.
        deadline: the event loop's time at which it must have ended.
        error: what it failed with.
        opened: every generator handed out and not yet closed.
        on_drop: synchronous clean-ups for a stream that is dropped unfinished.
        listeners: who hears of what layers do.
        cancelled: whether a stream was left because its consumer was cancelled.
        suppressed_error: the error that a hook had the call end without.
        scope_deadline: that of a cancel scope around the call, where the running task is another
            one than the scope's.
        withheld: what came of the running attempt and was not passed on yet.
        watchers: the kinds of looks that are around it; see `Watch`.
        span: OpenTelemetry's span of it, where one is made.
    """

    state: State = "pending"
    deadline: float | None = None
    loop: asyncio.AbstractEventLoop | None = None
    error: BaseException | None = None
    watchers: frozenset[str] = frozenset()
    span: Any = None
    begun = 0.0
    time_to_first_chunk: float | None = None
    chunks = 0
    _message: AIMessage | None = None

    def __init__(self, op: str, provider: str, model_id: str) -> None:
        self.call_id = new_request_id()
        self.values = context_values()
        self.op = op
        self.provider = provider
        self.model_id = model_id
        self.attempt = 0
        self.cancelled = False
        self.suppressed_error: Exception | None = None
        self.scope_deadline = math.inf
        self.attributes: dict[str, Any] = {}
        self.opened: list[Chunks] = []
        self.on_drop: list[Callable[[], None]] = []
        self.listeners: list[Callable[[Any], Any]] = []
        self.withheld: list[StreamChunk] = []
        self._pending: list[StreamChunk] = []
        self._fold = Fold()

    @property
    def fold(self) -> Fold:
        """The answer so far, with every chunk heard."""
        self.settle()
        return self._fold

    @property
    def message(self) -> AIMessage:
        """The answer so far."""
        self.settle()
        if self._message is None:
            self._message = self._fold.message()
        return self._message

    def start(self) -> None:
        """The call begins to run."""
        self.state, self.begun, self.loop = "open", time.monotonic(), asyncio.get_running_loop()

    async def close(self) -> None:
        """Closes every layer, innermost first: the only place that does."""
        if self.state == "open":
            self.state = "closed"
        await close_all(self.opened)

    def settle(self) -> None:
        """Folds the chunks that were heard since the last time."""
        if not self._pending:
            return
        heard = self._pending.copy()
        self._pending.clear()
        self.chunks += len(heard)
        self._message = None
        self._fold.extend(heard)

    def failed(self, error: Exception) -> None:
        """Takes note of an error and adds what only the call knows."""
        self.state, self.error = "failed", error
        if isinstance(error, BelugaError):
            error.op = error.op or self.op
            error.provider = error.provider or self.provider or None
            error.model_id = error.model_id or self.model_id or None
            if error.partial is None and (self._pending or self.chunks):
                error.partial = self.message

    def drop(self) -> None:
        """Ends what a dropped stream holds: synchronously, for nobody is left to await."""
        self.state = "closed"
        while self.on_drop:
            try:
                self.on_drop.pop()()
            except Exception:
                logger.exception("a clean-up of a dropped stream failed")


_OF_THE_CALL = frozenset(("attempt", "cancelled", "suppressed_error"))
"""What a branch reads and changes on the call itself."""


class Branch(Call):
    """One of several concurrent ways through a call: what it opens is its own, the rest the call's.

    So the loser of a race can be closed to its last layer while the winner goes on.
    """

    def __init__(self, call: Call) -> None:
        own = {name: value for name, value in vars(call).items() if name not in _OF_THE_CALL}
        vars(self).update(own)
        self._whole = call
        self.opened: list[Chunks] = []
        self.withheld: list[StreamChunk] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OF_THE_CALL:
            setattr(self._whole, name, value)
        else:
            super().__setattr__(name, value)

    def join(self) -> None:
        """Goes on as the call itself, which closes from now on what was opened here."""
        whole = self._whole
        whole.opened.extend(self.opened)
        del self.opened, self.scope_deadline  # from now on the whole call's
        whole.provider, whole.model_id = self.provider, self.model_id


def compose(handler: CallNext, layers: Sequence[Middleware], call: Call) -> CallNext:
    """The handler with its layers around it, the first outermost."""

    def opening(make: CallNext) -> CallNext:
        def call_next(request: ChatRequest) -> Chunks:
            chunks = make(request)
            (request.call or call).opened.append(chunks)
            return chunks

        return call_next

    def around(layer: Middleware, inner: CallNext) -> CallNext:
        return lambda request: layer(request, inner)

    chain = opening(handler)
    for layer in reversed(layers):
        chain = opening(around(layer, chain))
    return chain


async def drive(begin: Callable[[Call], Chunks], call: Call) -> Chunks:
    """One call from its first read to its end, chunk by chunk."""
    call.start()
    hear, pending = call._pending.append, call._pending
    try:
        chunks = begin(call)
        async for chunk in chunks:
            if type(chunk) is not StreamChunk:
                raise _no_chunk(chunk)
            hear(chunk)
            if chunk.is_content:
                call.time_to_first_chunk = time.monotonic() - call.begun
                yield chunk
                break
            yield chunk
        async for chunk in chunks:  # the rest, at little cost
            if type(chunk) is not StreamChunk:
                raise _no_chunk(chunk)
            hear(chunk)
            if len(pending) >= SETTLE_EVERY:
                call.settle()
            yield chunk
        call.state = "complete"
    except Exception as error:
        call.failed(error)
        raise
    finally:
        await call.close()


async def complete(begin: Callable[[Call], Chunks], call: Call) -> AIMessage:
    """The whole answer of one call: `drive` for whom no chunk is of interest."""
    call.start()
    hear = call._pending.append
    try:
        async for chunk in begin(call):
            if type(chunk) is not StreamChunk:
                raise _no_chunk(chunk)
            hear(chunk)
        call.state = "complete"
    except Exception as error:
        call.failed(error)
        raise
    finally:
        await call.close()
    return call.message


def _no_chunk(value: object) -> TypeError:
    return TypeError(f"a stream is made of StreamChunks, not {type(value).__name__}")


async def close_all(opened: list[Chunks]) -> None:
    """Closes generators, newest first; an error in one does not keep the others open."""
    interrupted: BaseException | None = None
    while opened:
        chunks = opened.pop()
        if running(chunks):  # the loop's shutdown is closing it
            continue
        try:
            await chunks.aclose()
        except Exception:
            logger.exception("a middleware or provider failed while it was closed")
        except BaseException as error:  # noqa: BLE001 -- cancelled: passed on below
            interrupted = error
    if interrupted is not None:
        raise interrupted


async def give_up(chunks: Chunks, opened: list[Chunks]) -> None:
    """Closes a generator, and all that were opened after it: what a failed attempt has left.

    A layer that raises leaves what is inside of it as it is, with a slot and a connection.
    """
    if chunks in opened:
        place = opened.index(chunks)
        left, opened[place:] = opened[place:], []
        await close_all(left)


def running(chunks: AsyncGenerator[Any, None]) -> bool:
    """Whether somebody waits for the generator's next item right now."""
    return bool(getattr(chunks, "ag_running", False))
