"""What is checked before any middleware or request: messages, tools and options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import (
    MESSAGE_TYPES,
    AIMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
    plain_message,
)
from beluga_llm._option_ranges import option_problems
from beluga_llm._options import GenerateOptions
from beluga_llm._tool_types import Tool, ToolDefinition

MessageInput: TypeAlias = str | Message | Sequence[str | Message]
ToolInput: TypeAlias = ToolDefinition | Tool | Mapping[str, Any] | Callable[..., Any]

TOOL_CHOICES = ("auto", "none", "required")
TOOL_NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEQUENCES = frozenset((list, tuple))
_KINDS = frozenset(MESSAGE_TYPES.values())
_TALK = frozenset((SystemMessage, HumanMessage, AIMessage))
TOOL_NAMES_RULE = "use 1 to 64 letters, digits, underscores or hyphens"


def ensure_messages(messages: MessageInput) -> tuple[Message, ...]:
    """A conversation as a tuple: a str is one HumanMessage, a Message stands alone.

    Raises:
        TypeError: it is, or holds, something else.
        InvalidRequestError: it is empty.
    """
    if isinstance(messages, str):
        return (plain_message(messages),)
    if isinstance(messages, Message):
        return (messages,)
    if type(messages) in _SEQUENCES and messages and _KINDS.issuperset(map(type, messages)):
        return tuple(messages)  # type: ignore[arg-type]  # messages, as was just seen
    if isinstance(messages, bytes | bytearray | Mapping) or not isinstance(messages, Iterable):
        raise TypeError(f"invalid input type for messages: {type(messages).__name__}")
    found = tuple(
        item if isinstance(item, Message) else HumanMessage(_text(item)) for item in messages
    )
    if not found:
        raise InvalidRequestError("no messages")
    return found


def _text(item: object) -> str:
    if isinstance(item, str):
        return item
    raise TypeError(f"invalid input type for messages: {type(item).__name__}")


def check_pairing(messages: Sequence[Message]) -> None:
    """Holds tool calls and results together: each result answers a call, each call has a result.

    Raises:
        InvalidRequestError: it names the id that stands alone.
    """
    kinds = set(map(type, messages))
    if kinds <= _TALK and not any(m.tool_calls for m in messages if type(m) is AIMessage):
        return
    waiting: set[str] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            _answer(message, waiting)
        elif waiting and isinstance(message, AIMessage | HumanMessage):
            _unanswered(waiting, f"the next {message.role} message")
        if isinstance(message, AIMessage) and message.tool_calls:
            waiting = _calls(message)
    if waiting:
        _unanswered(waiting, "the end")


def _calls(message: AIMessage) -> set[str]:
    ids = [call.id for call in message.tool_calls]
    if len(found := set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InvalidRequestError(f"two tool calls of one message have the id {twice!r}")
    return found


def _answer(message: ToolMessage, waiting: set[str]) -> None:
    if message.tool_call_id not in waiting:
        raise InvalidRequestError(
            f"tool message answers {message.tool_call_id!r}, "
            "which is no open call of the preceding ai message"
        )
    waiting.remove(message.tool_call_id)


def _unanswered(waiting: set[str], where: str) -> None:
    names = ", ".join(sorted(map(repr, waiting)))
    raise InvalidRequestError(f"tool call {names} has no result before {where}")


def to_definition(tool: ToolInput) -> ToolDefinition:
    """The definition of anything that may stand for a tool.

    Raises:
        TypeError: it does not describe a tool.
    """
    if isinstance(tool, ToolDefinition):
        return tool
    if isinstance(definition := getattr(tool, "definition", None), ToolDefinition):
        return definition
    if isinstance(tool, Mapping):
        return _from_mapping(tool)
    if callable(tool):
        return ToolDefinition.from_function(tool)
    raise TypeError(f"not a tool: {type(tool).__name__}")


def _from_mapping(tool: Mapping[str, Any]) -> ToolDefinition:
    known = {"name", "description", "input_schema", "strict", "metadata"}
    if unknown := sorted(set(tool) - known):
        raise InvalidRequestError(
            f"unknown keys of a tool: {', '.join(unknown)} (known: {', '.join(sorted(known))})"
        )
    if not isinstance(tool.get("name"), str):
        raise InvalidRequestError("a tool needs a name")
    return ToolDefinition(**tool)


def join_tools(
    bound: Sequence[ToolDefinition], more: Iterable[ToolInput], *, win: bool
) -> tuple[ToolDefinition, ...]:
    """Bound tools and more: on equal names the later one wins, or is an error.

    Raises:
        InvalidRequestError: two tools have one name, and `win` is False.
    """
    joined = {tool.name: tool for tool in bound}
    added: set[str] = set()
    for tool in map(to_definition, more):
        if tool.name in added or (tool.name in joined and not win):
            raise InvalidRequestError(f"two tools are named {tool.name!r}")
        added.add(tool.name)
        joined[tool.name] = tool
    return tuple(joined.values())


def check_tool_names(
    tools: Iterable[ToolDefinition],
    provider: str,
    *,
    allowed: re.Pattern[str] = TOOL_NAMES,
    rule: str = TOOL_NAMES_RULE,
) -> None:
    """Holds tool names to a provider's rule.

    Raises:
        InvalidRequestError: a name is not allowed.
    """
    for tool in tools:
        why = rule if not allowed.fullmatch(tool.name) else None
        if tool.name in TOOL_CHOICES:
            why = "it is a word of tool_choice"
        if why:
            raise InvalidRequestError(
                f"tool name {tool.name!r} is not allowed by {provider or 'the provider'}: {why}"
            )


def check_options(options: GenerateOptions, tools: Sequence[ToolDefinition] | None) -> None:
    """Holds options to their ranges, and `tool_choice` to the tools, if these are all known.

    Raises:
        InvalidRequestError: it lists every problem.
    """
    problems = option_problems(options)
    wanted = getattr(options.response_format, "type", None)
    if wanted == "json_schema" and isinstance(options.n, int) and options.n > 1:
        problems.append("n cannot be combined with structured output")
    choice = options.tool_choice
    if tools is not None and isinstance(choice, str) and choice not in TOOL_CHOICES:
        names = [tool.name for tool in tools]
        if choice not in names:
            known = ", ".join(names) or "none are given"
            problems.append(f"tool_choice {choice!r} is not among the tools: {known}")
    if problems:
        raise InvalidRequestError("; ".join(problems))
