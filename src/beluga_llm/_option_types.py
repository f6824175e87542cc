"""The values that some options take: time limits, response formats, reasoning."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from attrs import field, frozen

from beluga_llm._frozen import freeze


@frozen(kw_only=True)
class Timeouts:
    """How long to wait, in seconds; None disables a limit.

    Attributes:
        connect: until a connection stands.
        first_chunk: streams: from the request to the first content.
        idle: streams: silence between two reads, once content has come.
        keepalive: streams: how long after the last data pings and comments still count as a sign
            of life; 0 means that they never do.
        whole: whole-body answers: from the request to the last byte.
        total: the logical call, with its retries and waits.
    """

    connect: float | None = 10.0
    first_chunk: float | None = 300.0
    idle: float | None = 120.0
    keepalive: float | None = 600.0
    whole: float | None = 600.0
    total: float | None = None

    @classmethod
    def of(cls, value: float | Timeouts | None) -> Timeouts:
        """A number of seconds is the total; None is the default limits."""
        if isinstance(value, Timeouts):
            return value
        return cls(total=value)


class ReasoningEffort(StrEnum):
    """How hard a model should think; other words pass through unchanged."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@frozen
class ReasoningConfig:
    """What is asked of a reasoning model.

    Attributes:
        effort: a ReasoningEffort, or a word that the provider knows.
        budget_tokens: how many tokens it may think, where the provider counts them; -1 leaves it
            to the model (Gemini).
        include: False asks for no reasoning text in the answer, where that can be asked.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    include: bool = True


@frozen
class ResponseFormat:
    """The form of the answer: `.text()`, `.json()` or `.json_schema(...)`.

    Attributes:
        type: "text", "json" or "json_schema".
        schema: JSON Schema, nothing else in it.
        name: what the schema is called on the wire.
        strict: ask the provider to hold the model to the schema.
        description: what the value is for.
    """

    type: Literal["text", "json", "json_schema"] = "text"
    schema: Mapping[str, Any] | None = field(default=None, converter=freeze)
    name: str = "response"
    strict: bool = True
    description: str | None = None

    @classmethod
    def text(cls) -> ResponseFormat:
        """Plain text."""
        return cls("text")

    @classmethod
    def json(cls) -> ResponseFormat:
        """Some JSON value."""
        return cls("json")

    @classmethod
    def json_schema(
        cls,
        schema: Mapping[str, Any],
        name: str = "response",
        strict: bool = True,
        description: str | None = None,
    ) -> ResponseFormat:
        """JSON that the schema allows."""
        return cls("json_schema", schema, name, strict, description)
