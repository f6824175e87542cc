"""From the cell of a row to a conversation, and from an answer or an error to new columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

import beluga_llm as llm
from beluga_llm.plugin import message_of

Outcome: TypeAlias = dict[str, Any]
"""The new columns of one row."""

USAGE = llm.Usage.__struct_fields__
TEXTS = ("text", "json", "finish_reason", "error_code", "error")
COLUMNS = (*TEXTS, "usage")
_NOTHING: Outcome = dict.fromkeys(COLUMNS)
_MOST = 2**63 - 1
"""The greatest count that a column takes; a server that reports more reports nothing."""


def conversation(value: Any) -> Any:
    """What a cell asks: a text, a message, or several.

    Messages may be dicts as chat completions have them, or as `to_dict` gives them; Arrow fills
    what one message has and another lacks with null.

    Raises:
        InvalidRequestError: it asks nothing.
    """
    if value is None:
        raise llm.InvalidRequestError("the prompt is null")
    if isinstance(value, Mapping):
        return message_of(_without_nulls(value))
    if isinstance(value, list | tuple):
        return [conversation(item) for item in value]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_nulls(item) for k, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def answered(message: llm.AIMessage, usage: llm.Usage, json: str | None) -> Outcome:
    """The columns of an answer."""
    return {
        **_NOTHING,
        "text": _storable(message.text),
        "json": json,
        "finish_reason": message.finish_reason and str(message.finish_reason),
        "usage": _tokens(usage),
    }


def failed(error: Exception) -> Outcome:
    """The columns of a failure: `error_code` is that of our errors, "error" for others."""
    code, text = "error", f"{type(error).__name__}: {error}"
    if isinstance(error, llm.BelugaError):
        code, text = error.code, str(error)
    usage = _tokens(getattr(error, "usage", None))
    return {**_NOTHING, "error_code": code, "error": _storable(text), "usage": usage}


def json_text(value: Any, kind: Any) -> str:
    """A value of `structured` as JSON.

    Raises:
        TypeError: it is of a type that no JSON is known for.
    """
    dump: Callable[[Any], bytes] | None = getattr(kind, "dump_json", None)  # a TypeAdapter
    return (dump(value) if dump else msgspec.json.encode(value, enc_hook=_plain)).decode()


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # a pydantic model
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON-serialisable")


def _tokens(usage: Any) -> dict[str, int | None] | None:
    if not isinstance(usage, llm.Usage) or usage == llm.Usage():
        return None
    counts = {name: getattr(usage, name) for name in USAGE}
    return {k: n if n is None or 0 <= n <= _MOST else None for k, n in counts.items()}


def _storable(text: str) -> str:
    """A text that Arrow takes: half an emoji, as some servers send it, becomes a "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
