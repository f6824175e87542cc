"""One choice of a chat-completions answer while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.chat_calls import CallTracker
from beluga_llm._dialects.chat_reading import (
    JsonObject,
    ReasoningDetails,
    Thought,
    detail_text,
    finish_reason,
    object_of,
    objects_of,
    read_content,
    read_image,
    says_something,
    text_of,
)
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._parts import ImagePart
from beluga_llm._usage import FinishReason

_BODY_KEYS = frozenset((
    "role", "content", "tool_calls", "function_call", "refusal", "reasoning_details", "images",
))  # fmt: skip
_CHOICE_KEYS = frozenset((
    "index", "delta", "message", "finish_reason", "logprobs", "error", "usage",
))  # fmt: skip
_PLAIN = 0  # the number of the block of reasoning text that has a field of its own
_KNOWN_REASONING = frozenset(("reasoning_content", "reasoning", "reasoning_details"))


def content_keys(body: JsonObject) -> list[str]:
    """Which fields of a delta hold something of the answer."""
    keys = (_BODY_KEYS | _KNOWN_REASONING) - {"role"}
    return [key for key in keys if says_something(body.get(key))]


class Choice:
    """What is known of one choice.

    The fold must not join blocks that only follow one another, so all reasoning, and the texts of
    a list, are numbered: `_PLAIN` first, the others as they come.

    Attributes:
        began: whether any content came.
        finished: whether its finish reason came, and no more text, refusal or call since.
        in_lists: whether content comes as lists of items, whose kinds take turns.
        calls: its tool calls.
        named: the model and the answer's id, as told of it.
    """

    __slots__ = (
        "_annotations", "_block", "_body_keys", "_details", "_kind", "_logprobs", "_numbers",
        "_provider", "_quirks", "_reasoned", "_refused", "_signed", "_told", "began", "calls",
"finished", "in_lists", "index", "named",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        *,
        quirks: ChatQuirks,
        provider: str,
        new_id: Callable[[], str],
        logprobs: bool = False,
    ) -> None:
        self.index = index
        self.began = self.finished = self.in_lists = False
        self.calls = CallTracker(new_id)
        self.named = ("", "")
        self._logprobs = logprobs
        self._quirks = quirks
        self._provider = provider
        self._body_keys = _BODY_KEYS.union(quirks.reasoning_fields)
        self._details = ReasoningDetails()
        self._refused = self._reasoned = self._signed = False
        self._block = 0
        self._numbers: dict[tuple[str, int], int] = {}
        self._kind: type | None = None
        self._annotations: list[Any] = []
        self._told: JsonObject = {}

    def begin(self, text: str) -> StreamChunk:
        """The chunk of a text that is all its first `delta` holds."""
        self._turn(text)
        self.began = True
        return StreamChunk(text, choice=self.index)

    def read(self, body: JsonObject, chunks: list[StreamChunk], *, whole: bool) -> None:
        """Adds the chunks of a `delta` or a `message`."""
        before = len(chunks)
        thought = self._read_reasoning(body, chunks, whole=whole)
        self._read_content(body.get("content"), chunks, thinking=not thought)
        images = filter(None, map(read_image, objects_of(body.get("images"))))
        chunks.extend(StreamChunk(parts=(image,), choice=self.index) for image in images)
        if refusal := text_of(body.get("refusal")):
            self._refused = True
            chunks.append(StreamChunk(refusal_delta=refusal, choice=self.index))
        calls = tuple(self.calls.read(objects_of(body.get("tool_calls")), whole=whole))
        calls += tuple(self.calls.read_former(object_of(body.get("function_call"))))
        if calls:
            chunks.append(StreamChunk(tool_calls=calls, choice=self.index))
        new = chunks[before:]
        self.began = self.began or bool(new)
        if any(chunk.delta or chunk.refusal_delta or chunk.tool_calls for chunk in new):
            self.finished = False
        self._read_extras(body, self._body_keys, chunks)

    def read_beside(self, item: JsonObject, chunks: list[StreamChunk]) -> None:
        """Adds what stands beside `delta` and `message`."""
        if self._logprobs and says_something(logprobs := item.get("logprobs")):
            chunks.append(StreamChunk(logprobs=logprobs, choice=self.index))
        self._read_extras(item, _CHOICE_KEYS, chunks)

    def finish(self, word: str) -> Iterator[StreamChunk]:
        """The chunks of a finish reason; "" where the answer ended without one."""
        self.finished = True
        yield from self.rest()
        if not word and self._reasoned:
            return
        self._reasoned = True
        reason = finish_reason(word, self._quirks.finish_reasons) if word else FinishReason.STOP
        if reason is FinishReason.STOP and self.calls:
            reason = FinishReason.TOOL_CALLS
        elif reason is FinishReason.STOP and self._refused:
            reason = FinishReason.CONTENT_FILTER
        yield StreamChunk(finish_reason=reason, raw_finish_reason=word or None, choice=self.index)

    def rest(self) -> Iterator[StreamChunk]:
        """Ids of calls that came without one, and the reasoning details as they are sent back."""
        if ids := self.calls.missing_ids():
            yield StreamChunk(tool_calls=ids, choice=self.index)
        if self._details.fresh:
            self._details.fresh = False
            details = [dict(entry) for entry in self._details.entries]
            yield StreamChunk(metadata={"reasoning_details": details}, choice=self.index)

    # --- reasoning and text ----------------------------------------------------------------------

    def thought(self, text: str) -> StreamChunk:
        """The chunk of reasoning text that has a field of its own."""
        return StreamChunk(reasoning_delta=text, part_index=_PLAIN, choice=self.index)

    def _number(self, kind: str, block: int) -> int:
        return self._numbers.setdefault((kind, block), _PLAIN + 1 + len(self._numbers))

    def _read_reasoning(self, body: JsonObject, chunks: list[StreamChunk], *, whole: bool) -> bool:
        """Whether there was reasoning text; it is taken from one field only."""
        details = objects_of(body.get("reasoning_details"))
        thought, source = "", ""
        for source in self._quirks.reasoning_fields:
            if source == "reasoning_details":
                thought = "".join(map(detail_text, details))
            else:
                thought = text_of(body.get(source))
            if thought:
                break
        if thought and source != "reasoning_details":
            chunks.append(self.thought(thought))
        for number, detail in self._details.take(details, whole=whole):
            text = detail_text(detail) if source == "reasoning_details" else ""
            self._read_detail(number, detail, text, chunks)
        return bool(thought)

    def _read_detail(
        self, number: int, detail: JsonObject, text: str, chunks: list[StreamChunk]
    ) -> None:
        signature, data = text_of(detail.get("signature")), text_of(detail.get("data"))
        if not (text or signature or data):
            return
        chunks.append(
            StreamChunk(
                reasoning_delta=text,
                part_index=self._number("detail", number),
                signature=signature or None,
                redacted_data=data or None,
                provider=self._provider if signature or data else None,
                item_id=text_of(detail.get("id")) or None,
                choice=self.index,
            )
        )

    def _read_content(self, content: Any, chunks: list[StreamChunk], *, thinking: bool) -> None:
        self.in_lists = self.in_lists or isinstance(content, list)
        for value in read_content(content):
            if isinstance(value, Thought) and not thinking:
                continue
            self._turn(value)
            block = self._number("item", self._block) if self.in_lists else None
            if isinstance(value, str):
                chunk = StreamChunk(value, part_index=block, choice=self.index)
            elif isinstance(value, Thought):
                chunk = StreamChunk(
                    reasoning_delta=value.text,
                    part_index=block,
                    signature=value.signature or None,
                    provider=self._provider if value.signature else None,
                    choice=self.index,
                )
            else:
                chunk = StreamChunk(parts=(value,), choice=self.index)
            chunks.append(chunk)

    def _turn(self, value: str | Thought | ImagePart) -> None:
        """Begins a block where the kind changes, and where reasoning follows its signature."""
        signed = isinstance(value, Thought) and bool(value.signature)
        again = isinstance(value, Thought) and bool(value.text) and self._signed
        if type(value) is not self._kind or again:
            self._kind = type(value)
            self._block += 1
            self._signed = False
        self._signed = self._signed or signed

    # --- the rest --------------------------------------------------------------------------------

    def _read_extras(
        self, data: JsonObject, known: frozenset[str], chunks: list[StreamChunk]
    ) -> None:
        fresh = {}
        for key, value in data.items():
            if key in known or not says_something(value):
                continue
            if key == "annotations" and isinstance(value, list):
                self._annotations += value
                fresh[key] = list(self._annotations)
            elif self._told.get(key) != value:
                fresh[key] = self._told[key] = value
        if fresh:
            chunks.append(StreamChunk(metadata=fresh, choice=self.index))
