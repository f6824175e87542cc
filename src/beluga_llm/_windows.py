"""How many tokens a model takes: your own table, then its capabilities, then `data/windows.json`.

The file maps the beginnings of model names, in small letters, to tokens, or to null where what
begins so is known to differ; the longest one that a name begins with counts. A name begins again
after a slash, a dot or a colon, so that those of clouds, gateways and fine-tuned models are found
too: "us.anthropic.claude-opus-4-6-v1", "openrouter/openai/gpt-4o", "ft:gpt-4o-mini:org::id".
What is not there has no known window, and nothing is ever refused for that.

The numbers are the models' own; a host may allow less. They are those that the maintained tables of
genai-prices and LiteLLM agree on (November 2026); DeepSeek's are from api-docs.deepseek.com. Those
of open models (Llama, Qwen 2.5, Gemma, Mixtral) and of models that are no longer offered are not
verified.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
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
    if windows and (beginning := _longest(name, windows)) is not None:
        return windows[beginning]
    return _published(name) if known is None else known


@functools.lru_cache(maxsize=1024)
def _published(name: str) -> int | None:
    """What the file says."""
    name, table = name.lower(), _table()
    beginning = _longest(name, table)
    return None if beginning is None else table[beginning]


def _longest(name: str, table: Iterable[str]) -> str | None:
    """The longest beginning of a name, or of what comes after a slash, a dot or a colon in it."""
    for start in (0, *(found.end() for found in re.finditer("[/.:]", name))):
        if beginnings := [known for known in table if name.startswith(known, start)]:
            return max(beginnings, key=len)
    return None


@functools.cache
def _table() -> dict[str, int | None]:
    from importlib.resources import files

    data = files("beluga_llm").joinpath("data/windows.json").read_bytes()
    table: dict[str, int | None] = _json.loads(data)
    return table
