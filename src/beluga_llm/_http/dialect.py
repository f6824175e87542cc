"""What a provider is: pure functions between our values and its bytes.

    request --encode--> HttpRequest --(transport)--> bytes --framing--> frames --decoder--> chunks

A dialect does no I/O and knows no clock and no randomness; ids that a provider does not send come
from `new_id`, which tests replace. A whole-body answer is one frame to the same decoder that reads
a stream, so the two kinds of call cannot drift.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from beluga_llm._capabilities import Capabilities
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._frozen import EMPTY
from beluga_llm._http.framing import SSE, WholeBody
from beluga_llm._ids import new_call_id
from beluga_llm._request import ChatRequest

Frame: TypeAlias = tuple[str, bytes]
"""The event's name ("" where there is none) and its data."""


class Framing(Protocol):
    """Cuts bytes into frames; any split of the bytes gives the same frames."""

    def feed(self, data: bytes) -> Sequence[Frame]:
        """The frames that these bytes complete."""
        ...

    def finish(self) -> Sequence[Frame]:
        """The frames that the end of the bytes completes."""
        ...


class Note(msgspec.Struct, frozen=True):
    """Something of a request that the dialect did not send.

    `kind` says which rule decides what happens: "option" is `unsupported_options`, "content" is
    `unsupported_content`, "signature" (another provider's) is always a warning. `name` is the
    option, the part's type or the other provider; one warning is given for each model and name.
    """

    kind: Literal["option", "content", "signature"]
    name: str
    text: str = ""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it goes on the wire, before the key and the base URL are added."""

    path: str
    method: str = "POST"
    query: Mapping[str, str] = EMPTY
    headers: Mapping[str, str] = EMPTY
    json: Any = None
    notes: tuple[Note, ...] = ()


class InBandError(Exception):
    """Raised by a decoder for a frame that is an error.

    Attributes:
        body: what goes to `Dialect.error`.
        chunks: what the frame says besides, such as the tokens that the failure cost.
    """

    def __init__(self, body: bytes, chunks: Sequence[StreamChunk] = ()) -> None:
        super().__init__("error frame")
        self.body = body
        self.chunks = chunks


class _Ping(tuple[StreamChunk, ...]):
    __slots__ = ()


PING: Sequence[StreamChunk] = _Ping()
"""What `feed` returns for a frame that only says that the server is alive."""


class Decoder(ABC):
    """Turns the frames of one answer into chunks; made anew for each request.

    Attributes:
        complete: set once the bytes prove that the answer is complete (terminal evidence).
        ended: set once the API's own end marker came; True from the start where it has none.
    """

    complete: bool = False
    ended: bool = False

    @abstractmethod
    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one frame.

        Raises:
            InBandError: the frame is an error.
            JsonError: the data cannot be decoded.
        """

    def feed_on(self, frames: Iterator[Frame]) -> tuple[Frame | None, Sequence[StreamChunk]]:
        """Takes the frames that can be read at a glance, by default none.

        Gives the next other frame, for `feed`, and the chunks that `feed` would have given for
        those before it. A frame that only says that the server is alive is never taken.
        """
        return next(frames, None), ()

    def finish(self) -> Sequence[StreamChunk]:
        """What is known only at the end of the bytes."""
        return ()


class Dialect(ABC):
    """One wire format of one provider.

    Attributes:
        provider: the entry name, for errors and opaque data.
        family: other providers whose opaque data (signatures, encrypted reasoning) it takes too,
            as the same models are served there.
        terminal: "optional" declares that the provider gives no terminal evidence: the end of the
            bytes is then a normal end.
        idempotency_header: the header under which the server knows repeated requests, where it
            has one; every attempt of a call then sends the same key with the same body. No vendor
            of ours documents one (Anthropic's says that it would not be honoured).
        tool_names: what a tool may be called.
        tool_names_rule: the same in words, for the error.
    """

    provider: str = ""
    family: tuple[str, ...] = ()
    terminal: Literal["required", "optional"] = "required"
    idempotency_header: str | None = None
    tool_names: re.Pattern[str] = re.compile(r"[A-Za-z0-9_-]{1,64}")
    tool_names_rule: str = "use 1 to 64 letters, digits, underscores or hyphens"

    def __init__(
        self, provider: str | None = None, *, new_id: Callable[[], str] = new_call_id
    ) -> None:
        if provider is not None:
            self.provider = provider
        self.new_id = new_id

    @abstractmethod
    def encode(self, request: ChatRequest) -> HttpRequest:
        """The HTTP request; `request.options.model` is always set."""

    @abstractmethod
    def decoder(self, request: ChatRequest) -> Decoder:
        """A new decoder for the answer to this request."""

    @abstractmethod
    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error that an answer means.

        Args:
            status: the HTTP status; 200 for an error inside a good answer.
            headers: their names in lower case.
            body: the raw body, or the frame.
            now: unix seconds, for dates where the answer has no `Date` header.
        """

    def read_usual(self, request: ChatRequest, body: bytes) -> StreamChunk | None:
        """A whole answer of the usual kind as one chunk: a quick way beside the decoder.

        Both must give the same message. None where it takes a decoder, also for every error.
        """
        return None

    def count_request(self, request: ChatRequest) -> HttpRequest | None:
        """The request that has the provider count tokens; None where it cannot."""
        return None

    def counted(self, answer: Mapping[str, Any]) -> Any:
        """The number in the answer to a count request; what is no integer is an error."""
        return None

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The cheapest request that tells whether the provider takes the key: its list of models.

        None where there is no such thing; then one token is asked for. Any answer in JSON that is
        no error will do. The request has no messages, but options, with the model.
        """
        return None

    def framing(self, request: ChatRequest) -> Framing:
        """How the bytes of the answer are cut: server-sent events, or one whole body."""
        return SSE() if request.streaming else WholeBody()

    def auth(self, key: str) -> Mapping[str, str]:
        """The headers that carry the key."""
        return {"Authorization": f"Bearer {key}"}

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        return Capabilities()
