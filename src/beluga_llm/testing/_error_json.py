"""Errors as JSON-ready data and back, for recordings."""

from __future__ import annotations

import builtins
from typing import Any

from beluga_llm._errors import BelugaError, _rebuild
from beluga_llm.testing._plain import plain
from beluga_llm.testing._provoke import error_class


def error_data(error: Exception) -> dict[str, Any]:
    """An error in data: its class, its text and its facts, but for the partial answer."""
    if not isinstance(error, BelugaError):
        return {"class": type(error).__name__, "message": str(error)}
    facts = {
        name: value
        for name, item in vars(error).items()
        if name != "partial" and (value := plain(item)) not in (None, "", [], {})
    }
    return {"class": _known_name(type(error)), **facts}


def error_of(data: dict[str, Any]) -> Exception:
    """The error, of the same class as far as that is ours or Python's; else a RuntimeError."""
    facts = dict(data)
    name, message = facts.pop("class"), facts.get("message", "")
    try:
        kind = error_class(name)
    except ValueError:
        known = getattr(builtins, name, None)
        if isinstance(known, type) and issubclass(known, Exception):
            return known(message)
        return RuntimeError(f"{name}: {message}")
    fresh = kind(message)
    return _rebuild(kind, (message,), {**vars(fresh), **facts})


def _known_name(kind: type[BelugaError]) -> str:
    """The name of the class, or of the nearest one above it that is ours."""
    return next(base.__name__ for base in kind.__mro__ if _is_known(base))


def _is_known(kind: type) -> bool:
    try:
        return error_class(kind.__name__) is kind
    except ValueError:
        return False
