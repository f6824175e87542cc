"""A cached answer as bytes: JSON with a version and a date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from beluga_llm import _json
from beluga_llm._errors import BelugaError
from beluga_llm._messages import AIMessage
from beluga_llm._serialize import from_dict, to_dict
from beluga_llm._usage import FinishReason

ENTRY_VERSION = 1
_BAD_ENDS = frozenset((FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR))


class Entry(msgspec.Struct, frozen=True):
    """An answer from the cache.

    Attributes:
        message: the answer.
        cached_at: when it was kept, in unix seconds.
    """

    message: AIMessage
    cached_at: float

    def facts(self, now: float) -> dict[str, Any]:
        """What the answer's metadata say of where it comes from."""
        when = datetime.fromtimestamp(self.cached_at, UTC)
        age = max(now - self.cached_at, 0.0)
        return {"cache": {"hit": True, "cached_at": when.isoformat(), "age": age}}


def encode(message: AIMessage, now: float) -> bytes:
    """The bytes of an answer that is kept now."""
    return _json.dumps({"v": ENTRY_VERSION, "cached_at": now, "message": to_dict(message)})


def decode(data: bytes) -> Entry | None:
    """The answer in these bytes; None where they hold none that this version reads."""
    try:
        value = _json.loads(data)
        if not isinstance(value, dict) or value.get("v") != ENTRY_VERSION:
            return None
        message, when = from_dict(value["message"]), float(value["cached_at"])
        datetime.fromtimestamp(when, UTC)
    except (_json.JsonError, BelugaError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    return Entry(message, when) if isinstance(message, AIMessage) else None


def is_worth_keeping(message: AIMessage) -> bool:
    """Whether an answer is a complete success, and the only one."""
    return message.finish_reason not in _BAD_ENDS and not message.alternatives
