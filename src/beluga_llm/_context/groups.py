"""Groups: what of a conversation is kept or dropped together.

An AI message with tool calls and the results of these calls are one group, wherever the results
stand; every other message is a group of its own. So groups need not be contiguous, and remember
where their messages stood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from beluga_llm._errors import ConfigError
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
        replaceable: whether it is an earlier summary, which a strategy may put another one in
            place of even where system messages are kept.
        places: where the messages stood; () for what a strategy made.
    """

    messages: tuple[Message, ...]
    tokens: int
    kept: bool = False
    replaceable: bool = False
    places: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, place: int) -> Message:
        return self.messages[place]

    @property
    def is_system(self) -> bool:
        """Whether it is a system message."""
        return isinstance(self.messages[0], SystemMessage)

    @property
    def is_human(self) -> bool:
        """Whether it is a human message."""
        return isinstance(self.messages[0], HumanMessage)


Chosen: TypeAlias = Iterable[Group | Message | Iterable[Message]]
"""What a strategy gives: groups that it got or messages of them, and messages of its own."""


def group_messages(
    messages: Sequence[Message], tokenizer: Tokenizer, *, keep_system: bool
) -> Iterator[Group]:
    """The groups of a conversation, in the order of their first messages, each counted by then."""
    together = places_together(messages)

    def is_kept_system(places: Sequence[int]) -> bool:
        return keep_system and isinstance(messages[places[0]], SystemMessage)

    spoken = [places for places in together if not is_kept_system(places)]
    last = max(spoken, key=lambda places: places[-1], default=None)
    base = tokenizer.count_messages(())
    for places in together:
        members = tuple(messages[place] for place in places)
        must_stay = places is last or any(message.metadata.get("pin") for message in members)
        yield Group(
            members,
            tokenizer.count_messages(members) - base,
            kept=must_stay or is_kept_system(places),
            replaceable=not must_stay and _is_summary(members[0]),
            places=tuple(places),
        )


def _is_summary(message: Message) -> bool:
    return isinstance(message, SystemMessage) and message.text.startswith(SUMMARY)


def places_together(messages: Sequence[Message]) -> list[list[int]]:
    """Places of messages that belong together: a call with its results, else each alone."""
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


def chosen_groups(groups: Sequence[Group], chosen: Chosen, tokenizer: Tokenizer) -> list[Group]:
    """What a strategy chose: those of the groups, each whole and once, and groups of its own.

    Raises:
        ConfigError: it gave something else than groups and messages.
    """
    owners: dict[int, list[Group]] = {}
    for group in groups:
        for message in group:
            owners.setdefault(id(message), []).append(group)
    taken: set[tuple[int, ...]] = set()
    found: list[Group] = []
    for item in reversed(_listed(chosen)):  # of a message that stands twice the newer one is meant
        for group in _groups_of(item, owners, tokenizer):
            if group.places not in taken:
                found.append(group)
            if group.places:
                taken.add(group.places)
    return found[::-1]


def _groups_of(item: Any, owners: dict[int, list[Group]], tokenizer: Tokenizer) -> Iterator[Group]:
    """The groups of one thing that a strategy gave, last first."""
    if isinstance(item, Group):
        yield item
        return
    for message in reversed([item] if isinstance(item, Message) else _listed(item)):
        if not isinstance(message, Message):
            raise _no_groups(message)
        if id(message) not in owners:
            yield new_group(message, tokenizer)
        elif owners[id(message)]:
            yield owners[id(message)].pop()


def new_group(message: Message, tokenizer: Tokenizer) -> Group:
    """A message of a strategy's own."""
    return Group((message,), tokenizer.count_messages((message,)) - tokenizer.count_messages(()))


def _listed(chosen: Any) -> list[Any]:
    try:
        return list(chosen)
    except TypeError:
        raise _no_groups(chosen) from None


def _no_groups(value: Any) -> ConfigError:
    return ConfigError(f"a context strategy gives groups and messages, not {type(value).__name__}")


def restored(groups: Sequence[Group], chosen: Sequence[Group]) -> list[Group]:
    """What was chosen, with the groups that must not be dropped."""
    have = {group.places for group in chosen}
    missing = [one for one in groups if one.kept and not one.replaceable and one.places not in have]
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
