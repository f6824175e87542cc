"""The lines of a batch's input: an id, a conversation and options, as JSON.

    {"id": "a", "prompt": "What is 2+2?"}
    {"id": "b", "messages": [{"role": "user", "content": "Hi"}], "options": {"temperature": 0}}

Messages are those of chat completions, or what `to_dict` gives. The lines of OpenAI's Batch API,
`{"custom_id": ..., "method": "POST", "url": ..., "body": {...}}`, are read too; what the fields of
such a body are called here is in `chat_lines.py`. Source: "Batch API" of the OpenAI docs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from beluga_llm import _json
from beluga_llm._batch.chat_lines import body_fields, message_of
from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import HumanMessage, Message
from beluga_llm._option_types import ResponseFormat
from beluga_llm._options import check_keywords

LineId = str | int

_FIELDS = frozenset(("id", "prompt", "messages", "options", "tools"))
_OPENAI_FIELDS = frozenset(("custom_id", "method", "url", "body"))


class Line(msgspec.Struct, frozen=True):
    """What one line asks.

    Attributes:
        number: its place in the file, from 1.
        id: what its result is found by; None where it has no id of its own.
        messages: the conversation.
        keywords: options of the call, and tools.
        problem: why it cannot be asked; None where it can.
    """

    number: int
    id: LineId | None = None
    messages: tuple[Message, ...] = ()
    keywords: Mapping[str, Any] = {}
    problem: Exception | None = None


def read_line(number: int, text: bytes) -> Line:
    """What a line asks; where it is wrong, what is wrong with it."""
    found: LineId | None = None
    try:
        data = _object(text)
        found = _id(data)
        messages, keywords = _asked(data)
        check_keywords(keywords, frozenset(("tools",)))
    except Exception as error:  # noqa: BLE001 -- the result of this line
        return Line(number, found, problem=error)
    return Line(number, found, messages, keywords)


def _object(text: bytes) -> dict[str, Any]:
    try:
        data = _json.loads(text)
    except _json.JsonError as error:
        raise InvalidRequestError(f"the line is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidRequestError(f"the line must be a JSON object, not {type(data).__name__}")
    return data


def _id(data: Mapping[str, Any]) -> LineId | None:
    found = data.get("id", data.get("custom_id"))
    if found is None or isinstance(found, str) or type(found) is int:
        return found
    raise InvalidRequestError(f"an id must be a string or an integer, not {found!r}")


def _asked(data: dict[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    if "body" in data:
        _known(data, _OPENAI_FIELDS)
        return body_fields(data["body"])
    _known(data, _FIELDS)
    options = data.get("options") or {}
    if not isinstance(options, dict):
        raise InvalidRequestError("options must be an object")
    keywords = {**options}
    if "response_format" in keywords:
        keywords["response_format"] = _format(keywords["response_format"])
    if not isinstance(tools := data.get("tools") or [], list):
        raise InvalidRequestError("tools must be a list")
    if tools:
        keywords["tools"] = tools
    return tuple(_messages(data)), keywords


def _messages(data: Mapping[str, Any]) -> Sequence[Message]:
    prompt, messages = data.get("prompt"), data.get("messages")
    if (prompt is None) == (messages is None):
        raise InvalidRequestError("a line needs either a prompt or messages")
    if messages is None:
        if not isinstance(prompt, str):
            raise InvalidRequestError("prompt must be a string")
        return [HumanMessage(prompt)]
    if not isinstance(messages, list):
        raise InvalidRequestError("messages must be a list")
    return [message_of(message) for message in messages]


def _format(value: Any) -> ResponseFormat:
    if isinstance(value, dict):
        return ResponseFormat.json_schema(value)
    if value in ("text", "json"):
        return ResponseFormat(value)
    raise InvalidRequestError("response_format takes text, json, or a JSON Schema")


def _known(data: Mapping[str, Any], fields: frozenset[str]) -> None:
    if unknown := sorted(data.keys() - fields):
        known = ", ".join(sorted(fields))
        raise InvalidRequestError(f"unknown fields {', '.join(unknown)} (known: {known})")
