"""The ways to ask for a value: the provider's own, a forced tool, or words.

A strategy says what goes to the model for a target, and which text of the answer holds the value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from beluga_llm import _json
from beluga_llm._capabilities import Capabilities
from beluga_llm._messages import AIMessage, Message, SystemMessage
from beluga_llm._model import ChatModel
from beluga_llm._option_types import ResponseFormat
from beluga_llm._options import UNSET
from beluga_llm._structured.answers import spoken
from beluga_llm._structured.target import Form, Target
from beluga_llm._tool_types import ToolCall, ToolDefinition

StrategyName: TypeAlias = Literal["auto", "native", "tool", "prompt"]

_PROMPT = "You must answer with JSON only: an object, as this JSON Schema describes it."


class Strategy(ABC):
    """One way to ask.

    Attributes:
        name: what `structured` knows it by.
    """

    name: StrategyName

    def form(self, target: Target[Any]) -> Form:
        """How the target is said."""
        return target.loose

    def model(self, model: ChatModel, target: Target[Any]) -> ChatModel:
        """The model that is asked."""
        return model

    def messages(self, messages: tuple[Message, ...], target: Target[Any]) -> tuple[Message, ...]:
        """The conversation that is sent."""
        return messages

    @abstractmethod
    def options(self, target: Target[Any], capabilities: Capabilities) -> dict[str, Any]:
        """The options that ask for the value."""

    def answer(self, message: AIMessage, target: Target[Any]) -> str:
        """The text that holds the value."""
        return message.text

    def unfinished(self, message: AIMessage, target: Target[Any]) -> str:
        """The text that holds the value, as far as it has arrived."""
        return spoken(message.text)


class Native(Strategy):
    """The provider holds the model to the schema."""

    name = "native"

    def form(self, target: Target[Any]) -> Form:
        return target.strictest

    def options(self, target: Target[Any], capabilities: Capabilities) -> dict[str, Any]:
        form = self.form(target)
        wanted = ResponseFormat.json_schema(
            form.schema, target.name, form.strict, target.description or None
        )
        return {"response_format": wanted, **_no_calls(capabilities)}


class ForcedTool(Strategy):
    """The model has to call one tool, whose arguments are the value."""

    name = "tool"

    def form(self, target: Target[Any]) -> Form:
        return target.strictest if target.strict else target.loose

    def model(self, model: ChatModel, target: Target[Any]) -> ChatModel:
        description = target.description or f"Gives the answer: {target.shown}."
        tool = ToolDefinition(target.name, description, self.form(target).schema, target.strict)
        return model.bind_tools([tool], replace=True)

    def options(self, target: Target[Any], capabilities: Capabilities) -> dict[str, Any]:
        return {"tool_choice": target.name, "response_format": UNSET}

    def answer(self, message: AIMessage, target: Target[Any]) -> str:
        """The arguments of the tool's first call; without a call, what the model says instead."""
        calls = _named(message, target) or message.tool_calls  # some models get the name wrong
        return calls[0].arguments if calls else message.text

    def unfinished(self, message: AIMessage, target: Target[Any]) -> str:
        """The arguments alone: text, and calls of other names, may come before the call."""
        calls = _named(message, target)
        return calls[0].arguments if calls else ""


class Prompt(Strategy):
    """The model is told the schema."""

    name = "prompt"

    def messages(self, messages: tuple[Message, ...], target: Target[Any]) -> tuple[Message, ...]:
        schema = _json.dumps_text(self.form(target).schema)
        told = SystemMessage(f"{_PROMPT}\n{schema}")
        first = next(
            (at for at, one in enumerate(messages) if not isinstance(one, SystemMessage)),
            len(messages),
        )
        return (*messages[:first], told, *messages[first:])

    def options(self, target: Target[Any], capabilities: Capabilities) -> dict[str, Any]:
        wanted = ResponseFormat.json() if capabilities.json_object else UNSET
        return {"response_format": wanted, **_no_calls(capabilities)}


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy for strategy in (Native(), ForcedTool(), Prompt())
}
STRATEGY_NAMES: Sequence[str] = ("auto", *STRATEGIES)


def chosen(name: str, capabilities: Capabilities, *, thinks: bool) -> Strategy:
    """The strategy of a name; for "auto" the best that a model is known to be capable of.

    Most models cannot be forced to call a tool while they think.

    Args:
        name: a strategy, or "auto".
        capabilities: the model's.
        thinks: whether it is asked to.
    """
    if name != "auto":
        return STRATEGIES[name]
    if capabilities.json_schema:
        return STRATEGIES["native"]
    can_be_forced = capabilities.tools and "named" in (capabilities.tool_choice or ())
    return STRATEGIES["tool" if can_be_forced and not thinks else "prompt"]


def _named(message: AIMessage, target: Target[Any]) -> list[ToolCall]:
    return [call for call in message.tool_calls if call.name == target.name]


def _no_calls(capabilities: Capabilities) -> dict[str, Any]:
    """Bound tools stay in the request, but a call of one would be no answer."""
    choices = capabilities.tool_choice
    return {"tool_choice": "none" if choices is None or "none" in choices else UNSET}
