"""How chat-completions servers are asked to reason: data of `ChatQuirks` into body fields.

    effort  -> `reasoning_effort`, or the switch of servers that only know on and off
    "none"  -> the switch, where there is one
    budget  -> wherever the server wants the number
    include -> fields that keep reasoning out of the answer

A server that has `reasoning` as an object (OpenRouter, Vercel, Snowflake) takes all of it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._http.encoding import Notes
from beluga_llm._option_types import ReasoningConfig
from beluga_llm._options import merge_deeply


def reasoning_fields(
    config: ReasoningConfig, quirks: ChatQuirks, notes: Notes
) -> Mapping[str, Any]:
    """The body fields that ask for reasoning.

    Args:
        config: what was asked.
        quirks: what the server takes.
        notes: takes what it cannot.
    """
    if quirks.reasoning_request == "object":
        return _object(config, notes)
    body: Mapping[str, Any] = {}
    if config.effort is not None:
        body = _effort(str(config.effort), quirks, notes)
    if config.budget_tokens is not None and quirks.reasoning_budget:
        body = merge_deeply(body, _with_number(quirks.reasoning_budget, config.budget_tokens))
    elif config.budget_tokens is not None:
        notes.option("reasoning_budget")
    return body if config.include else merge_deeply(body, quirks.reasoning_hidden)


def _effort(effort: str, quirks: ChatQuirks, notes: Notes) -> Mapping[str, Any]:
    if effort == "none" and quirks.reasoning_off:
        return quirks.reasoning_off
    switched = {} if effort == "none" else quirks.reasoning_on
    word = quirks.reasoning_efforts.get(effort, effort)
    takes_words = (
        quirks.reasoning_request == "effort" and "reasoning_effort" not in quirks.unsupported
    )
    if takes_words and word:
        return {**switched, quirks.option_names.get("reasoning_effort", "reasoning_effort"): word}
    if takes_words or not switched:
        why = f"{notes.provider} has no reasoning effort {effort!r}" if takes_words else ""
        notes.option("reasoning_effort", why)
    return switched


def _object(config: ReasoningConfig, notes: Notes) -> Mapping[str, Any]:
    """OpenRouter's form, which takes an effort or a budget.

    Source: https://openrouter.ai/docs/use-cases/reasoning-tokens
    """
    found: dict[str, Any] = {}
    if config.budget_tokens is not None:
        found["max_tokens"] = config.budget_tokens
    if config.effort is not None and not found:
        found["effort"] = str(config.effort)
    elif config.effort is not None:
        why = f"{notes.provider} takes a reasoning effort or a budget, not both"
        notes.option("reasoning_effort", why)
    if not config.include:
        found["exclude"] = True
    return {"reasoning": found} if found else {}


def _with_number(template: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A template with the number where it has None."""
    return {
        key: _with_number(value, number)
        if isinstance(value, Mapping)
        else (number if value is None else value)
        for key, value in template.items()
    }
