"""What goes when a conversation is too long.

A strategy gets all groups, oldest first, and the number of tokens that they may have together. It
gives those that stay, which always hold the groups that are `kept`. All of them take one pass.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from beluga_llm._context.groups import SUMMARY, Chosen, Group
from beluga_llm._errors import ConfigError, EmptyResponseError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._tokens import Tokenizer

if TYPE_CHECKING:
    from beluga_llm._model import ChatModel

logger = logging.getLogger("beluga_llm.context")

ASK = (
    "Summarize the conversation below for the model that goes on with it. Keep facts, names, "
    "numbers, decisions and open questions; leave out greetings. Answer with the summary alone, "
    "in at most {words} words."
)


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
        return [*_kept(groups, start := _start(groups, budget)), *groups[start:]]

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
        _check_count("max_messages", max_messages)
        self.max_messages = max_messages

    async def fit(self, groups: Sequence[Group], budget: int, tokenizer: Tokenizer) -> list[Group]:
        """The groups that stay."""
        start = _start(groups, budget)
        if self.max_messages is not None:
            start = max(start, _start(groups, self.max_messages, in_messages=True))
        if any(not group.kept for group in groups[:start]):
            places = range(start, len(groups))
            start = next((place for place in places if groups[place].is_human), start)
        return [*_kept(groups, start), *groups[start:]]

    def __repr__(self) -> str:
        return f"SlidingWindow({self.max_messages})"


class Summarize:
    """Puts one system message with a summary in place of the older groups.

    An earlier summary goes into the next one. Where the model fails, or its summary does not fit,
    the oldest groups are dropped instead, and a warning is logged.

    Args:
        model: what writes the summaries, or a name that `create` takes.
        keep_last: how many groups at the end stay as they are, where they fit.

    Raises:
        ConfigError: keep_last is less than 1.
    """

    def __init__(self, model: ChatModel | str, keep_last: int = 4) -> None:
        from beluga_llm._delegating import as_model

        _check_count("keep_last", keep_last)
        self.model = as_model(model)
        self.keep_last = keep_last

    async def fit(self, groups: Sequence[Group], budget: int, tokenizer: Tokenizer) -> list[Group]:
        """The groups that stay, with a summary of those that do not."""
        cut = _start(groups, budget)
        if not cut:
            return list(groups)
        spoken = [place for place, group in enumerate(groups) if not group.is_system]
        start = max(cut, spoken[-self.keep_last :][0] if spoken else cut)
        fallback = [*_kept(groups, cut), *groups[cut:]]
        old = [one for one in groups[:start] if not one.kept or one.is_summary]
        if all(one.is_summary for one in old):
            return fallback
        gone = set(map(id, old))
        stay = [one for one in groups if id(one) not in gone]
        room = budget - sum(group.tokens for group in stay)
        if room <= tokenizer.count(SUMMARY):
            logger.warning("no room for a summary, older messages are dropped")
            return fallback
        try:
            text = await self._summary(old, room)
        except Exception as error:  # noqa: BLE001  # whatever the model does
            logger.warning("no summary, older messages are dropped: %s", error)
            return fallback
        message = SystemMessage(SUMMARY + text)
        tokens = tokenizer.count_messages((message,)) - tokenizer.count_messages(())
        if tokens > room:
            logger.warning(
                "a summary of %d tokens does not fit into %d, older messages are dropped",
                tokens,
                room,
            )
            return fallback
        system = len(list(itertools.takewhile(lambda group: group.is_system, stay)))
        return [*stay[:system], Group((message,), tokens), *stay[system:]]

    async def _summary(self, groups: Sequence[Group], room: int) -> str:
        said = "\n\n".join(_told(message) for group in groups for message in group)
        words = max(room // 2, 1)
        answer = await self.model.generate([SystemMessage(ASK.format(words=words)), said])
        text = answer.text.strip()
        if not text:
            raise EmptyResponseError("the summary is empty")
        return text.removeprefix(SUMMARY)

    def __repr__(self) -> str:
        return f"Summarize({self.model!r}, keep_last={self.keep_last})"


def _start(groups: Sequence[Group], budget: int, *, in_messages: bool = False) -> int:
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


def _kept(groups: Sequence[Group], stop: int) -> list[Group]:
    return [group for group in groups[:stop] if group.kept]


def _check_count(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name} must be at least 1, got {value!r}")


def _told(message: Message) -> str:
    """A message as a line of a transcript."""
    lines = [message.text] if message.text else []
    who = message.role.value
    if isinstance(message, AIMessage):
        lines += [f"calls {call.name}({call.arguments})" for call in message.tool_calls]
    elif isinstance(message, ToolMessage):
        who = f"tool {message.name or message.tool_call_id}"
    elif isinstance(message, HumanMessage) and message.name:
        who = f"human {message.name}"
    media = [part.type for part in message.parts if part.type not in {"text", "thinking"}]
    return f"{who}: " + " ".join([*lines, *(f"[{kind}]" for kind in media)])
