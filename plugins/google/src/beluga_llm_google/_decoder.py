"""Frames of generateContent into chunks.

Every frame of a stream has the shape of a whole answer, and a stream without `alt=sse` is an array
of them; all take the same way. There is no end marker: an answer is complete once each candidate
that began has its finish reason, or once the prompt is said to be blocked.

Source: "Generating content" of the Gemini API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from beluga_llm import EmptyResponseError, FinishReason, StreamChunk, Usage
from beluga_llm.plugin import PING, ChatRequest, Decoder, InBandError, loads
from beluga_llm_google._candidate import Candidate, number_of, received_by_part
from beluga_llm_google._usage import UsageCounter, usage_extras
from beluga_llm_google._wire import (
    JsonObject,
    as_list,
    as_object,
    as_text,
    as_word,
    extras,
    frames_of,
    received_arguments,
)

_KNOWN = frozenset(("candidates", "usageMetadata", "modelVersion", "responseId", "error"))
_DONE = b"[DONE]"
"""Not Google's, but gateways that speak its format end their streams with it."""


class GeminiDecoder(Decoder):
    """Decodes one answer."""

    ended = True

    def __init__(self, provider: str, request: ChatRequest, *, new_id: Callable[[], str]) -> None:
        """A decoder.

        Args:
            provider: whose signatures these are.
            request: what was asked.
            new_id: makes the id of a call that came without one.
        """
        options = request.options
        self._provider = provider
        self._model = options.model
        self._streaming = request.streaming
        self._new_id = new_id
        self._logprobs = bool(options.logprobs) or options.top_logprobs is not None
        self._candidates: dict[int, Candidate] = {}
        self._usage = UsageCounter()
        self._told: tuple[Usage | None, str | None, str | None] = None, None, None
        self._blocked = False

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one frame, or of a whole body."""
        if event == "error":
            raise InBandError(data)
        if self._streaming:
            data = data.strip()
            if not data:
                return PING
            if data == _DONE:
                return ()
        is_array = data.lstrip().startswith(b"[")
        chunks: list[StreamChunk] = []
        for frame in frames_of(data) if is_array else (data,):
            self._frame(frame, chunks)
        if not self._streaming:
            self._complete(chunks)
        self.complete = self._blocked or (
            bool(self._candidates) and all(c.finished for c in self._candidates.values())
        )
        return chunks

    def finish(self) -> Sequence[StreamChunk]:
        """The model that was asked, where the answer names none."""
        if self._model is None or self._told[1]:
            return ()
        return (StreamChunk(model_id=self._model),)

    def _frame(self, data: bytes, chunks: list[StreamChunk]) -> None:
        frame = as_object(loads(data))
        candidates = list(map(as_object, as_list(frame.get("candidates"))))
        chunks.extend(self._content(candidates, data))
        chunks.extend(self._block(frame, candidates))
        chunks.extend(self._facts(frame))
        if frame.get("error"):
            raise InBandError(data, chunks)

    def _content(self, candidates: Iterable[JsonObject], data: bytes) -> Iterator[StreamChunk]:
        received = received_arguments(data)
        for place, candidate in enumerate(candidates):
            if not candidate:
                continue
            number = number_of(candidate, place)
            reader = self._candidates.get(number)
            if reader is None:
                reader = self._candidates[number] = Candidate(
                    number, self._provider, new_id=self._new_id, logprobs=self._logprobs
                )
            yield from reader.feed(candidate, received_by_part(received, place))

    def _block(self, frame: JsonObject, candidates: list[JsonObject]) -> Iterator[StreamChunk]:
        reason = as_word(as_object(frame.get("promptFeedback")).get("blockReason"))
        if reason:
            self._blocked = True
            if not any(candidate.get("finishReason") for candidate in candidates):
                yield StreamChunk(
                    finish_reason=FinishReason.CONTENT_FILTER, raw_finish_reason=reason
                )

    def _facts(self, frame: JsonObject) -> Iterator[StreamChunk]:
        report = as_object(frame.get("usageMetadata"))
        finished = self._blocked or any(c.finished for c in self._candidates.values())
        usage = self._usage.add(report, finished=finished or not self._streaming)
        metadata = {**extras(frame, _KNOWN), **usage_extras(report)}
        told = (
            usage or self._told[0],
            as_text(frame.get("modelVersion")) or self._told[1],
            as_text(frame.get("responseId")) or self._told[2],
        )
        if told != self._told or metadata:
            self._told = told
            usage, model, response_id = told
            yield StreamChunk(
                usage=usage, model_id=model, response_id=response_id, metadata=metadata
            )

    def _complete(self, chunks: list[StreamChunk]) -> None:
        """What a whole body does not say."""
        if not self._candidates and not self._blocked:
            raise EmptyResponseError("the answer has no candidates", provider=self._provider)
        if not self._blocked:
            unfinished = (c for c in self._candidates.values() if not c.finished)
            chunks.extend(candidate.end() for candidate in unfinished)
