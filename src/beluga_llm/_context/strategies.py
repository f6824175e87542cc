"""What goes when a conversation is too long.

A strategy gets all groups, oldest first, and the number of tokens that they may have together. It
gives those that stay, which always hold the groups that are `kept`. All of them take one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from beluga_llm._context.groups import Chosen, Group
from beluga_llm._errors import ConfigError
from beluga_llm._tokens import Tokenizer


@runtime_checkable
class ContextStrategy(Protocol):
    """What decides which groups of a conversation stay."""

    async def fit(self, groups: Sequence[Group], budget: int, tokenizer: Tokenizer) -> Chosen:
        """The groups that stay, in their order, and messages of its own among them."""
        ...


class Truncate:
    """Drops the oldest groups until the rest fits."""

    async def fit(self, groups: Sequence[Group], budget: int, tokenizer: Tokenizer) -> list[Group]:
        """The groups that stay."""
        return newest(groups, start_of(groups, budget))

    def __repr__(self) -> str:
        return "Truncate()"


class SlidingWindow:
    """Keeps the most recent messages that fit, from a human message on where there is one.

    Args:
        max_messages: how many at most; pinned ones count, system messages that are kept do not.
            The last group stays also where it has more.

    Raises:
        ConfigError: max_messages is less than 1.
    """

    def __init__(self, max_messages: int | None = None) -> None:
        check_count("max_messages", max_messages)
        self.max_messages = max_messages

    async def fit(self, groups: Sequence[Group], budget: int, tokenizer: Tokenizer) -> list[Group]:
        """The groups that stay."""
        start = start_of(groups, budget)
        if self.max_messages is not None:
            start = max(start, start_of(groups, self.max_messages, in_messages=True))
        if any(not group.kept for group in groups[:start]):
            places = range(start, len(groups))
            start = next((place for place in places if groups[place].is_human), start)
        return newest(groups, start)

    def __repr__(self) -> str:
        return f"SlidingWindow({self.max_messages})"


def start_of(groups: Sequence[Group], budget: int, *, in_messages: bool = False) -> int:
    """From where on groups fit together with those before that are kept."""

    def size(group: Group) -> int:
        if in_messages:
            return 0 if group.is_system and group.kept else len(group)
        return group.tokens

    left = budget - sum(size(group) for group in groups if group.kept)
    for place in range(len(groups) - 1, -1, -1):
        if not groups[place].kept:
            left -= size(groups[place])
            if left < 0:
                return place + 1
    return 0


def newest(groups: Sequence[Group], start: int) -> list[Group]:
    """The groups from there on, and those before that are kept."""
    return [*(group for group in groups[:start] if group.kept), *groups[start:]]


def check_count(name: str, value: int | None) -> None:
    """Holds a setting to a positive number.

    Raises:
        ConfigError: it is none.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name} must be at least 1, got {value!r}")
