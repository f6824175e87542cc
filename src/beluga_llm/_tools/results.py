"""What tools return, as what a message holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from beluga_llm import _json
from beluga_llm._messages import Content
from beluga_llm._parts import PART_TYPES, UnknownPart

_PARTS = (*PART_TYPES.values(), UnknownPart)
_CONTENT = (str, *_PARTS)


def to_content(value: Any) -> Content:
    """Text and parts as they are; anything else as JSON text.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(value, _CONTENT):
        return cast("Content", value)
    if isinstance(value, list | tuple) and any(isinstance(item, _PARTS) for item in value):
        if odd := [item for item in value if not isinstance(item, _CONTENT)]:
            raise TypeError(f"a tool returns text beside parts, not {type(odd[0]).__name__}")
        return value
    try:
        return _json.dumps_text(msgspec.to_builtins(value, enc_hook=_plain, str_keys=True))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(
            f"a tool returns text, parts or JSON-able data, not {type(value).__name__} ({error})"
        ) from error


def _plain(value: Any) -> Any:
    """What msgspec does not know: kinds of numbers and texts, other mappings, pydantic's models."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON-serialisable")
