"""What a request has beside its conversation, made once for each set of options and tools.

Options and tools are frozen, so what was made of them stays right as long as they are the same
objects. Nothing that depends on the messages is here: neither the system prompt with its marks of
the cache, nor the betas that parts need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from beluga_llm import GenerateOptions, ToolDefinition
from beluga_llm.plugin import ChatRequest, Note

_MOST = 16
"""How many sets are remembered."""


class Beside(NamedTuple):
    """What is made of options and tools.

    Attributes:
        fields: the body's fields.
        given: fields that the caller gave for this provider, which go over all others.
        path: where the request goes.
        betas: the beta features that it needs.
        headers: version and betas, where they stand there.
        notes: what is left out.
    """

    fields: Mapping[str, Any]
    given: Mapping[str, Any]
    path: str
    betas: tuple[str, ...]
    headers: Mapping[str, str]
    notes: tuple[Note, ...]


class _Kept(NamedTuple):
    """As long as it is kept, so are the ids of what it was made of."""

    options: GenerateOptions
    tools: tuple[ToolDefinition, ...]
    beside: Beside


class Memory:
    """Remembers it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, bool], _Kept] = {}

    def of(self, request: ChatRequest, make: Callable[[ChatRequest], Beside]) -> Beside:
        """What belongs to the options and tools of a request; `make` makes what is new."""
        key = id(request.options), id(request.tools), request.streaming
        kept = self._kept.get(key)
        if kept is not None and kept.options is request.options and kept.tools is request.tools:
            return kept.beside  # in a copy of a dialect the ids are those of other objects
        beside = make(request)
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[key] = _Kept(request.options, request.tools, beside)
        return beside
