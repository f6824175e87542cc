"""Messages: plain immutable values; everything else is a function over them.

The first argument of a message is a str, a part, or a sequence of both; parts keep their order
through every provider. `metadata` belongs to the application and is never sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

from attrs import field, frozen

from beluga_llm._frozen import EMPTY, freeze, freeze_mapping
from beluga_llm._parts import PART_TYPES, ContentPart, TextPart, ThinkingPart, UnknownPart
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import NO_USAGE, FinishReason, Usage

V = TypeVar("V")
_PARTS = (*PART_TYPES.values(), UnknownPart)
_PART_SET = frozenset(_PARTS)
Content: TypeAlias = str | ContentPart | Iterable[str | ContentPart]


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    HUMAN = "human"
    AI = "ai"
    TOOL = "tool"


def _to_part(item: Any) -> ContentPart:
    if isinstance(item, str):
        return TextPart(item)
    if isinstance(item, _PARTS):
        return cast("ContentPart", item)
    raise TypeError(f"a message is made of str and parts, not {type(item).__name__}")


def _to_parts(content: Content) -> tuple[ContentPart, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    if type(content) is tuple and _PART_SET.issuperset(map(type, content)):
        return content  # as the fold hands them over, once for each call
    if isinstance(content, _PARTS):
        return (cast("ContentPart", content),)
    if not isinstance(content, Iterable) or isinstance(content, bytes | Mapping):
        raise TypeError(f"a message is made of str and parts, not {type(content).__name__}")
    return tuple(_to_part(item) for item in content)


class _Remembers:
    """A place beside the fields, which takes no part in equality, copies or pickles."""

    __slots__ = ("_plain",)
    _plain: str | None


@frozen
class Message(_Remembers):
    """What the four kinds of message have in common."""

    role: ClassVar[Role]
    parts: tuple[ContentPart, ...] = field(converter=_to_parts)
    metadata: Mapping[str, Any] = field(default=EMPTY, converter=freeze_mapping, kw_only=True)

    @property
    def text(self) -> str:
        """All text, joined without a separator; "" where there is none."""
        return "".join(part.text for part in self.parts if type(part) is TextPart)

    @property
    def thinking(self) -> str:
        """All reasoning text, joined without a separator."""
        return "".join(part.text for part in self.parts if type(part) is ThinkingPart)


@frozen
class SystemMessage(Message):
    """Instructions of the application."""

    role: ClassVar[Role] = Role.SYSTEM


@frozen
class HumanMessage(Message):
    """What a user says; `name` tells several users apart where the provider supports it."""

    role: ClassVar[Role] = Role.HUMAN
    name: str | None = field(default=None, kw_only=True)


@frozen
class ToolMessage(Message):
    """The result of a tool call.

    Attributes:
        tool_call_id: the id of the ToolCall that it answers.
        name: the tool's name, where known.
        is_error: whether the tool failed.
    """

    role: ClassVar[Role] = Role.TOOL
    tool_call_id: str
    name: str | None = None
    is_error: bool = False


def _calls(value: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    calls = tuple(value)
    for call in calls:
        if not isinstance(call, ToolCall):
            raise TypeError(f"tool_calls are ToolCalls, not {type(call).__name__}")
    return calls


def _messages(value: Iterable[AIMessage]) -> tuple[AIMessage, ...]:
    messages = tuple(value)
    for message in messages:
        if not isinstance(message, AIMessage):
            raise TypeError(f"alternatives are AIMessages, not {type(message).__name__}")
    return messages


def _usage(value: Usage | None) -> Usage:
    return value or NO_USAGE


def _finish(value: str | None) -> FinishReason | None:
    return value if value is None or type(value) is FinishReason else FinishReason(value)


def _refusal(value: str | None) -> str | None:
    return value or None


@frozen
class AIMessage(Message):
    """What a model answers.

    Attributes:
        tool_calls: the calls it asks for, in order.
        usage: tokens spent; its fields are None where nothing was reported.
        finish_reason: why it ended. With tool calls, "stop" reads "tool_calls".
        raw_finish_reason: the provider's own word for it.
        refusal: the text of a refusal; it is not part of `text`.
        model_id: the model that answered, as the provider names it.
        response_id: the provider's id of the answer.
        provider_metadata: extras under the provider's own key names.
        alternatives: the other answers where `n > 1` was asked.
        logprobs: as the provider sends them, where asked for.
    """

    role: ClassVar[Role] = Role.AI
    parts: tuple[ContentPart, ...] = field(default=(), converter=_to_parts)
    tool_calls: tuple[ToolCall, ...] = field(default=(), converter=_calls, kw_only=True)
    usage: Usage = field(default=NO_USAGE, converter=_usage, kw_only=True)
    finish_reason: FinishReason | None = field(default=None, converter=_finish, kw_only=True)
    raw_finish_reason: str | None = field(default=None, kw_only=True)
    refusal: str | None = field(default=None, converter=_refusal, kw_only=True)
    model_id: str | None = field(default=None, kw_only=True)
    response_id: str | None = field(default=None, kw_only=True)
    provider_metadata: Mapping[str, Any] = field(
        default=EMPTY, converter=freeze_mapping, kw_only=True
    )
    alternatives: tuple[AIMessage, ...] = field(default=(), converter=_messages, kw_only=True)
    logprobs: Any = field(default=None, converter=freeze, kw_only=True)
    name: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.tool_calls and self.finish_reason is FinishReason.STOP:
            object.__setattr__(self, "finish_reason", FinishReason.TOOL_CALLS)
        if self.alternatives and any(other.alternatives for other in self.alternatives):
            raise ValueError("an alternative cannot have alternatives of its own")


MESSAGE_TYPES: dict[str, type[Message]] = {
    kind.role.value: kind for kind in (SystemMessage, HumanMessage, AIMessage, ToolMessage)
}


def plain_text(message: Message) -> str | None:
    """The text of a message that is nothing but one text, as most are; remembered by the message.

    A history is sent many times, and looked through once.
    """
    try:
        return message._plain
    except AttributeError:
        found = _only_text(message)
        object.__setattr__(message, "_plain", found)
        return found


def plain_message(text: str) -> HumanMessage:
    """What a user says; it need not be looked through."""
    message = HumanMessage(text)
    object.__setattr__(message, "_plain", text)
    return message


def plain_texts(messages: Sequence[Message]) -> list[str] | None:
    """The texts of messages that all are nothing but one text; else None."""
    try:
        texts = [message._plain for message in messages]
    except AttributeError:
        texts = [plain_text(message) for message in messages]
    return None if None in texts else cast("list[str]", texts)


def _only_text(message: Any) -> str | None:
    part = message.parts[0] if len(message.parts) == 1 else None
    if type(part) is not TextPart or part.signature or part.metadata:
        return None
    kind = type(message)
    if kind is HumanMessage:
        return None if message.name else part.text
    if kind is AIMessage:
        return None if message.tool_calls or message.refusal or message.name else part.text
    return part.text if kind is SystemMessage else None


def replace(value: V, /, **changes: Any) -> V:
    """A copy of any of our frozen values with some fields changed."""
    if hasattr(value, "__struct_fields__"):
        import msgspec

        return cast("V", msgspec.structs.replace(cast("Any", value), **changes))
    import attrs

    return cast("V", attrs.evolve(cast("Any", value), **changes))
