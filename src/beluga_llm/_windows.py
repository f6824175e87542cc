"""How many tokens a model takes: your own table, then its capabilities, then `data/windows.json`.

The file maps the beginnings of model names to tokens; the longest one that a name begins with
counts. A model that is not there has no known window, and nothing is ever refused for that. The
numbers are those that hosts of these models publish (UiPath's and Oxen's lists, for OpenAI,
Anthropic and Google); those of older models are not verified.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from beluga_llm import _json

if TYPE_CHECKING:
    from beluga_llm._model import ChatModel

Windows: TypeAlias = Mapping[str, int]
"""Tokens by the beginnings of names, with or without "provider/"."""


def context_window(model: ChatModel | str, *, windows: Windows | None = None) -> int | None:
    """The context window of a model, in tokens; None where it is not known.

    Args:
        model: a model, or a name: "gpt-4o", "openai/gpt-4o".
        windows: a table of your own, by the beginnings of names.
    """
    if isinstance(model, str):
        return find_window(model, windows=windows)
    known = model.capabilities.context_window
    return find_window(model.qualified_id, windows=windows, known=known)


def find_window(
    name: str, *, windows: Windows | None = None, known: int | None = None
) -> int | None:
    """Likewise, of a name and what its capabilities say."""
    own = _longest(name, windows or {})
    if own is not None:
        return own
    return _longest(name, _table()) if known is None else known


def _longest(name: str, table: Windows) -> int | None:
    """What the longest beginning says; of the name, or of what comes after a slash in it."""
    while True:
        found = [known for known in table if name.startswith(known)]
        if found:
            return table[max(found, key=len)]
        _, slash, name = name.partition("/")
        if not slash:
            return None


@functools.cache
def _table() -> dict[str, int]:
    from importlib.resources import files

    data = files("beluga_llm").joinpath("data/windows.json").read_bytes()
    table: dict[str, int] = _json.loads(data)
    return table
