"""Frames of Converse into chunks: the events of a stream, or the one body of a whole answer.

A whole body takes the same steps as a stream, block by block, so that both give one answer.

Blocks are numbered on the wire, and texts begin without a `contentBlockStart`. Chunks carry another
number, the block's place among those that become a part or a call: blocks that stay empty have
none, so that an answer goes back in the order in which it came. What has no field of ours is kept
(`_kept.py`).

Source: "ConverseStream" of the Amazon Bedrock API reference. The field `p` of recorded events is
padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from beluga_llm import EmptyResponseError, FinishReason, StreamChunk
from beluga_llm.plugin import Decoder, InBandError, JsonError, ToolCallDelta, dumps_text, loads
from beluga_llm_bedrock._errors import exception_body
from beluga_llm_bedrock._finish import finish_reason
from beluga_llm_bedrock._kept import KeptBlocks
from beluga_llm_bedrock._usage import usage_extras, usage_of
from beluga_llm_bedrock._wire import (
    as_list,
    as_object,
    as_text,
    index_of,
    joined_base64,
    read_text,
    texts_of,
    whole_inputs,
)

_NOTHING: Sequence[StreamChunk] = ()
_EXTRAS = ("metrics", "trace", "performanceConfig", "serviceTier", "additionalModelResponseFields")
_SPOKEN = ("text", "reasoningContent", "citationsContent")
_ERRORS = ("message", "Message", "error", "__type", "Output")


class _Call:
    """A call whose arguments are coming."""

    __slots__ = ("number", "place")

    def __init__(self, number: int, place: int) -> None:
        self.number = number
        self.place = place


class ConverseDecoder(Decoder):
    """Decodes one answer; `ended` is set by the event `metadata`, which comes last."""

    def __init__(
        self, provider: str, *, model: str | None, streaming: bool, new_id: Callable[[], str]
    ) -> None:
        """A decoder.

        Args:
            provider: whose signatures these are.
            model: the model that was asked, as the API does not name the one that answers.
            streaming: whether events come, or one body.
            new_id: makes the id of a call that came without one.
        """
        self._provider = provider
        self._model = model
        self._streaming = streaming
        self._new_id = new_id
        self._places: dict[int, int] = {}
        self._calls: dict[int, _Call] = {}
        self._kept = KeptBlocks()
        self._redacted: dict[int, list[str]] = {}
        self._handlers: dict[str, Callable[[dict[str, Any]], Sequence[StreamChunk]]] = {
            "messageStart": lambda event: _NOTHING,
            "contentBlockStart": self._on_block_start,
            "contentBlockDelta": self._on_block_delta,
            "contentBlockStop": lambda event: self._on_block_stop(index_of(event)),
            "messageStop": self._on_stop,
            "metadata": self._on_metadata,
        }

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one event, or of a whole body."""
        if event == "contentBlockDelta" and (chunks := self._feed_text(data)) is not None:
            return chunks
        if handler := self._handlers.get(event):
            return handler(as_object(loads(data)))
        if event.startswith(("exception:", "error:")):
            raise InBandError(exception_body(event, data))
        return _NOTHING if self._streaming else self._on_whole(data)

    def finish(self) -> Sequence[StreamChunk]:
        """The model that was asked, where the answer names none."""
        return (StreamChunk(model_id=self._model),) if self._model is not None else _NOTHING

    # --- blocks -----------------------------------------------------------------------------

    def _feed_text(self, data: bytes) -> Sequence[StreamChunk] | None:
        """The chunk of a text delta, the hot path; None for any other."""
        try:
            event = read_text(data)
        except JsonError:
            return None
        index = event.content_block_index
        return None if index in self._kept else self._text(index, event.delta.text)

    def _place(self, index: int) -> int:
        place = self._places.get(index)
        if place is None:
            place = self._places[index] = len(self._places)
        return place

    def _text(self, index: int, text: str) -> Sequence[StreamChunk]:
        if not text:
            return _NOTHING
        return (StreamChunk(delta=text, part_index=self._place(index)),)

    def _reasoning(self, index: int, said: Mapping[str, Any]) -> Sequence[StreamChunk]:
        text, signature = as_text(said.get("text")), as_text(said.get("signature"))
        if redacted := as_text(said.get("redactedContent")):
            self._place(index)
            self._redacted.setdefault(index, []).append(redacted)
        if not text and not signature:
            return _NOTHING
        return (
            StreamChunk(
                reasoning_delta=text,
                signature=signature or None,
                part_index=self._place(index),
                provider=self._provider if signature else None,
            ),
        )

    def _on_block_start(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        index, start = index_of(event), as_object(event.get("start"))
        use = start.get("toolUse")
        if isinstance(use, dict) and use.get("type") != "server_tool_use":
            return self._begin_call(index, use)
        for kind, value in start.items():
            if isinstance(value, dict) and kind not in _SPOKEN:
                self._kept.begin(index, {kind: value}, len(self._places))
        return self._said(index, start)

    def _begin_call(self, index: int, use: Mapping[str, Any]) -> Sequence[StreamChunk]:
        call = self._calls[index] = _Call(len(self._calls), self._place(index))
        call_id = as_text(use.get("toolUseId")) or self._new_id()
        delta = ToolCallDelta(call.number, call_id, as_text(use.get("name")))
        return (StreamChunk(tool_calls=(delta,), part_index=call.place),)

    def _arguments(self, index: int, text: str) -> Sequence[StreamChunk]:
        call = self._calls.get(index)
        if call is None or not text:
            return _NOTHING
        delta = ToolCallDelta(call.number, arguments=text)
        return (StreamChunk(tool_calls=(delta,), part_index=call.place),)

    def _on_block_delta(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        index, delta = index_of(event), as_object(event.get("delta"))
        if index in self._kept:
            self._kept.grow(index, delta)
            return _NOTHING
        if isinstance(citation := delta.get("citation"), dict):
            self._kept.cite(citation, self._place(index))
        return (
            *self._said(index, delta),
            *self._arguments(index, _input(as_object(delta.get("toolUse")).get("input"))),
        )

    def _said(self, index: int, said: Mapping[str, Any]) -> Sequence[StreamChunk]:
        reasoning = as_object(said.get("reasoningContent"))
        return (
            *self._text(index, as_text(said.get("text"))),
            *self._reasoning(index, {**reasoning, **as_object(reasoning.get("reasoningText"))}),
        )

    def _on_block_stop(self, index: int) -> Sequence[StreamChunk]:
        chunks = []
        if pieces := self._redacted.pop(index, None):
            chunks.append(
                StreamChunk(
                    redacted_data=joined_base64(pieces),
                    part_index=self._place(index),
                    provider=self._provider,
                )
            )
        if metadata := self._kept.end(index):
            chunks.append(StreamChunk(metadata=metadata))
        return chunks

    # --- the end ----------------------------------------------------------------------------

    def _on_stop(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        chunks = [chunk for index in list(self._redacted) for chunk in self._on_block_stop(index)]
        self.complete = True
        reason = as_text(event.get("stopReason"))
        chunks.append(
            StreamChunk(
                finish_reason=self._finish_reason(reason or "end_turn"),
                raw_finish_reason=reason or None,
                metadata={**self._kept.end_all(), **_extras(event)},
            )
        )
        return chunks

    def _finish_reason(self, reason: str) -> FinishReason:
        found = finish_reason(reason)
        calls_instead = found is FinishReason.STOP and self._calls
        return FinishReason.TOOL_CALLS if calls_instead else found

    def _on_metadata(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        self.ended = True
        usage = as_object(event.get("usage"))
        router = as_object(as_object(event.get("trace")).get("promptRouter"))
        if model := as_text(router.get("invokedModelId")):
            self._model = None
        return (
            StreamChunk(
                model_id=model or None,
                usage=usage_of(usage),
                metadata={**_extras(event), **usage_extras(usage)},
            ),
        )

    # --- whole bodies -----------------------------------------------------------------------

    def _on_whole(self, data: bytes) -> Sequence[StreamChunk]:
        body = as_object(loads(data))
        message = as_object(as_object(body.get("output")).get("message"))
        content = message.get("content")
        if not isinstance(content, list):
            if any(body.get(name) for name in _ERRORS):
                raise InBandError(data)
            if not body.get("stopReason"):
                raise EmptyResponseError("the answer has no message", provider=self._provider)
            content = []
        inputs = whole_inputs(data, content)
        chunks: list[StreamChunk] = []
        for index, block in enumerate(content):
            chunks.extend(self._whole_block(index, as_object(block), inputs[index]))
            chunks.extend(self._on_block_stop(index))
        return [*chunks, *self._on_stop(body), *self._on_metadata(body)]

    def _whole_block(
        self, index: int, block: dict[str, Any], arguments: str
    ) -> Sequence[StreamChunk]:
        if "text" in block or isinstance(block.get("reasoningContent"), dict):
            return self._said(index, block)
        if isinstance(cited := block.get("citationsContent"), dict):
            chunks = self._text(index, texts_of(cited.get("content")))
            for citation in as_list(cited.get("citations")):
                self._kept.cite(citation, self._place(index))
            return chunks
        use = block.get("toolUse")
        if isinstance(use, dict) and use.get("type") != "server_tool_use":
            return (*self._begin_call(index, use), *self._arguments(index, arguments))
        if block:
            self._kept.begin(index, block, len(self._places))
        return _NOTHING


def _input(value: Any) -> str:
    """A fragment of arguments, which some servers send as an object."""
    return value if isinstance(value, str) else dumps_text(value) if value else ""


def _extras(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in _EXTRAS if event.get(name) is not None}
