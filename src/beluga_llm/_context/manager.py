"""A conversation fitted into a number of tokens.

    manager = ContextManager(SlidingWindow(max_messages=50), reserve_output=1000)
    messages = await manager.fit(messages, 8000, tools=tools)

Every message is counted once. What must stay (system messages, pins, the last group) is known
before a strategy decides about the rest, so that one of your own cannot lose it. Other tasks run
while much is counted.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from beluga_llm._context.groups import Group, chosen_groups, group_messages, in_order, restored
from beluga_llm._context.strategies import ContextStrategy, SlidingWindow, Truncate
from beluga_llm._errors import ConfigError, ContextLengthError, InvalidRequestError
from beluga_llm._messages import Message
from beluga_llm._tokens import AT_ONCE, SimpleTokenizer, Tokenizer
from beluga_llm._validate import MessageInput, ToolInput, ensure_messages, to_definition
from beluga_llm._windows import Windows, context_window

if TYPE_CHECKING:
    from beluga_llm._model import ChatModel

NAMES = ("sliding", "summarize", "truncate")


class ContextManager:
    """Fits conversations into a number of tokens.

    Args:
        strategy: what goes first: "truncate", "sliding", or a strategy; "summarize" needs a model,
            so it is given as `Summarize(model)`.
        tokenizer: counts tokens; None: SimpleTokenizer, an estimate.
        keep_system: whether system messages always stay.
        reserve_output: tokens to be left free for the answer.

    Raises:
        ConfigError: a setting is wrong.
    """

    def __init__(
        self,
        strategy: str | ContextStrategy = "truncate",
        tokenizer: Tokenizer | None = None,
        *,
        keep_system: bool = True,
        reserve_output: int = 0,
    ) -> None:
        if isinstance(reserve_output, bool) or not isinstance(reserve_output, int):
            raise ConfigError(f"reserve_output must be an integer, got {reserve_output!r}")
        if reserve_output < 0:
            raise ConfigError(f"reserve_output must be >= 0, got {reserve_output}")
        self.strategy = _strategy(strategy)
        self.tokenizer: Tokenizer = tokenizer or SimpleTokenizer()
        self.keep_system = keep_system
        self.reserve_output = reserve_output

    async def fit(
        self,
        messages: MessageInput | Iterable[str | Message],
        budget: int | Literal["auto"],
        *,
        tools: Iterable[ToolInput] = (),
        model: ChatModel | str | None = None,
        windows: Windows | None = None,
    ) -> list[Message]:
        """The messages that fit, in their order; a new list.

        Args:
            messages: the conversation, as for `generate`; it may be empty.
            budget: tokens for all of the request and the reserved output, or "auto": the context
                window of `model`.
            tools: what is sent with it, which counts too.
            model: whose window "auto" means; a model or "provider/model".
            windows: context windows of your own, in tokens, by the beginnings of names.

        Raises:
            InvalidRequestError: the budget is not positive.
            ContextLengthError: what must stay does not fit.
            ConfigError: the budget is "auto", and the window is not known; or a strategy gave
                something else than messages.
        """
        whole = self._budget(budget, model, windows)
        asked = _listed(messages)
        if not asked:
            return []
        groups: list[Group] = []
        for group in group_messages(asked, self.tokenizer, keep_system=self.keep_system):
            groups.append(group)
            if not len(groups) % AT_ONCE:
                await asyncio.sleep(0)
        beside = self.tokenizer.count_messages((), [to_definition(tool) for tool in tools])
        beside += self.reserve_output
        self._check(groups, whole, beside)
        chosen = await self.strategy.fit(groups, whole - beside, self.tokenizer)
        fitted = restored(groups, chosen_groups(groups, chosen, self.tokenizer))
        needed = beside + sum(group.tokens for group in fitted)
        if needed > whole:
            raise ContextLengthError(
                f"{self.strategy!r} left {needed} tokens, more than the budget of {whole}"
            )
        return in_order(fitted)

    def _budget(
        self, budget: int | str, model: ChatModel | str | None, windows: Windows | None
    ) -> int:
        if budget == "auto":
            window = None if model is None else context_window(model, windows=windows)
            if window is None:
                name = model if isinstance(model, str) else getattr(model, "qualified_id", None)
                raise ConfigError(
                    f"the context window of {name or 'no model'} is not known: "
                    "set a budget in tokens"
                )
            return window
        if isinstance(budget, bool) or not isinstance(budget, int | float) or budget == math.inf:
            raise InvalidRequestError(f"budget must be a number or 'auto', not {budget!r}")
        if not budget >= 1:
            raise InvalidRequestError("budget must be positive")
        return int(budget)

    def _check(self, groups: Sequence[Group], whole: int, beside: int) -> None:
        """Raises ContextLengthError where what must stay does not fit."""
        also = f", {beside} for tools and the reserved output included" if beside else ""
        kept = [group for group in groups if group.kept and not group.replaceable]
        pinned = [group for group in kept if self._fixed(group)]
        if pinned and (needed := beside + sum(group.tokens for group in pinned)) > whole:
            raise ContextLengthError(
                f"system and pinned messages need {needed} tokens{also}, the budget is {whole}"
            )
        if (needed := beside + sum(group.tokens for group in kept)) > whole:
            raise ContextLengthError(
                f"the last messages and what is always kept need {needed} tokens{also}, "
                f"the budget is {whole}"
            )

    def _fixed(self, group: Group) -> bool:
        pinned = any(message.metadata.get("pin") for message in group)
        return pinned or (self.keep_system and group.is_system)

    def __repr__(self) -> str:
        return f"ContextManager({self.strategy!r}, reserve_output={self.reserve_output})"


def _listed(messages: Any) -> Sequence[Message]:
    if isinstance(messages, Iterable) and not isinstance(messages, str | bytes | Mapping):
        messages = list(messages)
        if not messages:
            return ()
    return ensure_messages(messages)


def _strategy(strategy: str | ContextStrategy) -> ContextStrategy:
    if strategy == "truncate":
        return Truncate()
    if strategy == "sliding":
        return SlidingWindow()
    if strategy == "summarize":
        raise ConfigError("'summarize' needs a model: strategy=Summarize(model)")
    if isinstance(strategy, str):
        raise ConfigError(f"unknown context strategy {strategy!r} (known: {', '.join(NAMES)})")
    if not isinstance(strategy, ContextStrategy):
        raise ConfigError(f"a context strategy has a fit method, {strategy!r} has none")
    if isinstance(strategy, type):
        raise ConfigError(f"a context strategy is an object, not the class {strategy.__name__}")
    return strategy
