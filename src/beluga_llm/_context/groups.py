"""Groups: what of a conversation is kept or dropped together.

An AI message with tool calls and the results of these calls are one group, wherever the results
stand; every other message is a group of its own. So groups need not be contiguous, and remember
where their messages stood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from attrs import frozen

from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._tokens import Tokenizer

SUMMARY = "Previous conversation summary: "
"""What the message that stands for older ones begins with."""


@frozen(eq=False)
class Group:
    """Messages that are kept or dropped together; iterating gives them.

    Attributes:
        messages: in their order.
        tokens: of all of them.
        kept: whether it stays whatever happens: system messages where these are kept, pinned
            messages, and the last group.
        places: where the messages stood; () for what a strategy made.
    """

    messages: tuple[Message, ...]
    tokens: int
    kept: bool = False
    places: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    @property
    def is_system(self) -> bool:
        """Whether it is a system message."""
        return isinstance(self.messages[0], SystemMessage)

    @property
    def is_human(self) -> bool:
        """Whether it is a human message."""
        return isinstance(self.messages[0], HumanMessage)

    @property
    def is_summary(self) -> bool:
        """Whether it is an earlier summary, which a strategy may put another one in place of."""
        return self.is_system and self.messages[0].text.startswith(SUMMARY)


Chosen: TypeAlias = Iterable[Group | Message | Iterable[Message]]
"""What a strategy gives: groups that it got, and messages of its own."""


def group_messages(
    messages: Sequence[Message], tokenizer: Tokenizer, *, keep_system: bool
) -> list[Group]:
    """The groups of a conversation, in the order of their first messages."""
    together = _together(messages)
    spoken = [
        places
        for places in together
        if not (keep_system and isinstance(messages[places[0]], SystemMessage))
    ]
    last = max(spoken, key=lambda places: places[-1], default=None)
    base = tokenizer.count_messages(())
    found = []
    for places in together:
        members = tuple(messages[place] for place in places)
        system = keep_system and isinstance(members[0], SystemMessage)
        pinned = any(message.metadata.get("pin") for message in members)
        tokens = tokenizer.count_messages(members) - base
        kept = system or pinned or places is last
        found.append(Group(members, tokens, kept, tuple(places)))
    return found


def _together(messages: Sequence[Message]) -> list[list[int]]:
    """The places of what belongs together."""
    found: list[list[int]] = []
    asked: dict[str, list[int]] = {}
    for place, message in enumerate(messages):
        if isinstance(message, ToolMessage) and message.tool_call_id in asked:
            asked[message.tool_call_id].append(place)
            continue
        found.append([place])
        if isinstance(message, AIMessage):
            asked.update((call.id, found[-1]) for call in message.tool_calls)
    return found


def as_groups(chosen: Chosen, tokenizer: Tokenizer) -> list[Group]:
    """What a strategy gave, as groups."""
    found = []
    for item in chosen:
        if isinstance(item, Group):
            found.append(item)
            continue
        members = (item,) if isinstance(item, Message) else tuple(item)
        if members:
            tokens = tokenizer.count_messages(members) - tokenizer.count_messages(())
            found.append(Group(members, tokens))
    return found


def restored(groups: Sequence[Group], chosen: Sequence[Group]) -> list[Group]:
    """What was chosen, with the groups that must not be dropped."""
    have = set(map(id, chosen))
    missing = [one for one in groups if one.kept and not one.is_summary and id(one) not in have]
    if not missing:
        return list(chosen)
    found: list[Group] = []
    for item in chosen:
        while missing and item.places and missing[0].places < item.places:
            found.append(missing.pop(0))
        found.append(item)
    return found + missing


def in_order(groups: Iterable[Group]) -> list[Message]:
    """The messages where they stood; new ones stand after the group before them."""
    place = -1
    entries: list[tuple[int, Message]] = []
    for group in groups:
        if group.places:
            entries += zip(group.places, group.messages, strict=True)
            place = group.places[-1]
        else:
            entries += [(place, message) for message in group.messages]
    entries.sort(key=lambda entry: entry[0])
    return [message for _, message in entries]
