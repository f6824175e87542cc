"""Values of ours as JSON-ready data."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from enum import Enum
from typing import Any

import attrs
import msgspec


def plain(value: Any) -> Any:
    """The value as data; what is none is told by its repr."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        return {"base64": b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if attrs.has(type(value)):
        return plain(
            {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        )
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.asdict(value))
    return repr(value)
