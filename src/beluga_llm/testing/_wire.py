"""A wire format from the server's side: requests are read, answers are written.

    JSON --read--> ChatRequest --(a model, or a script)--> StreamChunk... --Encoder--> events

Everything here is pure. Each format is a file `_wire_<name>`, beside one that reads its requests;
what they write is what the vendors document and send, so that the vendors' own SDKs read it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError, from_status
from beluga_llm._frozen import EMPTY
from beluga_llm._messages import AIMessage
from beluga_llm._request import ChatRequest
from beluga_llm._usage import NO_USAGE, FinishReason, Usage
from beluga_llm.testing._provoke import usual_status

EVENTS = "text/event-stream; charset=utf-8"
CREATED = 1735689600
"""When every answer was made, in unix seconds: answers are the same every time."""

JsonObject = dict[str, Any]

CARRIED = frozenset(
    (
        "thinking",  # reasoning as text
        "signature",  # ... signed
        "redacted",  # ... encrypted
        "text_signature",  # a signature on text
        "call_signature",  # a signature on a tool call
        "call_ids",  # ids of tool calls
        "model_id",
        "response_id",
        "cached_tokens",
        "reasoning_tokens",
        "refusal",  # the text of a refusal
        "content_filter",  # the finish reason
        "error_code",  # the vendor's word for an error, beside its text
    )
)
"""What some wire formats have and others lack; the contract kit skips what is not there."""


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event of JSON data."""
    head = f"event: {name}\n" if name else ""
    return head.encode() + b"data: " + _json.dumps(data) + b"\n\n"


def without_none(**fields: Any) -> JsonObject:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error that a server answers with.

    Attributes:
        code: our word for it, such as "rate_limit".
        message: its text; "" for the vendor's usual one.
        word: the vendor's own word, instead of the one that `code` stands for.
        status: the HTTP status, instead of the one that `code` stands for.
        retry_after: seconds, for the header.
    """

    code: str
    message: str = ""
    word: str | None = None
    status: int | None = None
    retry_after: float | None = None

    @classmethod
    def of_status(cls, status: int, message: str = "", word: str | None = None) -> Failure:
        """The failure that a status means."""
        return cls(code=from_status(status).code, message=message, word=word, status=status)

    @classmethod
    def of_error(cls, error: BelugaError) -> Failure:
        """An error of ours, as the server that meant it would say it.

        Vendors differ in the status of a kind of error: one that is merely usual is left to them.
        """
        return cls(
            code=error.code,
            message=error.message,
            word=error.provider_code,
            status=None if error.status in (None, usual_status(type(error))) else error.status,
            retry_after=error.retry_after,
        )


class Terms(msgspec.Struct, frozen=True):
    """How a vendor says one kind of error: its status, words, and usual text."""

    status: int
    type: str
    code: str | None
    message: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is told of the request it belongs to.

    Attributes:
        number: which answer of the server this is; ids are made of it.
        request: the JSON of the request.
        model_id, response_id: of the answer, where it says so itself.
        usage: of the answer, as far as it is known at its beginning.
        usage_unasked: a stream tells it though the request does not ask for it.
        exact_usage: only the counts of `usage` are told; False adds those that the vendor always
            sends, as 0.
    """

    number: int = 1
    request: Mapping[str, Any] = EMPTY
    model_id: str | None = None
    response_id: str | None = None
    usage: Usage = NO_USAGE
    usage_unasked: bool = False
    exact_usage: bool = True

    @property
    def model(self) -> str:
        """The model that answers: by its own word, or the one that was asked."""
        return self.model_id or self.request.get("model") or "fake-model"

    def told(self, usage: Usage, *counts: str, always: bool = False) -> Usage:
        """A usage as the vendor tells it.

        Args:
            usage: what is known.
            *counts: the fields without which the vendor tells none.
            always: the vendor never leaves the usage out.
        """
        if self.exact_usage or (usage == NO_USAGE and not always):
            return usage
        known = {name: n for name, n in msgspec.structs.asdict(usage).items() if n is not None}
        return Usage(**{**dict.fromkeys(counts, 0), **known})

    def id(self, prefix: str) -> str:
        """An id that looks like the vendor's."""
        return f"{prefix}{self.number:024x}"


