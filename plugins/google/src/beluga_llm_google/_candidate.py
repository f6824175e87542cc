"""One candidate of an answer: its parts into chunks, in the order in which they come.

The wire does not say which pieces of text belong together, so those that follow each other make one
block, as long as none is signed: a part with a signature is a block of its own, since "Thought
signatures" of the Gemini API docs forbids to merge it with others. It may be an empty text.

Blocks are numbered in their order. What has no type of ours (code that Google runs, calls of its
own tools, pictures drawn while thinking) is kept in `provider_metadata["content_parts"]`, each with
the number of the block before which it stood in `part_index`, and goes back in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from beluga_llm import StreamChunk, TextPart
from beluga_llm.plugin import ToolCallDelta
from beluga_llm_google._finish import finish_reason
from beluga_llm_google._media import PROVIDER, SIGNATURE, made_part
from beluga_llm_google._wire import (
    JsonObject,
    arguments_text,
    as_list,
    as_object,
    as_text,
    as_word,
    extras,
)

CONTENT_PARTS = "content_parts"
PLACE = "part_index"

_KNOWN = frozenset(("content", "finishReason", "index", "logprobsResult"))
_ABOUT_A_PART = frozenset(("text", "thought", SIGNATURE))


class Candidate:
    """Reads one candidate, frame by frame.

    Attributes:
        finished: whether its finish reason has come.
    """

    def __init__(
        self, number: int, provider: str, *, new_id: Callable[[], str], logprobs: bool
    ) -> None:
        """A reader.

        Args:
            number: which answer it is, from 0.
            provider: whose signatures these are.
            new_id: makes the id of a call that came without one.
            logprobs: whether log-probabilities were asked for.
        """
        self.finished = False
        self._number, self._provider = number, provider
        self._new_id, self._logprobs = new_id, logprobs
        self._places = 0
        self._calls = 0
        self._run: tuple[bool, int] | None = None
        self._kept: list[JsonObject] = []
        self._citations: JsonObject = {}

    def feed(self, candidate: JsonObject, received: dict[int, str]) -> Iterator[StreamChunk]:
        """The chunks of what a frame says of it.

        Args:
            candidate: the object on the wire.
            received: the arguments of the calls in it as received, by the number of the part.
        """
        parts = as_list(as_object(candidate.get("content")).get("parts"))
        kept = len(self._kept)
        for place, part in enumerate(map(as_object, parts)):
            chunk = self._part(part, received.get(place))
            if chunk is not None:
                yield chunk
        metadata = self._metadata(candidate, news=len(self._kept) > kept)
        word = as_word(candidate.get("finishReason"))
        logprobs = candidate.get("logprobsResult") if self._logprobs else None
        if word or metadata or logprobs is not None:
            self.finished = self.finished or bool(word)
            called = self._calls > 0
            yield StreamChunk(
                finish_reason=finish_reason(word, called=called) if word else None,
                raw_finish_reason=word or None,
                logprobs=logprobs,
                metadata=metadata,
                choice=self._number,
            )

    def end(self) -> StreamChunk:
        """The end of a whole answer that names no finish reason."""
        self.finished = True
        reason = finish_reason("STOP", called=self._calls > 0)
        return StreamChunk(finish_reason=reason, choice=self._number)

    # --- parts ---------------------------------------------------------------------------------

    def _part(self, part: JsonObject, arguments: str | None) -> StreamChunk | None:
        call = as_object(part.get("functionCall"))
        if as_text(call.get("name")):
            return self._call(part, call, arguments)
        text, thought = part.get("text"), part.get("thought") is True
        if isinstance(text, str):
            return self._text(text, as_text(part.get(SIGNATURE)), thought=thought)
        made = None if thought else made_part(part, self._provider)
        if made is not None:
            return StreamChunk(parts=(made,), part_index=self._next(), choice=self._number)
        if extras(part, _ABOUT_A_PART):
            self._run = None
            self._kept.append({**part, PLACE: self._places, PROVIDER: self._provider})
            return None
        return self._text("", as_text(part.get(SIGNATURE)), thought=thought)

    def _next(self) -> int:
        self._run = None
        self._places += 1
        return self._places - 1

    def _call(self, part: JsonObject, call: JsonObject, arguments: str | None) -> StreamChunk:
        args, signature = call.get("args"), as_text(part.get(SIGNATURE))
        if arguments is None or isinstance(args, str):
            arguments = arguments_text(args)
        given = as_text(call.get("id"))
        delta = ToolCallDelta(
            self._calls,
            given or self._new_id(),
            as_text(call.get("name")),
            arguments,
            signature or None,
            self._provider if signature or given else None,
        )
        self._calls += 1
        return StreamChunk(tool_calls=(delta,), part_index=self._next(), choice=self._number)

    def _text(self, text: str, signature: str, *, thought: bool) -> StreamChunk | None:
        if not text and not signature:
            return None
        place = self._next() if signature else self._continued(thought)
        provider = self._provider if signature or thought else None
        if not text and not thought:
            empty = TextPart("", signature, provider)
            return StreamChunk(parts=(empty,), part_index=place, choice=self._number)
        return StreamChunk(
            delta="" if thought else text,
            reasoning_delta=text if thought else "",
            part_index=place,
            signature=signature or None,
            provider=provider,
            choice=self._number,
        )

    def _continued(self, thought: bool) -> int:
        """The block that an unsigned piece of text belongs to."""
        if self._run is None or self._run[0] is not thought:
            self._run = thought, self._next()
        return self._run[1]

    # --- what is said besides ------------------------------------------------------------------

    def _metadata(self, candidate: JsonObject, *, news: bool) -> JsonObject:
        found = extras(candidate, _KNOWN)
        if cited := as_object(found.get("citationMetadata")):
            found["citationMetadata"] = self._cited(cited)
        if news:
            found[CONTENT_PARTS] = list(self._kept)
        return found

    def _cited(self, cited: JsonObject) -> JsonObject:
        """All citations so far: each frame tells its own."""
        for key, value in cited.items():
            known = self._citations.get(key)
            if isinstance(known, list) and isinstance(value, list):
                value = [*known, *(item for item in value if item not in known)]
            self._citations[key] = value
        return dict(self._citations)


def received_by_part(received: dict[tuple[int, int], str], number: int) -> dict[int, str]:
    """The arguments of one candidate's calls, of those of a frame."""
    return {place: text for (candidate, place), text in received.items() if candidate == number}


def number_of(candidate: JsonObject, place: int) -> int:
    """Which answer a candidate is; its place in the frame where it does not say."""
    index: Any = candidate.get("index")
    return index if type(index) is int and index >= 0 else place
