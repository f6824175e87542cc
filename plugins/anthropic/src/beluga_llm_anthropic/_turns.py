"""A conversation as the API wants it: one system prompt, then turns of user and assistant.

System messages are collected, in order, wherever they stand. Consecutive messages of one side make
one turn; in a user's turn the results of tools come first, as the API demands. Blocks of an answer
go back in the order and the bytes in which they came: thinking with its signature, redacted
thinking, citations, and the blocks of server tools that the decoder keeps in
`provider_metadata["content_blocks"]`; of these, blocks without a type are left out.

Sources: "Messages", "Thinking" (thinking blocks must be passed back unmodified, in their order) and
"Handle tool calls" of the Claude Platform docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beluga_llm import (
    AIMessage,
    ContentPart,
    HumanMessage,
    Message,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolArgumentsError,
    ToolCall,
    ToolMessage,
)
from beluga_llm.plugin import Notes, blocks, safe_id
from beluga_llm_anthropic._blocks import Block, BlockEncoder
from beluga_llm_anthropic._kept import CITATIONS, CONTENT_BLOCKS, PLACE, citations_of

_TOOL_IDS = re.compile(r"[a-zA-Z0-9_-]+")
_ID_LIMIT = 256
_ROLES = {HumanMessage: "user", AIMessage: "assistant"}


class _Turn:
    __slots__ = ("blocks", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Block] = []
        self.blocks: list[Block] = []

    def content(self) -> list[Block]:
        return [*self.results, *self.blocks]


class Conversation:
    """Messages, encoded one after the other.

    Attributes:
        system: the blocks of the system prompt.
        betas: the beta features that the blocks need.
    """

    def __init__(self, notes: Notes, *, only_data: bool = False) -> None:
        self.notes = notes
        self.system: list[Block] = []
        self._encode = BlockEncoder(notes, only_data=only_data)
        self._turns: list[_Turn] = []

    @property
    def betas(self) -> list[str]:
        """The beta features that the blocks need."""
        return self._encode.betas

    def add(self, message: Message) -> None:
        """Takes the next message."""
        if (text := _only_text(message)) is not None:
            self._turn(_ROLES[type(message)]).blocks.append({"type": "text", "text": text})
        elif isinstance(message, SystemMessage):
            self.system.extend(self._system(message))
        elif isinstance(message, ToolMessage):
            self._turn("user").results.append(self._result(message))
        elif isinstance(message, AIMessage):
            self._extend("assistant", list(self._answer(message)))
        else:
            self._extend("user", self._encode.content(message.parts))

    def fields(self) -> dict[str, Any]:
        """What the body says of it."""
        turns = self.turns()
        return {"system": self.system, "messages": turns} if self.system else {"messages": turns}

    def turns(self) -> list[Block]:
        """The turns so far; the last one, if it begins an answer, without blanks at its end."""
        contents = [turn.content() for turn in self._turns]
        if contents and self._turns[-1].role == "assistant":
            _strip_end(contents[-1])
        pairs = zip(self._turns, contents, strict=True)
        return [{"role": turn.role, "content": content} for turn, content in pairs]

    def _turn(self, role: str) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _extend(self, role: str, found: list[Block]) -> None:
        if found:
            self._turn(role).blocks.extend(found)

    def _system(self, message: SystemMessage) -> Iterator[Block]:
        for part in message.parts:
            if not isinstance(part, TextPart):
                self.notes.part(part)
            elif (block := self._encode.text(part)) is not None:
                yield block

    def _result(self, message: ToolMessage) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id)}
        content = self._encode.content(message.parts)
        for inner in content:
            if (cache_control := inner.pop("cache_control", None)) is not None:
                block["cache_control"] = cache_control
        if content:
            block["content"] = content
        if message.is_error:
            block["is_error"] = True
        return block

    def _answer(self, message: AIMessage) -> Iterator[Block]:
        for place, item in _in_wire_order(message):
            if isinstance(item, ToolCall):
                self.notes.foreign(item)
                yield _tool_use(item)
            elif isinstance(item, dict):
                yield item
            elif (block := self._said(item)) is not None:
                if isinstance(item, TextPart) and (cited := self._cited(message, place, item)):
                    block["citations"] = cited
                yield block

    def _cited(self, message: AIMessage, place: int, part: TextPart) -> list[Block]:
        metadata = message.provider_metadata
        return citations_of(metadata, self.notes.provider, place=place, text=part.text)

    def _said(self, part: ContentPart) -> Block | None:
        if isinstance(part, TextPart):
            return self._encode.text(part)
        if isinstance(part, ThinkingPart):
            return None if self.notes.foreign(part) else _thinking(part)
        self.notes.part(part)
        return None


def _only_text(message: Message) -> str | None:
    """The text of a message that is sent as nothing but one text, as most are; else None."""
    part = message.parts[0] if len(message.parts) == 1 else None
    if type(message) not in _ROLES or type(part) is not TextPart:
        return None
    if part.signature or part.metadata or not part.text or part.text.isspace():
        return None
    if isinstance(message, AIMessage):
        kept = message.provider_metadata
        if message.tool_calls or (kept and (CONTENT_BLOCKS in kept or CITATIONS in kept)):
            return None
    return part.text


def _in_wire_order(message: AIMessage) -> list[tuple[int, Any]]:
    """Parts, calls and kept blocks as they stood on the wire, with their places."""
    parts: list[Any] = list(blocks(message)) if message.tool_calls else list(message.parts)
    items = list(enumerate(parts))
    kept = message.provider_metadata.get(CONTENT_BLOCKS)
    for block in reversed(kept if isinstance(kept, list) else []):
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            continue
        if isinstance(place := block.get(PLACE), int):
            fields = {key: value for key, value in block.items() if key != PLACE}
            items.insert(place, (place, fields))
    return items


def _thinking(part: ThinkingPart) -> Block | None:
    """The block as it came; None for thinking without proof, which the API refuses."""
    if part.redacted_data:
        return {"type": "redacted_thinking", "data": part.redacted_data}
    if part.signature:
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    return None


def _tool_use(call: ToolCall) -> Block:
    return {
        "type": "tool_use",
        "id": _tool_id(call.id),
        "name": call.name,
        "input": _input(call),
    }


def _input(call: ToolCall) -> dict[str, Any]:
    """The arguments; what is no JSON object is wrapped as "Fine-grained tool streaming" says."""
    try:
        return call.args
    except ToolArgumentsError:
        return {"INVALID_JSON": call.arguments}


def _tool_id(id: str) -> str:
    return safe_id(id, _TOOL_IDS, _ID_LIMIT)


def _strip_end(content: list[Block]) -> None:
    """The API refuses an answer to be continued that ends with white space."""
    if content[-1]["type"] == "text":
        content[-1] = {**content[-1], "text": content[-1]["text"].rstrip()}


def encode_conversation(
    messages: Iterable[Message], notes: Notes, *, only_data: bool = False
) -> Conversation:
    """All messages of a request, encoded."""
    conversation = Conversation(notes, only_data=only_data)
    for message in messages:
        conversation.add(message)
    return conversation
