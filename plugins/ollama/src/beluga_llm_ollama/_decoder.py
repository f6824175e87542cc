"""Lines of `/api/chat` into chunks; a whole body is one line that is the last.

Most lines say only more text: a strict typed decoder reads these. What it refuses is read as plain
JSON. Calls come whole, several in a line or one after the other; those without an id get one of
ours. Token counts come with the last line, beside what goes to the metadata under its own name:
durations in nanoseconds, and the time of the line.

Sources: "Chat", "Streaming", "Usage" and "Errors" of the Ollama docs; `prompt_eval_cached_count`
and the ids of calls are in `api/types.go` of ollama/ollama.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from beluga_llm import EmptyResponseError, FinishReason, StreamChunk, Usage
from beluga_llm.plugin import (
    ChatRequest,
    Decoder,
    InBandError,
    JsonError,
    ToolCallDelta,
    loads,
    provider_options,
)
from beluga_llm_ollama._wire import (
    Line,
    arguments_of,
    as_count,
    as_list,
    as_object,
    as_text,
    extras,
    image_of,
    read_line,
)

_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
}
"""The server says stop and length (`load` and `unload` where nothing was asked); the others are
words of what the cloud may stand before."""

_COUNTS = ("prompt_eval_count", "eval_count", "prompt_eval_cached_count")
_LINE_FIELDS = ("model", "message", "done", "done_reason", "error", "logprobs", *_COUNTS)
_MESSAGE_FIELDS = ("role", "content", "thinking", "tool_calls", "images")
_NOTHING: Sequence[StreamChunk] = ()


class OllamaDecoder(Decoder):
    """Decodes one answer."""

    ended = True  # the last line is evidence and end in one

    def __init__(self, request: ChatRequest, *, provider: str, new_id: Callable[[], str]) -> None:
        """A decoder.

        Args:
            request: what was asked.
            provider: the entry name, for errors.
            new_id: makes the id of a call that came without one.
        """
        self._provider = provider
        self._streaming = request.streaming
        self._asked = request.options.model
        self._logprobs = _wants_logprobs(request, provider)
        self._new_id = new_id
        self._model = ""
        self._calls = 0
        self._heard = False

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one line, or of a whole body."""
        if self._streaming and not self._logprobs:
            try:
                line = read_line(data)
            except JsonError:
                pass
            else:
                if line.model == self._model and not line.done:
                    return _quick(line)
        value = loads(data)
        if not isinstance(value, dict):
            if not self._streaming:
                raise EmptyResponseError("the answer is no object", provider=self._provider)
            return _NOTHING
        if value.get("error"):
            raise InBandError(data)
        return [*self._read(value, data)]

    def finish(self) -> Sequence[StreamChunk]:
        """The model that was asked, where the answer names none."""
        if self.complete and not self._heard:
            raise EmptyResponseError("the answer holds no message", provider=self._provider)
        return _NOTHING if self._model else (StreamChunk(model_id=self._asked),)

    def _read(self, value: dict[str, Any], data: bytes) -> Iterator[StreamChunk]:
        message = value.get("message")
        self._heard = self._heard or isinstance(message, dict)
        model = as_text(value.get("model"))
        if model and model != self._model:
            self._model = model
            yield StreamChunk(model_id=model)
        yield from self._content(as_object(message), data)
        if self._logprobs and (logprobs := as_list(value.get("logprobs"))):
            yield StreamChunk(logprobs=logprobs)
        last = value.get("done") is True or not self._streaming
        if metadata := extras(value, *_LINE_FIELDS, *(() if last else ("created_at",))):
            yield StreamChunk(metadata=metadata)
        if (usage := _usage(value)) is not None:
            yield StreamChunk(usage=usage)
        if last:
            self.complete = True
            yield self._end(as_text(value.get("done_reason")))

    def _content(self, message: dict[str, Any], data: bytes) -> Iterator[StreamChunk]:
        if thinking := as_text(message.get("thinking")):
            yield StreamChunk(reasoning_delta=thinking)
        if content := as_text(message.get("content")):
            yield StreamChunk(content)
        if images := tuple(filter(None, map(image_of, as_list(message.get("images"))))):
            yield StreamChunk(parts=images)
        if calls := as_list(message.get("tool_calls")):
            deltas = tuple(self._deltas(calls, arguments_of(data, calls)))
            yield StreamChunk(tool_calls=deltas)
        if metadata := extras(message, *_MESSAGE_FIELDS):
            yield StreamChunk(metadata=metadata)

    def _deltas(self, calls: list[Any], arguments: list[str]) -> Iterator[ToolCallDelta]:
        for call, text in zip(map(as_object, calls), arguments, strict=True):
            call_id = as_text(call.get("id"))
            name = as_text(as_object(call.get("function")).get("name"))
            if call_id or name or text:
                yield ToolCallDelta(self._calls, call_id or self._new_id(), name, text)
                self._calls += 1

    def _end(self, word: str) -> StreamChunk:
        reason = _REASONS.get(word, FinishReason.OTHER) if word else FinishReason.STOP
        if reason is FinishReason.STOP and self._calls:
            reason = FinishReason.TOOL_CALLS
        return StreamChunk(finish_reason=reason, raw_finish_reason=word or None)


def _quick(line: Line) -> Sequence[StreamChunk]:
    said = line.message
    if not said.thinking:
        return (StreamChunk(said.content),) if said.content else _NOTHING
    thought = StreamChunk(reasoning_delta=said.thinking)
    return (thought, StreamChunk(said.content)) if said.content else (thought,)


def _usage(value: dict[str, Any]) -> Usage | None:
    """The counts of a line; None where it has none. What was read from a cache is part of them."""
    asked, said, cached = (as_count(value.get(name)) for name in _COUNTS)
    if asked is None and said is None and cached is None:
        return None
    return Usage(input_tokens=asked, output_tokens=said, cached_tokens=cached)


def _wants_logprobs(request: ChatRequest, provider: str) -> bool:
    options = request.options
    return bool(
        options.logprobs
        or options.top_logprobs is not None
        or provider_options(request, provider, "ollama").get("logprobs")
        or options.extra_body.get("logprobs")
    )