class Encoder(ABC):
    """Writes one streamed answer; every method gives events in bytes."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.finish_reason: FinishReason | None = None
        self.raw_finish_reason: str | None = None
        self.usage = facts.usage
        self.metadata: JsonObject = {}
        self.has_calls = False

    def feed(self, chunk: StreamChunk) -> Sequence[bytes]:
        """The events of a chunk; finish reason and usage are kept for the end."""
        if chunk.choice == 0:
            self.finish_reason = chunk.finish_reason or self.finish_reason
            self.raw_finish_reason = chunk.raw_finish_reason or self.raw_finish_reason
        if chunk.usage is not None:
            self.usage = self.usage.merged(chunk.usage)
        self.metadata.update(chunk.metadata)
        self.has_calls = self.has_calls or bool(chunk.tool_calls)
        return self.content(chunk)

    def finish_word(self, words: Mapping[FinishReason, str]) -> str:
        """The vendor's word for why the answer ended."""
        if self.raw_finish_reason is not None:
            return self.raw_finish_reason
        usual = FinishReason.TOOL_CALLS if self.has_calls else FinishReason.STOP
        return words.get(self.finish_reason or usual, words[FinishReason.STOP])

    @abstractmethod
    def begin(self) -> Sequence[bytes]:
        """What comes before all content."""

    @abstractmethod
    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """The content of a chunk."""

    @abstractmethod
    def finish(self) -> Sequence[bytes]:
        """Finish reason and usage."""

    @abstractmethod
    def end(self) -> Sequence[bytes]:
        """The end marker."""

    @abstractmethod
    def error(self, failure: Failure) -> Sequence[bytes]:
        """An error inside a stream."""


class Wire(ABC):
    """A wire format.

    Attributes:
        name: what tests call it, such as "chat".
        path: how the path of its endpoint ends.
        base: what a base URL has after the server's address.
        stream_type: the content type of its streams.
        ping: the vendor's keep-alive frame.
        comment: a frame that says nothing; b"" where the framing has none.
        request_id: the header that carries the request's id.
        empty: the body of an answer that holds no answer; None where there is no such thing.
        terms: how it says each kind of error.
        carries: what its answers can hold beside text, tool calls and token counts; see CARRIED.
    """

    name: ClassVar[str]
    path: ClassVar[str]
    base: ClassVar[str] = "/v1"
    stream_type: ClassVar[str] = EVENTS
    ping: ClassVar[bytes] = b": keep-alive\n\n"
    comment: ClassVar[bytes] = b": fake\n\n"
    request_id: ClassVar[str] = "x-request-id"
    empty: ClassVar[JsonObject | None] = None
    terms: ClassVar[Mapping[str, Terms]]
    carries: ClassVar[frozenset[str]] = frozenset()

    def matches(self, path: str) -> bool:
        """Whether this is the path of its endpoint."""
        return path.endswith(self.path)

    def streams(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a request asks for a stream."""
        return body.get("stream") is True

    def asked(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body, with what of the request stands in the path: the model, for some vendors."""
        return body

    @abstractmethod
    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""

    @abstractmethod
    def encoder(self, facts: Facts) -> Encoder:
        """The writer of a streamed answer."""

    @abstractmethod
    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""

    @abstractmethod
    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""

    def error_headers(self, failure: Failure) -> Mapping[str, str]:
        """Headers that say what the body of an error does not."""
        return EMPTY

    def said(self, failure: Failure) -> Terms:
        """How the vendor says a failure."""
        usual = self.terms.get(failure.code) or self.terms["provider_unavailable"]
        return Terms(
            status=failure.status or usual.status,
            type=usual.type,
            code=failure.word or usual.code,
            message=failure.message or usual.message,
        )


def encode(encoder: Encoder, chunks: Iterable[StreamChunk]) -> list[bytes]:
    """All events of a complete answer."""
    events = [*encoder.begin()]
    for chunk in chunks:
        events += encoder.feed(chunk)
    return [*events, *encoder.finish(), *encoder.end()]
