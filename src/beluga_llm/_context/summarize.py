"""A summary by a model in place of the older messages.

Theory of operation. A conversation is usually fitted again at every turn, as the application has
it: whole, and a little longer. So the summaries that were made are remembered, each under a digest
of all that it stands for, and the longest of them takes the place of these messages first. Only
where that does not fit is a model asked, for a summary of that summary and of what came since.

What it is asked to read is held to its own context window, where that is known: in several requests
if need be, each with the summary of the ones before.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from beluga_llm._context.groups import SUMMARY, Group, new_group
from beluga_llm._context.strategies import check_count, newest, start_of
from beluga_llm._errors import ContextLengthError, EmptyResponseError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._tokens import AT_ONCE, Tokenizer
from beluga_llm._windows import context_window

if TYPE_CHECKING:
    from beluga_llm._model import ChatModel

logger = logging.getLogger("beluga_llm.context")

ASK = (
    "Summarize the conversation below for the model that goes on with it. Keep facts, names, "
    "numbers, decisions and open questions; leave out greetings. Answer with the summary alone, "
    "in at most {words} words."
)
MOST_WORDS = 1000
REMEMBERED = 64
"""How many summaries are remembered, the latest ones."""


@frozen
class Told:
    """A group that may go, as a transcript has it.

    Attributes:
        group: the group.
        text: what is told of it.
        digest: of the transcript up to here.
    """

    group: Group
    text: str
    digest: bytes


class Summarize:
    """Puts one system message with a summary in place of the older groups.

    An earlier summary goes into the next one, and a summary is used again as long as it fits: a
    conversation that grows is not summarized anew at every turn. Where the model fails, or its
    summary does not fit, the oldest groups are dropped instead, and a warning is logged.

    Args:
        model: what writes the summaries, or a name that `create` takes. Where its context window
            is known, what it is to read is held to it, in several requests if need be.
        keep_last: how many groups at the end stay as they are, where they fit.

    Raises:
        ConfigError: keep_last is less than 1.
    """

    def __init__(self, model: ChatModel | str, keep_last: int = 4) -> None:
        from beluga_llm._delegating import as_model

        check_count("keep_last", keep_last)
        self.model = as_model(model)
        self.keep_last = keep_last
        self._remembered: dict[bytes, str] = {}

    async def fit(self, groups: Sequence[Group], budget: int, tokenizer: Tokenizer) -> list[Group]:
        """The groups that stay, with a summary of those that do not."""
        if _tokens(groups) <= budget:
            return list(groups)
        old = await _transcript(groups[: self._start(groups, budget)])
        known = self._known(old)
        if known:
            summary = _summary_group(self._remembered[old[known - 1].digest], tokenizer)
            groups = _with_summary(_without(groups, old[:known]), summary)
            if _tokens(groups) <= budget:
                return groups
            old = [evolve(old[known - 1], group=summary, text=_told(summary[0])), *old[known:]]
        stay = _without(groups, old)
        room = budget - _tokens(stay)
        try:
            summary = await self._summary(old, room, tokenizer)
        except Exception as error:  # noqa: BLE001  # whatever the model does
            logger.warning("no summary, older messages are dropped: %s", error)
            return _dropped(groups, budget)
        return _with_summary(stay, summary)

    def _start(self, groups: Sequence[Group], budget: int) -> int:
        """Before which place groups go: the last ones stay, as many as are to and fit."""
        free = [evolve(group, tokens=0) if group.replaceable else group for group in groups]
        spoken = [place for place, group in enumerate(groups) if not group.is_system]
        return max(start_of(free, budget), *spoken[-self.keep_last :][:1], 0)

    def _known(self, told: Sequence[Told]) -> int:
        """How many groups at the beginning a summary is remembered of."""
        known = len(told)
        while known and told[known - 1].digest not in self._remembered:
            known -= 1
        if known:
            self._remember(digest := told[known - 1].digest, self._remembered[digest])
        return known

    def _remember(self, digest: bytes, text: str) -> None:
        self._remembered.pop(digest, None)
        self._remembered[digest] = text
        for oldest in list(self._remembered)[:-REMEMBERED]:
            self._remembered.pop(oldest, None)

    async def _summary(self, old: Sequence[Told], room: int, tokenizer: Tokenizer) -> Group:
        """A summary of groups that takes no more than these tokens.

        Raises:
            BelugaError: there is none.
        """
        if not old or room <= tokenizer.count(SUMMARY):
            raise ContextLengthError("there is no room for one")
        window = context_window(self.model)
        words = max(min(room // 2, MOST_WORDS, (window or 16 * MOST_WORDS) // 16), 1)
        ask = ASK.format(words=words)
        limit = None
        if window is not None:
            # A quarter for what an estimate is wrong by; two tokens for a word, of the answer and
            # of the summary that went before.
            limit = window * 3 // 4 - tokenizer.count(ask) - 4 * words
        text = ""
        for part in _parts([one.text for one in old], limit, tokenizer):
            if text:
                part = [_held(f"system: {SUMMARY}{text}", 2 * words, tokenizer), *part]
            text = await self._asked(ask, part)
        summary = _summary_group(text, tokenizer)
        if summary.tokens > room:
            raise ContextLengthError(
                f"a summary of {summary.tokens} tokens does not fit into {room}"
            )
        self._remember(old[-1].digest, text)
        return summary

    async def _asked(self, ask: str, texts: Sequence[str]) -> str:
        answer = await self.model.generate([SystemMessage(ask), "\n\n".join(texts)])
        text = answer.text.strip().removeprefix(SUMMARY)
        if not text:
            raise EmptyResponseError("the summary is empty")
        return text

    def __repr__(self) -> str:
        return f"Summarize({self.model!r}, keep_last={self.keep_last})"


async def _transcript(groups: Sequence[Group]) -> list[Told]:
    """What may go of some groups, with a digest of all up to there."""
    found: list[Told] = []
    digest = b""
    for place, group in enumerate(groups):
        if not place % AT_ONCE:
            await asyncio.sleep(0)
        if group.replaceable or not group.kept:
            text = "\n\n".join(map(_told, group))
            data = digest + text.encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(data, digest_size=16).digest()
            found.append(Told(group, text, digest))
    return found


def _parts(
    texts: Sequence[str], limit: int | None, tokenizer: Tokenizer
) -> Iterator[Sequence[str]]:
    """Texts in parts of so many tokens; of one that is longer its two ends.

    Raises:
        ContextLengthError: no text has so few tokens.
    """
    if limit is None:
        yield texts
        return
    if limit < 1:
        raise ContextLengthError("the context window of the model that summarizes is too small")
    part: list[str] = []
    left = limit
    for text in texts:
        text = _held(text, limit, tokenizer)
        size = min(tokenizer.count(text) + 1, limit)
        if part and size > left:
            yield part
            part, left = [], limit
        part.append(text)
        left -= size
    yield part


def _held(text: str, limit: int, tokenizer: Tokenizer) -> str:
    """A text, or where it has more tokens than these its two ends."""
    size = tokenizer.count(text)
    if size <= limit:
        return text
    end = len(text) * limit // size // 2
    return f"{text[:end]} [...] {text[len(text) - end :]}"


def _tokens(groups: Sequence[Group]) -> int:
    return sum(group.tokens for group in groups)


def _without(groups: Sequence[Group], told: Sequence[Told]) -> list[Group]:
    gone = {id(one.group) for one in told}
    return [group for group in groups if id(group) not in gone]


def _summary_group(text: str, tokenizer: Tokenizer) -> Group:
    made = new_group(SystemMessage(SUMMARY + text), tokenizer)
    return evolve(made, kept=True, replaceable=True)


def _with_summary(groups: Sequence[Group], summary: Group) -> list[Group]:
    """The summary after the system messages at the beginning."""
    system = len(list(itertools.takewhile(lambda group: group.is_system, groups)))
    return [*groups[:system], summary, *groups[system:]]


def _dropped(groups: Sequence[Group], budget: int) -> list[Group]:
    """Without the oldest groups; an earlier summary stays where it fits."""
    found = newest(groups, start_of(groups, budget))
    if _tokens(found) <= budget:
        return found
    rest = [group for group in groups if not group.replaceable]
    return newest(rest, start_of(rest, budget))


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
