"""How many tokens messages cost, before anybody has counted.

`SimpleTokenizer` estimates: about four characters to a token for English text, a fixed number for
media. It counts everything that is sent, so that limits built on it err on the safe side.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
from attrs import field, frozen

from beluga_llm import _json
from beluga_llm._errors import ConfigError
from beluga_llm._messages import AIMessage, Message, ToolMessage
from beluga_llm._parts import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    ThinkingPart,
    VideoPart,
)
from beluga_llm._tool_types import ToolDefinition

AT_ONCE = 256
"""How many messages are counted before other tasks have their turn."""


class TokenCount(msgspec.Struct, frozen=True):
    """A number of tokens; `exact` says whether the provider counted them itself."""

    tokens: int
    exact: bool


@runtime_checkable
class Tokenizer(Protocol):
    """What counts tokens. Encoding and decoding are not part of it."""

    def count(self, text: str) -> int:
        """Tokens of a text; 0 for ""."""
        ...

    def count_messages(
        self, messages: Iterable[Message], tools: Iterable[ToolDefinition] = ()
    ) -> int:
        """Tokens of a request with these messages and tools."""
        ...


def _positive(instance: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigError(f"{attribute.name} must be > 0, got {value!r}")


def _at_least_zero(instance: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{attribute.name} must be an integer of at least 0, got {value!r}")


@frozen(kw_only=True)
class SimpleTokenizer:
    """An estimate that needs no vocabulary: ceil(characters / 4), plus something per message.

    Attributes:
        chars_per_token: characters (code points) to a token, > 0.
        per_message: tokens added for each message.
        priming: tokens added for each request.
        image, audio, video, file: tokens of one such part.
    """

    chars_per_token: float = field(default=4.0, validator=_positive)
    per_message: int = field(default=4, validator=_at_least_zero)
    priming: int = field(default=0, validator=_at_least_zero)
    image: int = field(default=85, validator=_at_least_zero)
    audio: int = field(default=258, validator=_at_least_zero)
    video: int = field(default=258, validator=_at_least_zero)
    file: int = field(default=258, validator=_at_least_zero)

    def count(self, text: str) -> int:
        """Tokens of a text; 0 for ""."""
        return math.ceil(len(text) / self.chars_per_token)

    def count_messages(
        self, messages: Iterable[Message], tools: Iterable[ToolDefinition] = ()
    ) -> int:
        """Tokens of a request: text, reasoning, names, calls, results, media and tools."""
        said = sum(self.per_message + self._message(message) for message in messages)
        return self.priming + said + sum(self.count(_definition_text(tool)) for tool in tools)

    def _message(self, message: Message) -> int:
        total = sum(self._part(part) for part in message.parts)
        total += self.count(getattr(message, "name", None) or "")
        if isinstance(message, ToolMessage):
            total += self.count(message.tool_call_id)
        if isinstance(message, AIMessage):
            total += self.count(message.refusal or "")
            for call in message.tool_calls:
                total += sum(map(self.count, (call.id, call.name, call.arguments)))
        return total

    def _part(self, part: ContentPart) -> int:
        match part:
            case TextPart() | ThinkingPart():
                return self.count(part.text)
            case ImagePart():
                return self.image
            case AudioPart():
                return self.audio
            case VideoPart():
                return self.video
            case FilePart():
                return self.file
            case _:
                return self.count(_json.dumps_text(part.data))


def _definition_text(tool: ToolDefinition) -> str:
    return _json.dumps_text(
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
    )


async def count_request(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Iterable[ToolDefinition] = ()
) -> int:
    """Tokens of a request; other tasks run while many messages are counted."""
    if len(messages) <= AT_ONCE:
        return tokenizer.count_messages(messages, tools)
    total, nothing = tokenizer.count_messages((), tools), tokenizer.count_messages(())
    for start in range(0, len(messages), AT_ONCE):
        await asyncio.sleep(0)
        total += tokenizer.count_messages(messages[start : start + AT_ONCE]) - nothing
    return total
