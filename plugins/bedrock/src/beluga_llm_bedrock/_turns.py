"""A conversation as Converse wants it: a system prompt, then turns of user and assistant.

System messages are collected, in order, wherever they stand. Consecutive messages of one side make
one turn; in a user's turn the results of tools come first. Blocks of an answer go back in the order
in which they came: reasoning with its signature, redacted reasoning, and server tools with their
results. Reasoning without proof is left out: Claude refuses it, and other models mix it up with
their answer.

Sources: "Message", "ToolUseBlock", "ToolResultBlock", "ReasoningContentBlock" of the Amazon Bedrock
API reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
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
)
from beluga_llm.plugin import Notes, blocks, safe_id
from beluga_llm_bedrock._blocks import Block, BlockEncoder, cache_points
from beluga_llm_bedrock._kept import sendable
from beluga_llm_bedrock._models import ModelFacts

_IDS = re.compile(r"[a-zA-Z0-9_.:-]+")
_SHORT_IDS = re.compile(r"[a-zA-Z0-9]{9}")
_ID_LIMIT = 64
_REFUSED_IN_TOOL_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_LIMIT = 64


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
        called: the names of the tools that were called, and whether they are the server's own.
    """

    def __init__(self, facts: ModelFacts, notes: Notes) -> None:
        self.system: list[Block] = []
        self.called: dict[str, bool] = {}
        self.notes = notes
        self._facts = facts
        self._encode = BlockEncoder(notes)
        self._turns: list[_Turn] = []

    @property
    def has_tool_blocks(self) -> bool:
        """Whether it holds calls or results of tools."""
        return bool(self.called) or any(turn.results for turn in self._turns)

    def add(self, message: Message) -> None:
        """Takes the next message."""
        if isinstance(message, SystemMessage):
            self.system.extend(self._system(message))
        elif isinstance(message, ToolMessage):
            self._turn("user").results.extend(self._result(message))
        elif isinstance(message, AIMessage):
            self._extend("assistant", list(self._answer(message)))
        else:
            self._extend("user", list(self._encode.content(message.parts)))

    def turns(self) -> list[Block]:
        """The turns so far; the last one, if it begins an answer, without blanks at its end."""
        contents = [turn.content() for turn in self._turns]
        if contents and self._turns[-1].role == "assistant" and "text" in contents[-1][-1]:
            contents[-1][-1] = {"text": contents[-1][-1]["text"].rstrip()}
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
                yield from cache_points(part)

    def _result(self, message: ToolMessage) -> Iterator[Block]:
        result: Block = {
            "toolUseId": self._tool_id(message.tool_call_id),
            "content": self._encode.results(message.parts),
        }
        if message.is_error and self._facts.result_status:
            result["status"] = "error"
        yield {"toolResult": result}
        yield from [point for part in message.parts for point in cache_points(part)][-1:]

    def _answer(self, message: AIMessage) -> Iterator[Block]:
        for item in _in_wire_order(message):
            if isinstance(item, ToolCall):
                yield self._tool_use(item)
            elif isinstance(item, Mapping):
                yield self._server_block(item)
            elif (block := self._said(item)) is not None:
                yield block
                yield from cache_points(item)

    def _said(self, part: ContentPart) -> Block | None:
        if isinstance(part, TextPart):
            return self._encode.text(part)
        if isinstance(part, ThinkingPart):
            return None if self.notes.foreign(part) else _reasoning(part)
        self.notes.part(part, f"{part.type} parts of an answer cannot be sent back")
        return None

    def _tool_use(self, call: ToolCall) -> Block:
        self.notes.foreign(call)
        name = _tool_name(call.name)
        self.called.setdefault(name, False)
        return {
            "toolUse": {"toolUseId": self._tool_id(call.id), "name": name, "input": _input(call)}
        }

    def _server_block(self, block: Mapping[str, Any]) -> Block:
        if isinstance(name := block.get("toolUse", {}).get("name"), str):
            self.called[name] = True
        return dict(block)

    def _tool_id(self, id: str) -> str:
        if self._facts.short_ids and not _SHORT_IDS.fullmatch(id):
            return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:9]
        return safe_id(id, _IDS, _ID_LIMIT)


def _in_wire_order(message: AIMessage) -> list[Any]:
    """Parts, calls and kept blocks as they stood on the wire."""
    items: list[Any] = list(blocks(message)) if message.tool_calls else list(message.parts)
    for place, block in reversed(list(sendable(message))):
        items.insert(place, block)
    return items


def _reasoning(part: ThinkingPart) -> Block | None:
    """The block as it came; None for reasoning without proof."""
    if part.redacted_data:
        return {"reasoningContent": {"redactedContent": part.redacted_data}}
    if part.signature:
        said = {"text": part.text, "signature": part.signature}
        return {"reasoningContent": {"reasoningText": said}}
    return None


def _tool_name(name: str) -> str:
    """A name that the API takes, also where a model called a tool that never was."""
    return _REFUSED_IN_TOOL_NAMES.sub("_", name)[:_NAME_LIMIT] or "_"


def _input(call: ToolCall) -> dict[str, Any]:
    """The arguments; what is no JSON object is wrapped, as the API takes objects only."""
    try:
        return call.args
    except ToolArgumentsError:
        return {"INVALID_JSON": call.arguments}
