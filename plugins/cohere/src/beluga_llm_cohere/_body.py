"""A request as the body of `POST /v2/chat`.

What this API, or this model, does not have is left out and noted. Sources: "Chat API", "Structured
Outputs", "Reasoning Capabilities" and, for the ranges, "Errors" of https://docs.cohere.com.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import GenerateOptions, ReasoningConfig, ToolDefinition
from beluga_llm.plugin import ChatRequest, Notes
from beluga_llm_cohere._messages import MessageEncoder
from beluga_llm_cohere._models import ModelFacts, model_facts

_FIELDS: Mapping[str, str] = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logprobs": "logprobs",
}
_RANGES: Mapping[str, tuple[int, int]] = {
    "temperature": (0, 1),
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "top_k": (0, 500),
}
_ABSENT: Mapping[str, Any] = {
    "n": 1,
    "top_logprobs": 0,
    "logit_bias": {},
    "user": None,
}
"""Options that the API does not have, and the values that ask for nothing."""
_MOST_STOPS = 5
_BUDGETS: Mapping[str, int | None] = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": None,
    "xhigh": None,
    "max": None,
}
"""Tokens for each effort, of which the API has no levels; None is no limit."""


def encode_body(request: ChatRequest, notes: Notes, given: Mapping[str, Any]) -> dict[str, Any]:
    """The body, with the options of the provider put over it.

    Args:
        request: the request.
        notes: takes what is left out.
        given: the options of the provider.
    """
    options, facts = request.options, model_facts(request.options.model or "")
    encoder = MessageEncoder(notes, thinks=facts.reasons)
    return {
        "model": options.model,
        "messages": encoder.encode(request.messages),
        **({"stream": True} if request.streaming else {}),
        **_tools(request, facts, notes),
        **_sampling(options, notes),
        **_thinking(options.reasoning, facts, notes),
        **_format(request, given, notes),
        **given,
    }


def _sampling(options: GenerateOptions, notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        value = getattr(options, name)
        if value is not None and _in_range(name, value, notes):
            found[field] = value
    if options.top_logprobs is not None:
        found["logprobs"] = True
    if options.stop:
        found["stop_sequences"] = list(options.stop[:_MOST_STOPS])
    if len(options.stop) > _MOST_STOPS:
        notes.option("stop", f"only {_MOST_STOPS} stop sequences can be given, the first are sent")
    for name, nothing in _ABSENT.items():
        if getattr(options, name) not in (None, nothing):
            notes.option(name)
    return found


def _in_range(name: str, value: float, notes: Notes) -> bool:
    low, high = _RANGES.get(name, (value, value))
    if low <= value <= high:
        return True
    notes.option(name, f"{name} goes from {low} to {high} here, got {value}")
    return False


def _tools(request: ChatRequest, facts: ModelFacts, notes: Notes) -> dict[str, Any]:
    options, choice = request.options, request.options.tool_choice
    if not request.tools:
        return {}
    if options.parallel_tool_calls is False:
        notes.option("parallel_tool_calls")
    formed = options.response_format is not None and options.response_format.type != "text"
    if choice == "none" and (formed or not facts.tool_choice):
        return {}  # what the model is not told of it cannot call
    named = [tool for tool in request.tools if tool.name == choice]
    tools = named or list(request.tools)
    found: dict[str, Any] = {"tools": [_tool(tool) for tool in tools], **_strict(tools, notes)}
    if choice in (None, "auto"):
        return found
    if not facts.tool_choice:
        why = f"tool_choice {choice!r} is not supported by {options.model}"
        notes.option("tool_choice", why)
        return found
    return {**found, "tool_choice": "NONE" if choice == "none" else "REQUIRED"}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.input_schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _strict(tools: list[ToolDefinition], notes: Notes) -> dict[str, Any]:
    strict = [bool(tool.strict) for tool in tools]
    if all(strict):
        return {"strict_tools": True}
    if any(strict):
        notes.option("strict", "either all tools of a request are strict here, or none")
    return {}


def _thinking(config: ReasoningConfig | None, facts: ModelFacts, notes: Notes) -> dict[str, Any]:
    if config is None or (config.effort is None and config.budget_tokens is None):
        return {}
    off = config.effort == "none" or config.budget_tokens == 0
    if facts.reasons is False:
        if not off:
            name = "reasoning_budget" if config.effort is None else "reasoning_effort"
            notes.option(name, "this model does not reason")
        return {}
    if off:
        return {"thinking": {"type": "disabled"}}
    budget, effort = config.budget_tokens, str(config.effort)
    if budget is None:
        if effort not in _BUDGETS:
            notes.option("reasoning_effort", f"the effort {effort!r} is not known")
            return {}
        budget = _BUDGETS[effort]
    limit = {} if budget is None else {"token_budget": budget}
    return {"thinking": {"type": "enabled", **limit}}


def _format(request: ChatRequest, given: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    wanted = request.options.response_format
    if wanted is None or wanted.type == "text":
        return {}
    none = request.options.tool_choice == "none"
    tools = (request.tools and not none) or given.get("tools")
    for name, present in (("tools", tools), ("documents", given.get("documents"))):
        if present:
            why = f"response_format cannot be combined with {name} here"
            notes.option("response_format", why)
            return {}
    schema = {} if wanted.schema is None else {"json_schema": wanted.schema}
    return {"response_format": {"type": "json_object", **schema}}
