"""What a model can do, as far as is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from beluga_llm._errors import ConfigError

COUNTS = frozenset(("context_window", "max_output"))
"""Capabilities that are numbers of tokens."""


@frozen(kw_only=True)
class Capabilities:
    """What a model can do: True, False, or None where it is unknown.

    `tool_choice` is the set of what may be asked: "auto", "none", "required", "named".
    `context_window` and `max_output` are numbers of tokens.
    """

    tools: bool | None = None
    tool_choice: frozenset[str] | None = None
    parallel_tool_calls: bool | None = None
    json_object: bool | None = None
    json_schema: bool | None = None
    images: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    files: bool | None = None
    reasoning: bool | None = None
    streaming: bool | None = None
    stream_usage: bool | None = None
    n: bool | None = None
    logprobs: bool | None = None
    seed: bool | None = None
    prefill: bool | None = None
    count_tokens: bool | None = None
    context_window: int | None = None
    max_output: int | None = None

    def merged(self, over: Capabilities | Mapping[str, Any] | None) -> Capabilities:
        """These capabilities with those that are known of others put over them.

        Raises:
            ConfigError: a mapping names a capability that does not exist.
        """
        import attrs

        if over is None:
            return self
        if isinstance(over, Capabilities):
            over = attrs.asdict(over, recurse=False)
        names = {attribute.name for attribute in attrs.fields(Capabilities)}
        if unknown := sorted(set(over) - names):
            raise ConfigError(
                f"unknown capabilities: {', '.join(unknown)} (known: {', '.join(sorted(names))})"
            )
        return attrs.evolve(self, **{name: v for name, v in over.items() if v is not None})
