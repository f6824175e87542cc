"""What is asked of a model's reasoning: fields of the model's own, as each family has them.

Claude thinks adaptively with an effort (`thinking: {"type": "adaptive"}` and
`output_config.effort`) or with a budget (`{"type": "enabled", "budget_tokens": n}`), Nova 2 takes
`reasoningConfig.maxReasoningEffort`, gpt-oss `reasoning_effort`, OpenAI's other models
`reasoning.effort`, and several open models one word, `reasoning_config`. All of these stand in
`additionalModelRequestFields`.

Sources: "Extended thinking" and "Adaptive thinking" of the Amazon Bedrock user guide, "Extended
thinking" of the Amazon Nova 2 user guide, "OpenAI models" of the Amazon Bedrock user guide.
"""

from __future__ import annotations

from typing import Any

import msgspec

from beluga_llm import InvalidRequestError, ReasoningConfig
from beluga_llm.plugin import Notes
from beluga_llm_bedrock._models import EFFORTS, ModelFacts

SMALLEST_BUDGET = 1024
ROOM_FOR_ANSWER = 4096
_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 32_768,
}
_CLAUDE = ("adaptive", "budget", "both")
_NOTHING = ReasoningConfig()


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says about reasoning.

    Attributes:
        fields: for `additionalModelRequestFields`.
        active: whether the model will reason, as far as is known.
        bare: no other inference parameter may be given with it.
    """

    fields: dict[str, Any] = {}
    active: bool = False
    bare: bool = False

    def check(self, max_tokens: int | None, *, provider: str) -> None:
        """Checks that the limit on output tokens leaves room for an answer.

        Raises:
            InvalidRequestError: it does not.
        """
        budget = self.fields.get("thinking", {}).get("budget_tokens")
        if budget is not None and max_tokens is not None and max_tokens <= budget:
            raise InvalidRequestError(
                f"max_tokens ({max_tokens}) must be greater than the reasoning budget ({budget})",
                provider=provider,
            )


def plan_reasoning(config: ReasoningConfig | None, facts: ModelFacts, notes: Notes) -> Reasoning:
    """What a reasoning option means for a model."""
    config = config or _NOTHING
    effort, budget = config.effort, config.budget_tokens
    if effort == "none" or (budget == 0 and effort is None):
        return _switched_off(facts, notes)
    if effort is None and not budget:
        return _left_alone(config, facts)
    if facts.reasoning in ("none", "always", "unknown"):
        return _refused("reasoning_effort" if effort else "reasoning_budget", facts, notes)
    if facts.reasoning in _CLAUDE:
        return _thinking(config, facts, notes)
    if budget:
        notes.option(
            "reasoning_budget", "reasoning_budget is not supported by this model: give an effort"
        )
    return _with_effort(effort, facts) if effort else Reasoning()


def _switched_off(facts: ModelFacts, notes: Notes) -> Reasoning:
    if facts.reasoning == "reasoning.effort":
        return Reasoning(fields={"reasoning": {"effort": "none"}})
    if facts.reasoning in ("always", "reasoning_effort"):
        text = "reasoning cannot be switched off: this model always reasons"
        notes.option("reasoning_effort", text)
        return Reasoning(active=True)
    if not facts.reasons_by_default:
        return Reasoning()
    fields = {"thinking": {"type": facts.off}} if facts.off else {}
    return Reasoning(fields=fields, active=not fields)


def _left_alone(config: ReasoningConfig, facts: ModelFacts) -> Reasoning:
    if facts.reasons_by_default and not config.include:
        hidden = {"type": "adaptive", "display": "omitted"}
        return Reasoning(fields={"thinking": hidden}, active=True)
    return Reasoning(active=facts.reasons_by_default)


def _refused(name: str, facts: ModelFacts, notes: Notes) -> Reasoning:
    why = {
        "none": "this model does not reason",
        "always": "this model always reasons",
        "unknown": "it is not known how this model is asked; see provider_options",
    }[facts.reasoning]
    notes.option(name, f"{name} is not supported: {why}")
    return Reasoning(active=facts.reasoning == "always")


def _with_effort(effort: str, facts: ModelFacts) -> Reasoning:
    level = _level(effort, facts.efforts)
    if facts.reasoning == "nova":
        fields: dict[str, Any] = {
            "reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}
        }
        return Reasoning(fields=fields, active=True, bare=level == "high")
    if facts.reasoning == "reasoning.effort":
        return Reasoning(fields={"reasoning": {"effort": level}}, active=True)
    return Reasoning(fields={facts.reasoning: level}, active=True)


# --- Claude ---------------------------------------------------------------------------------------


def _thinking(config: ReasoningConfig, facts: ModelFacts, notes: Notes) -> Reasoning:
    effort, budget = config.effort, config.budget_tokens
    if facts.reasoning == "adaptive" and budget:
        effort = effort or _nearest_effort(budget, facts)
        notes.option(
            "reasoning_budget",
            f"reasoning_budget is not supported by this model, which takes an effort: {effort!r}",
        )
        budget = None
    if facts.reasoning == "budget":
        budget, effort = budget or _budget_for(effort, facts, notes), None
        if budget is None:
            return Reasoning()
    field: dict[str, Any] = {"type": "adaptive"}
    if budget:
        field = {"type": "enabled", "budget_tokens": _large_enough(budget, notes)}
    if not config.include:
        field["display"] = "omitted"
    fields: dict[str, Any] = {"thinking": field}
    if effort:
        fields["output_config"] = {"effort": _level(effort, facts.efforts)}
    return Reasoning(fields=fields, active=True)


def _large_enough(budget: int, notes: Notes) -> int:
    if budget >= SMALLEST_BUDGET:
        return budget
    notes.option(
        "reasoning_budget",
        f"reasoning_budget {budget} is below the smallest, {SMALLEST_BUDGET}, which is used",
    )
    return SMALLEST_BUDGET


def _budget_for(effort: str | None, facts: ModelFacts, notes: Notes) -> int | None:
    budget = _BUDGETS.get(effort or "")
    if budget is None:
        notes.option(
            "reasoning_effort",
            f"reasoning_effort {effort!r} is not supported by this model, which takes a budget",
        )
    elif facts.max_output is not None:
        budget = min(budget, facts.max_output - ROOM_FOR_ANSWER)
    return budget


def _level(effort: str, levels: tuple[str, ...]) -> str:
    """The level asked for, else the next lower one that the model has, else its lowest."""
    if not levels or effort in levels or effort not in EFFORTS:
        return effort
    lower = [level for level in levels if EFFORTS.index(level) < EFFORTS.index(effort)]
    return lower[-1] if lower else levels[0]


def _nearest_effort(budget: int, facts: ModelFacts) -> str:
    return min(facts.efforts, key=lambda level: abs(_BUDGETS[level] - budget))
