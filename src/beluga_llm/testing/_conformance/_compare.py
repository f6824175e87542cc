"""Comparing answers: what is the same, what is a beginning, and what was taken for whole."""

from __future__ import annotations

from collections.abc import Iterable

from beluga_llm._errors import BelugaError, ToolArgumentsError
from beluga_llm._messages import AIMessage, replace
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason


def judged(got: AIMessage | BelugaError, whole: AIMessage, *, optional: bool) -> str | None:
    """What is wrong with what a cut answer was taken for.

    Args:
        got: what it was taken for.
        whole: the answer that was cut.
        optional: the provider gives no evidence that an answer is whole.
    """
    if isinstance(got, BelugaError):
        if got.partial is None or is_prefix(got.partial, whole):
            return None
        return f"the partial answer is no beginning of the whole one: {got.partial!r}"
    if is_same(got, whole):
        return None
    if optional and got.finish_reason is FinishReason.OTHER and is_prefix(got, whole):
        return None
    return f"it was taken for a whole answer: {got!r}"


def is_same(got: AIMessage, whole: AIMessage) -> bool:
    """Equal, but for what may come after the evidence: usage, extras, and ids of ours."""
    late = {"usage": whole.usage, "provider_metadata": whole.provider_metadata}
    ids = [call.id for call in whole.tool_calls]
    return len(got.tool_calls) == len(ids) and with_ids(replace(got, **late), ids) == whole


def with_ids(message: AIMessage, ids: Iterable[str]) -> AIMessage:
    """A message whose tool calls have other ids."""
    pairs = zip(message.tool_calls, ids, strict=True)
    return replace(message, tool_calls=[replace(call, id=new) for call, new in pairs])


def spelled_alike(call: ToolCall) -> ToolCall:
    """A call whose arguments are written as ours are, where they are an object.

    APIs that give an object leave it to the decoder how its text is written.
    """
    try:
        return replace(call, arguments=call.args)
    except ToolArgumentsError:
        return call


def is_prefix(part: AIMessage, whole: AIMessage) -> bool:
    """Whether an answer is the beginning of another."""
    calls = list(zip(part.tool_calls, whole.tool_calls, strict=False))
    return (
        whole.text.startswith(part.text)
        and whole.thinking.startswith(part.thinking)
        and len(part.tool_calls) <= len(whole.tool_calls)
        and all(
            full.name.startswith(some.name)
            and (some.arguments == "{}" or full.arguments.startswith(some.arguments))
            for some, full in calls
        )
    )
