"""A conversation as the API wants it: a system instruction, then turns of user and model.

System messages are collected, in order, wherever they stand. Consecutive messages of one side make
one turn; in a user's turn the results of tools come first. The parts of an answer go back in the
order and the bytes in which they came, each signature on the very part that it came with, also on
an empty text; so do parts that the decoder kept in `provider_metadata["content_parts"]`.

Results carry the name of the function, from the call that they answer. The id of a call is sent
where Gemini gave one. A call that Gemini did not make has no signature, which Gemini 3 and later
demand of the first call of a step: it gets the one that Google documents for this case.

Sources: "Thought signatures" (with its FAQ) and "Function calling" of the Gemini API docs, "Thought
signatures" of the Vertex AI docs, "FunctionResponse" of the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beluga_llm import (
    AIMessage,
    ContentPart,
    Message,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolArgumentsError,
    ToolCall,
    ToolMessage,
    UnknownPart,
)
from beluga_llm.plugin import JsonError, Notes, blocks, loads
from beluga_llm_google._candidate import CONTENT_PARTS, PLACE
from beluga_llm_google._media import PROVIDER
from beluga_llm_google._models import ModelFacts
from beluga_llm_google._parts import PartEncoder, WirePart, signed

NO_SIGNATURE = "skip_thought_signature_validator"

_OURS = "call_"
"""How ids begin that were made by us, or by OpenAI, but not by Gemini."""
_LIKE_GEMINI = re.compile(r"[a-z0-9]{8}")
_IN_RESULTS = frozenset(("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"))


class _Turn:
    __slots__ = ("parts", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[tuple[int, WirePart]] = []
        self.parts: list[WirePart] = []

    def content(self) -> list[WirePart]:
        """Results without ids in the order of their calls, which is what pairs them."""
        results = sorted(self.results, key=lambda result: result[0])
        return [*(part for _, part in results), *self.parts]


class Conversation:
    """Messages, encoded one after the other.

    Attributes:
        system: the parts of the system instruction.
    """

    def __init__(self, notes: Notes, facts: ModelFacts, *, files: str | None) -> None:
        self.notes = notes
        self.system: list[WirePart] = []
        self._facts = facts
        self._encode = PartEncoder(notes, files=files)
        self._turns: list[_Turn] = []
        self._asked: list[ToolCall] = []
        self._answered: set[int] = set()
        self._has_user_text = False

    def add(self, message: Message) -> None:
        """Takes the next message."""
        if isinstance(message, SystemMessage):
            self.system.extend(self._system(message))
        elif isinstance(message, ToolMessage):
            self._add_result(message)
        elif isinstance(message, AIMessage):
            self._extend("model", list(self._answer(message)))
            self._asked, self._answered = [*message.tool_calls], set()
        else:
            self._has_user_text = self._has_user_text or any(
                isinstance(part, TextPart) for part in message.parts
            )
            self._extend("user", self._encode.content(message.parts))

    def contents(self) -> list[WirePart]:
        """The turns; a user's empty text where there is nothing else to send."""
        turns = [{"role": turn.role, "parts": turn.content()} for turn in self._turns]
        if not turns and self._has_user_text:
            return [{"role": "user", "parts": [{"text": ""}]}]
        return turns

    def _turn(self, role: str) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _extend(self, role: str, found: list[WirePart]) -> None:
        if found:
            self._turn(role).parts.extend(found)

    def _system(self, message: SystemMessage) -> Iterator[WirePart]:
        for part in message.parts:
            if not isinstance(part, TextPart):
                self.notes.part(part)
            elif part.text:
                yield {"text": part.text}

    # --- results -------------------------------------------------------------------------------

    def _add_result(self, message: ToolMessage) -> None:
        place, call = self._call_of(message)
        response: WirePart = {
            "name": call.name if call else message.name or message.tool_call_id or "unknown",
            "response": _response(message),
        }
        if call is not None and self._sends_id(call):
            response = {"id": call.id, **response}
        inside, beside = self._result_media(message.parts)
        if inside:
            response["parts"] = inside
        turn = self._turn("user")
        turn.results.append((0 if "id" in response else place, {"functionResponse": response}))
        turn.parts.extend(beside)

    def _call_of(self, message: ToolMessage) -> tuple[int, ToolCall | None]:
        """The call that a result answers, and its number; of calls with one id the first left."""
        alike = [
            (place, call)
            for place, call in enumerate(self._asked)
            if call.id == message.tool_call_id and place not in self._answered
        ]
        named = [pair for pair in alike if message.name and pair[1].name == message.name]
        for place, call in (*named, *alike):
            self._answered.add(place)
            return place, call
        return len(self._asked), None

    def _result_media(
        self, parts: tuple[ContentPart, ...]
    ) -> tuple[list[WirePart], list[WirePart]]:
        """What goes into a result, and what can only stand after it in the user's turn."""
        media = tuple(part for part in parts if not isinstance(part, TextPart))
        made = self._encode.content(media)
        inside = [part for part in made if self._fits(part)]
        return inside, [part for part in made if not self._fits(part)]

    def _fits(self, part: WirePart) -> bool:
        mime_type = part.get("inlineData", {}).get("mimeType")
        return self._facts.media_in_results and mime_type in _IN_RESULTS

    # --- answers -------------------------------------------------------------------------------

    def _answer(self, message: AIMessage) -> Iterator[WirePart]:
        signs = self._facts.signs
        for item in _in_wire_order(message, self.notes.provider):
            if isinstance(item, ToolCall):
                yield self._call(item, demanded=signs)
                signs = False
            elif isinstance(item, dict):
                yield item
            elif (made := self._said(item)) is not None:
                yield made

    def _call(self, call: ToolCall, *, demanded: bool) -> WirePart:
        signature = None if self.notes.foreign(call) else call.signature
        given = {"id": call.id} if self._sends_id(call) else {}
        part = {"functionCall": {**given, "name": call.name, "args": _args(call)}}
        return signed(part, signature or (NO_SIGNATURE if demanded else None))

    def _sends_id(self, call: ToolCall) -> bool:
        """Whether the id came from Gemini: by its marks, else by its form."""
        if not call.id or call.id.startswith(_OURS):
            return False
        if call.provider is not None:
            return call.provider == self.notes.provider
        return _LIKE_GEMINI.fullmatch(call.id) is not None

    def _said(self, part: ContentPart) -> WirePart | None:
        if isinstance(part, TextPart):
            return self._text(part)
        if isinstance(part, ThinkingPart):
            return None if self.notes.foreign(part) else self._thought(part)
        if isinstance(part, UnknownPart):
            self.notes.part(part)
            return None
        return self._encode.media(part)

    def _text(self, part: TextPart) -> WirePart | None:
        """A text; None for an empty one, unless it is signed."""
        signature = None if self.notes.foreign(part) else part.signature
        return signed({"text": part.text}, signature) if part.text or signature else None

    def _thought(self, part: ThinkingPart) -> WirePart | None:
        """The thought as it came; None for one of another provider, or that nobody can read."""
        if part.provider not in (None, self.notes.provider) or part.redacted_data:
            return None
        if not part.text and not part.signature:
            return None
        return signed({"text": part.text, "thought": True}, part.signature)


