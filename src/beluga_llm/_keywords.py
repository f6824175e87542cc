"""The keywords of a call as types: what an editor offers and a type checker holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from msgspec import UnsetType

from beluga_llm._option_types import ReasoningConfig, ResponseFormat, Timeouts
from beluga_llm._validate import ToolInput

Unset: TypeAlias = UnsetType | None
ToolChoice: TypeAlias = Literal["auto", "none", "required"] | str  # noqa: PYI051 -- for editors


class LoopKeywords(TypedDict, total=False):
    """The options of a function whose argument `model` is something else."""

    temperature: float | Unset
    max_tokens: int | Unset
    top_p: float | Unset
    top_k: int | Unset
    stop: str | Sequence[str] | Unset
    seed: int | Unset
    n: int | Unset
    frequency_penalty: float | Unset
    presence_penalty: float | Unset
    logprobs: bool | Unset
    top_logprobs: int | Unset
    logit_bias: Mapping[str, int] | Unset
    user: str | Unset
    response_format: ResponseFormat | Unset
    tool_choice: ToolChoice | Unset
    parallel_tool_calls: bool | Unset
    reasoning: ReasoningConfig | Unset
    reasoning_effort: str | Unset
    reasoning_budget: int | Unset
    timeout: float | Timeouts | Unset
    provider_options: Mapping[str, Mapping[str, Any]] | Unset
    extra_headers: Mapping[str, str] | Unset
    extra_query: Mapping[str, str] | Unset
    extra_body: Mapping[str, Any] | Unset
    raw: bool | Unset
    metadata: Mapping[str, Any] | Unset
    validate_history: bool | Unset


class OptionKeywords(LoopKeywords, total=False):
    """The fields of GenerateOptions, and the two shortcuts for reasoning."""

    model: str | Unset


class CallKeywords(OptionKeywords, total=False):
    """What one call takes: options, and tools beside the bound ones."""

    tools: Iterable[ToolInput]
