"""What is asked of a model's thinking: a level or a budget of tokens, never both.

Gemini 3 takes a level (`thinkingLevel`), or still a budget (`thinkingBudget`); Gemini 4 only a
level; Gemini 2.5 only a budget.

Sources: "Gemini thinking" of the Gemini API docs, "Thinking" of the Gemini Enterprise Agent
Platform docs, and the APIs' own words ("You can only set only one of thinking budget and thinking
level", "Thinking level MINIMAL is not supported for this model").
"""

from __future__ import annotations

from typing import Any

from beluga_llm import ReasoningConfig
from beluga_llm.plugin import Notes
from beluga_llm_google._models import ModelFacts

AUTOMATIC = -1
"""The budget that leaves it to the model."""

_BUDGETS = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}


def thinking_config(
    config: ReasoningConfig | None, facts: ModelFacts, notes: Notes
) -> dict[str, Any]:
    """The `thinkingConfig` of a request; empty where nothing is to be said."""
    if config is None:
        return {}
    effort, budget = config.effort, config.budget_tokens
    off = effort == "none" or (effort is None and budget == 0)
    if facts.thinking == "none":
        if not off and (effort is not None or budget is not None):
            name = "reasoning_budget" if effort is None else "reasoning_effort"
            notes.option(name, f"{name} is not supported: this model does not think")
        return {}
    if facts.thinking == "budget":
        amount = _amount(effort, budget, facts, notes)
    else:
        amount = _level(effort, budget, facts, notes)
    if amount == {"thinkingBudget": 0}:
        return amount  # thoughts may only be asked for where it thinks
    return {**amount, "includeThoughts": config.include}


# --- a budget ----------------------------------------------------------------------------------


def _amount(
    effort: str | None, budget: int | None, facts: ModelFacts, notes: Notes
) -> dict[str, Any]:
    if budget is None and effort is not None:
        if effort not in _BUDGETS:
            text = f"reasoning_effort {effort!r} is not supported by this model: it takes a budget"
            notes.option("reasoning_effort", text)
            return {}
        if effort == "none" and not facts.off:
            _still_thinks("reasoning_effort", f"a budget of {facts.least}", notes)
        return {"thinkingBudget": _within(_BUDGETS[effort], facts)}
    if budget is None or budget == AUTOMATIC:
        return {} if budget is None else {"thinkingBudget": AUTOMATIC}
    allowed = _within(budget, facts)
    if budget == 0 and allowed:
        _still_thinks("reasoning_budget", f"a budget of {allowed}", notes)
    elif allowed != budget:
        text = f"reasoning_budget {budget} is out of this model's range: {allowed} is used"
        notes.option("reasoning_budget", text)
    return {"thinkingBudget": allowed}


def _within(budget: int, facts: ModelFacts) -> int:
    """The nearest budget in the model's range."""
    if budget == 0 and facts.off:
        return 0
    return min(max(budget, facts.least), facts.most)


def _still_thinks(name: str, instead: str, notes: Notes) -> None:
    notes.option(name, f"thinking cannot be switched off with this model: {instead} is used")


# --- a level -----------------------------------------------------------------------------------


def _level(
    effort: str | None, budget: int | None, facts: ModelFacts, notes: Notes
) -> dict[str, Any]:
    if effort is not None:
        if budget is not None:
            text = f"reasoning_budget is not sent beside an effort: {effort!r} is used"
            notes.option("reasoning_budget", text)
        if effort == "none":
            _still_thinks("reasoning_effort", f"level {facts.levels[0]!r}", notes)
        return {"thinkingLevel": _nearest_level(effort, facts)}
    if budget is None:
        return {}
    if budget == 0:
        _still_thinks("reasoning_budget", f"level {facts.levels[0]!r}", notes)
        return {"thinkingLevel": facts.levels[0]}
    if facts.thinking == "both":
        return {"thinkingBudget": budget}
    if budget == AUTOMATIC:
        return {}
    level = min(facts.levels, key=lambda level: abs(_BUDGETS[level] - budget))
    text = f"reasoning_budget is not supported by this model, which takes a level: {level!r}"
    notes.option("reasoning_budget", text)
    return {"thinkingLevel": level}


def _nearest_level(effort: str, facts: ModelFacts) -> str:
    """The level asked for, else the next lower one that the model has; other words pass through."""
    if effort not in _BUDGETS:
        return effort
    lower = [level for level in facts.levels if _BUDGETS[level] <= _BUDGETS[effort]]
    return lower[-1] if lower else facts.levels[0]
