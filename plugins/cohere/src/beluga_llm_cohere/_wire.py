"""Reading the API's JSON: the shape of the hot event, and tolerant access to all others.

null where an object, a list or a text is expected counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from beluga_llm import Usage
from beluga_llm.plugin import dumps_text, typed


class _Content(msgspec.Struct, gc=False):
    text: str = ""
    thinking: str = ""


class _Message(msgspec.Struct, gc=False):
    content: _Content


class _Delta(msgspec.Struct, gc=False):
    message: _Message


class ContentDelta(msgspec.Struct, gc=False):
    """A `content-delta` without anything unusual."""

    delta: _Delta
    index: int = 0
    logprobs: None = None


read_content_delta = typed(ContentDelta)


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def as_objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or one object as such a list."""
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, dict)]


def extras(fields: Mapping[str, Any], *known: str) -> dict[str, Any]:
    """What is said besides the fields that are known."""
    return {key: value for key, value in fields.items() if key not in known and value is not None}


def arguments_text(value: Any) -> str:
    """The arguments of a call as JSON text, however a server sends them."""
    return as_text(value) if value is None or isinstance(value, str) else dumps_text(value)


def read_usage(report: Mapping[str, Any]) -> Usage | None:
    """Tokens in the normal form; None where nothing is counted.

    `tokens` counts what the model read and wrote, `billed_units` what is paid for; only the first
    is meant. What came from the cache is part of the input.
    """
    tokens = as_object(report.get("tokens"))
    usage = Usage(
        input_tokens=_number(tokens.get("input_tokens")),
        output_tokens=_number(tokens.get("output_tokens")),
        cached_tokens=_number(report.get("cached_tokens")),
    )
    return None if usage == Usage() else usage


def _number(value: Any) -> int | None:
    """A count, which the API's schema has as a float."""
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value if type(value) is int else None
