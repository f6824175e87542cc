"""One answer, from bytes to chunks: framing, decoder and the question whether it is complete.

Pure: whoever reads the bytes calls `feed` and `finish`. A frame that fails does not take with it
what came before: `feed` returns the good chunks and leaves the error in `failure`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import (
    BelugaError,
    ConnectionFailedError,
    MalformedResponseError,
    StreamInterruptedError,
)
from beluga_llm._http.dialect import PING, Decoder, Dialect, Frame, InBandError
from beluga_llm._http.event_stream import AwsEventStream
from beluga_llm._http.framing import SSE, WholeBody
from beluga_llm._http.think_tags import ThinkTags
from beluga_llm._redaction import redact_bytes
from beluga_llm._request import ChatRequest
from beluga_llm._usage import FinishReason

_EVENT_STARTS = (b"data:", b"event:", b":", b"id:", b"retry:")
_BINARY = ("", "application/vnd.amazon.eventstream", "application/octet-stream")
_JSON_STARTS = (b"{", b"[")

HEAD_LIMIT = 65_536
"""How many bytes without a frame are kept, in case they are a body of another kind."""


class AnswerReader:
    """Reads one good answer (status below 300).

    Attributes:
        failure: the error that the last bytes ended in; nothing is to be fed after it.
        content_started: whether a content chunk has come.
        heard_data: whether the last bytes held more than comments and pings.
        ended: whether the API's own end marker has come.
    """

    def __init__(
        self,
        dialect: Dialect,
        request: ChatRequest,
        *,
        status: int,
        headers: dict[str, str],
        think_tags: bool = False,
        secrets: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._dialect = dialect
        self._request = request
        self._framing = dialect.framing(request)
        self._status, self._headers, self._now = status, headers, now
        self._streaming = request.streaming
        self._secrets = secrets
        self._tags = ThinkTags() if think_tags else None
        self._raw: list[Any] | None = [] if request.options.raw else None
        self._head: bytearray | None = bytearray()
        self._seen_frames = False
        self.failure: BelugaError | None = None
        self.content_started = False
        self.heard_data = False
        self._choose_framing(headers.get("content-type", ""))
        self._decoder = self._new_decoder()

    def _new_decoder(self) -> Decoder:
        """A decoder for the kind of answer that came, which need not be what was asked for."""
        request = self._request
        if request.streaming is not self._streaming:
            request = msgspec.structs.replace(request, streaming=self._streaming)
        return self._dialect.decoder(request)

    @property
    def ended(self) -> bool:
        """Whether the API's own end marker has come."""
        return self._decoder.ended and self._decoder.complete

    def _choose_framing(self, content_type: str) -> None:
        if content_type == "text/event-stream" and type(self._framing) is SSE:  # as it mostly is
            self._foreign_type = False
            return
        kind = content_type.partition(";")[0].strip().lower()
        binary = isinstance(self._framing, AwsEventStream)
        self._foreign_type = kind not in (_BINARY if binary else ("", "text/event-stream"))
        is_whole = kind == "text/html" or kind.endswith("json")
        if (binary and self._foreign_type) or (isinstance(self._framing, SSE) and is_whole):
            self._framing, self._streaming = WholeBody(), False
        elif isinstance(self._framing, WholeBody) and kind == "text/event-stream":
            self._framing, self._streaming = SSE(), True

    def feed(self, data: bytes) -> list[StreamChunk]:
        """The chunks that these bytes complete."""
        self.heard_data = False
        found: list[StreamChunk] = []
        if self._head is not None and self._streaming:
            _keep_head(self._head, data)
            if isinstance(self._framing, AwsEventStream):
                data = self._unmasked(data)
        try:
            self._decode(self._framing.feed(data), found)
        except BelugaError as error:
            self.failure = error
        except ValueError as error:  # the framing's
            self.failure = _damaged(error)
        return self._marked(found)

    def _unmasked(self, data: bytes) -> bytes:
        """The bytes to frame: all so far, where they are JSON that is no binary event stream.

        A binary message begins with its length, the first byte of which is 0.
        """
        head = bytes(self._head or b"")
        if not head.lstrip().startswith(_JSON_STARTS):
            return data
        self._framing, self._streaming = WholeBody(), False
        self._decoder = self._new_decoder()
        return head

    def finish(self, broken: ConnectionFailedError | None = None) -> list[StreamChunk]:
        """The last chunks; `failure` says whether the answer is complete.

        Args:
            broken: how the connection broke, where the body did not end properly.
        """
        found: list[StreamChunk] = []
        try:
            if broken is None or self._streaming:
                self._last_frames(found)
            found.extend(self._decoder.finish())
        except BelugaError as error:
            self.failure = error
        except ValueError as error:  # the framing's, about the bytes that came last
            self.failure = _damaged(error)
        if self._tags is not None:
            found = [made for chunk in found for made in self._tags.feed(chunk)]
            found += self._tags.finish()
        if self.failure is None:
            self._judge(found, broken)
        return self._marked(found, tags=False)

    def _last_frames(self, found: list[StreamChunk]) -> None:
        frames = self._framing.finish()
        if self._streaming and not self._seen_frames and not frames and self._head:
            frames = self._body_in_disguise(bytes(self._head).strip())
        try:
            self._decode(frames, found)
        except (MalformedResponseError, ValueError) as error:
            if not self._streaming:
                raise
            self._interrupt(error)  # a frame that was cut in the middle

    def _body_in_disguise(self, head: bytes) -> Sequence[Frame]:
        """JSON under the name of an event stream; text under a name of its own is an error."""
        if not head.startswith(_JSON_STARTS):
            if self._foreign_type and not head.startswith(_EVENT_STARTS):
                raise self._error(InBandError(head), head)
            return ()
        self._streaming = False
        self._decoder = self._new_decoder()
        return [("", head)]

    def _decode(self, frames: Sequence[Frame], found: list[StreamChunk]) -> None:
        if not frames:
            return
        self._seen_frames, self._head = True, None
        if self._raw is not None:
            for _, data in frames:
                self._keep_raw(data)
        decoder, left = self._decoder, iter(frames)
        frame, chunks = decoder.feed_on(left)
        self.heard_data = frame != frames[0]
        while frame is not None:
            found += chunks
            try:
                chunks = decoder.feed(*frame)
            except (InBandError, _json.JsonError) as error:
                found.extend(error.chunks if isinstance(error, InBandError) else ())
                problem = error
                break
            if chunks is not PING:
                self.heard_data = True
                found += chunks
            frame, chunks = decoder.feed_on(left)
            self.heard_data = self.heard_data or bool(chunks)
        else:
            found += chunks
            return
        raise self._error(problem, frame[1])  # here, without a context, which would hold raw bytes

    def _error(self, problem: InBandError | _json.JsonError, data: bytes) -> BelugaError:
        if not isinstance(problem, InBandError):
            return self._malformed(data, problem)
        body = redact_bytes(problem.body, self._secrets)
        return self._dialect.error(self._status, self._headers, body, now=self._now())

    def _malformed(self, data: bytes, error: Exception) -> BelugaError:
        if self._headers.get("content-type", "").lower().startswith("text/html"):
            host = self._headers.get(":authority", "the server")
            return MalformedResponseError(f"expected an answer, got HTML from {host}")
        return undecodable(data, error, self._secrets)

    def _keep_raw(self, data: bytes) -> None:
        try:
            self._raw.append(_json.loads(data))  # type: ignore[union-attr]  # checked by the caller
        except _json.JsonError:  # an end marker
            return

    def _judge(self, found: list[StreamChunk], broken: ConnectionFailedError | None) -> None:
        decoder = self._decoder
        if not decoder.complete:
            if not self._streaming and broken is not None:
                self.failure = broken
            elif self._dialect.terminal == "optional" and self._seen_frames and broken is None:
                found.append(StreamChunk(finish_reason=FinishReason.OTHER))
            else:
                self._interrupt(broken)
        elif not decoder.ended:
            found.append(StreamChunk(metadata={"cut_after_finish": True}))
        if self._raw:
            raw = self._raw if self._streaming else self._raw[0]
            found.append(StreamChunk(metadata={"raw": raw}))

    def _interrupt(self, cause: BaseException | None) -> None:
        if self._decoder.complete:
            return
        self.failure = StreamInterruptedError(
            "stream ended before the answer was complete", content_started=self.content_started
        )
        self.failure.__cause__ = cause

    def _marked(self, chunks: list[StreamChunk], *, tags: bool = True) -> list[StreamChunk]:
        if tags and self._tags is not None:
            chunks = [made for chunk in chunks for made in self._tags.feed(chunk)]
        if not self.content_started:
            self.content_started = any(chunk.is_content for chunk in chunks)
        if isinstance(self.failure, StreamInterruptedError):
            self.failure.content_started = self.content_started
            self.failure.retryable = not self.content_started
        return chunks


def undecodable(data: bytes, error: Exception, secrets: Collection[str]) -> MalformedResponseError:
    """The error of an answer that is not what it should be, with its beginning.

    Args:
        data: the answer, or the frame.
        error: what is wrong with it.
        secrets: what of it must not be shown.
    """
    shown = redact_bytes(data[:2000], secrets).decode("utf-8", "replace").strip()[:500]
    return MalformedResponseError(f"undecodable answer: {shown!r} ({error})")


def _damaged(error: ValueError) -> MalformedResponseError:
    return MalformedResponseError(f"damaged stream: {error}")


def _keep_head(head: bytearray, data: bytes) -> None:
    """Keeps what came without a frame: all of what may be JSON, else the beginning."""
    if len(head) < HEAD_LIMIT or head[:64].lstrip().startswith(_JSON_STARTS):
        head += data
