"""What a fake server is told to answer, and what it has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs
from attrs import field, frozen

from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._frozen import EMPTY, freeze_mapping
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel

Script: TypeAlias = str | AIMessage | Sequence[StreamChunk]
Answer: TypeAlias = Script | ChatModel
Fault: TypeAlias = Literal["cut", "truncate", "reset", "stall"]
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_FAULTS: tuple[Fault, ...] = ("cut", "truncate", "reset", "stall")


def _bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _numbers(value: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(value))


@frozen
class Reply:
    """One answer of a FakeServer.

    Positions and lengths are counted in bytes of the body, before HTTP's own chunking; times are
    seconds.

    Attributes:
        answer: what the model says: a text, a message, chunks, or a ChatModel that is asked.
        status: the HTTP status; from 400 on the body is an error in the vendor's shape.
        headers: added to the answer's headers, or put over them.
        body: raw bytes instead of an answer, sent as they are for any path; or a function of the
            Seen request that gives them.
        content_type: of the body; by default what the vendor sends.
        error: the text of an error, or an error of ours, whose class chooses status and code.
        error_code: the vendor's own word for the error, instead of what the status means.
        error_after: sends the error inside a good stream, after this many events.
        delay: before anything is sent.
        header_delay: before each line of the head.
        chunk_delay: between two writes of the body.
        chunk_size: how many bytes each write has; by default an event, or the whole body.
        cuts: positions at which the body is cut into writes, instead of `chunk_size`.
        cut_after: closes the connection after this many bytes, as a crash does.
        truncate_after: ends the answer after this many bytes, properly, as if it were complete.
        reset_after: resets the connection (TCP RST) after this many bytes.
        stall_after: sends nothing more after this many bytes, and keeps the connection open.
        silent: never answers at all.
        chunked: whether HTTP chunks are used; by default for streams only.
        pings: how many of the vendor's keep-alive frames stand before each event.
        comments: how many comment lines stand before each event.
        whole_pieces: sends every part of the answer as one delta, not word by word.
        end_marker: False leaves the API's end marker out of a stream (`[DONE]`, message_stop,
            response.completed), where it is a frame of its own.
        finish: False leaves the finish reason and the usage out as well.
        usage_unasked: tells the usage in a stream though the request does not ask for it, as
            some servers of chat completions do.
        exact_usage: tells only the token counts that the answer has; otherwise those that the
            vendor always sends are 0 where the answer has none.
        close: closes the connection after the answer, and says so in a header.
    """

    answer: Answer | None = None
    status: int = field(default=200, kw_only=True)
    headers: Mapping[str, str] = field(default=EMPTY, converter=freeze_mapping, kw_only=True)
    body: bytes | Callable[[Seen], bytes] | None = field(
        default=None, converter=_bytes, kw_only=True
    )
    content_type: str | None = field(default=None, kw_only=True)
    error: str | BelugaError | None = field(default=None, kw_only=True)
    error_code: str | None = field(default=None, kw_only=True)
    error_after: int | None = field(default=None, kw_only=True)
    delay: float = field(default=0.0, kw_only=True)
    header_delay: float = field(default=0.0, kw_only=True)
    chunk_delay: float = field(default=0.0, kw_only=True)
    chunk_size: int | None = field(default=None, kw_only=True)
    cuts: tuple[int, ...] = field(default=(), converter=_numbers, kw_only=True)
    cut_after: int | None = field(default=None, kw_only=True)
    truncate_after: int | None = field(default=None, kw_only=True)
    reset_after: int | None = field(default=None, kw_only=True)
    stall_after: int | None = field(default=None, kw_only=True)
    silent: bool = field(default=False, kw_only=True)
    chunked: bool | None = field(default=None, kw_only=True)
    pings: int = field(default=0, kw_only=True)
    comments: int = field(default=0, kw_only=True)
    whole_pieces: bool = field(default=False, kw_only=True)
    end_marker: bool = field(default=True, kw_only=True)
    finish: bool = field(default=True, kw_only=True)
    usage_unasked: bool = field(default=False, kw_only=True)
    exact_usage: bool = field(default=False, kw_only=True)
    close: bool = field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.body is not None and self.answer is not None:
            raise ValueError("a Reply has either an answer or a body")
        if len(given := [f for f in _FAULTS if getattr(self, f"{f}_after") is not None]) > 1:
            raise ValueError(f"a Reply ends in one way, not by {' and '.join(given)}")
        if self.chunk_size is not None and self.chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {self.chunk_size}")

    @property
    def fault(self) -> tuple[Fault, int] | None:
        """How the answer goes wrong, and after how many bytes."""
        for name in _FAULTS:
            after = getattr(self, f"{name}_after")
            if after is not None:
                return name, after
        return None

    @classmethod
    def of(cls, value: Any = None, **fields: Any) -> Reply:
        """A Reply from what a test may write: a Reply, anything it may answer, or an error."""
        if isinstance(value, Reply):
            return attrs.evolve(value, **fields) if fields else value
        if isinstance(value, bytes):
            return cls(body=value, **fields)
        if isinstance(value, BelugaError):
            return cls(error=value, **fields)
        if value is None or isinstance(value, str | AIMessage | ChatModel | list | tuple):
            return cls(value, **fields)
        raise TypeError(f"a fake server cannot answer with {type(value).__name__}")


@attrs.define(eq=False, repr=False)
class Seen:
    """A request that a fake server has received; its times are of `time.monotonic`.

    Attributes:
        method: such as "POST".
        path: without the query.
        query: the query string as it came.
        headers: their names in lower case.
        body: the raw body.
        json: the decoded body, None where it is no JSON.
        received_at: when the request was complete.
        streaming: whether a stream was asked for.
        finished: whether the whole answer was written.
        disconnected_at: when the client closed the connection of this request, None before.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    json: Any
    received_at: float
    streaming: bool = False
    finished: bool = False
    disconnected_at: float | None = None

    @property
    def key(self) -> str | None:
        """The API key that was sent, in whichever header."""
        headers = self.headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else None
        return next((headers[name] for name in _KEY_HEADERS if headers.get(name)), bearer) or None

    def __repr__(self) -> str:
        state = "finished" if self.finished else "unfinished"
        left = "" if self.disconnected_at is None else ", disconnected"
        return f"<{self.method} {self.path} {state}{left}>"