def _in_wire_order(message: AIMessage, provider: str) -> list[Any]:
    """Parts, calls and kept parts as they stood on the wire."""
    items: list[Any] = list(blocks(message))
    kept = message.provider_metadata.get(CONTENT_PARTS)
    for part in reversed(kept if isinstance(kept, list) else []):
        if not isinstance(part, Mapping) or part.get(PROVIDER) != provider:
            continue
        if isinstance(place := part.get(PLACE), int):
            fields = {key: value for key, value in part.items() if key not in (PLACE, PROVIDER)}
            items.insert(place, fields)
    return items


def _response(message: ToolMessage) -> dict[str, Any]:
    """A result as an object: a JSON object as it is, other text under the API's own names."""
    try:
        value = loads(message.text)
    except JsonError:
        value = None
    said = value if isinstance(value, dict) else message.text
    if message.is_error:
        return {"error": said}
    return said if isinstance(said, dict) else {"output": said}


def _args(call: ToolCall) -> dict[str, Any]:
    """The arguments; what is no JSON object is wrapped, as the API takes nothing else."""
    try:
        return call.args
    except ToolArgumentsError:
        return {"INVALID_JSON": call.arguments}


def encode_conversation(
    messages: Iterable[Message], notes: Notes, facts: ModelFacts, *, files: str | None
) -> Conversation:
    """All messages of a request, encoded."""
    conversation = Conversation(notes, facts, files=files)
    for message in messages:
        conversation.add(message)
    return conversation
