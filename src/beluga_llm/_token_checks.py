"""Whether a conversation fits a model, before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from beluga_llm._errors import TokenLimitError
from beluga_llm._tokens import SimpleTokenizer, Tokenizer
from beluga_llm._validate import MessageInput, ensure_messages, join_tools
from beluga_llm._windows import Windows, context_window

if TYPE_CHECKING:
    from beluga_llm._model import ChatModel
    from beluga_llm._tool_types import ToolDefinition


class TokenCheck(msgspec.Struct, frozen=True):
    """What a conversation takes of a context window, in tokens.

    Attributes:
        estimated: the input, tools included.
        window: the model's context window; None where it is not known.
        max_output: the longest answer that is asked for; None where that is not said.
        available: what the window leaves for the answer, at least 0; None where it is not known.
        exceeds_window: whether the input alone does not fit; never where the window is not known.
        exceeds_with_output: whether it does not fit together with the longest answer.
    """

    estimated: int
    window: int | None
    max_output: int | None
    available: int | None
    exceeds_window: bool
    exceeds_with_output: bool

    @classmethod
    def of(cls, estimated: int, window: int | None, max_output: int | None) -> TokenCheck:
        """The check of some numbers."""
        if window is None:
            return cls(estimated, None, max_output, None, False, False)
        whole = estimated + (max_output or 0)
        left = max(window - estimated, 0)
        return cls(estimated, window, max_output, left, estimated > window, whole > window)

    def error(self, model: str) -> TokenLimitError:
        """The error that says what does not fit."""
        also = ""
        if not self.exceeds_window:
            also = f" with {self.max_output} for the output"
        return TokenLimitError(
            f"estimated tokens ({self.estimated}){also} exceed context window ({self.window}) "
            f"for model {model}",
            estimated=self.estimated,
            window=self.window or 0,
            available=self.available or 0,
            model=model,
            model_id=model,
        )


def check_tokens(
    messages: MessageInput,
    model: ChatModel | str,
    max_tokens: int | None = None,
    *,
    tokenizer: Tokenizer | None = None,
    windows: Windows | None = None,
) -> TokenCheck:
    """What a conversation takes of a model's context window; nothing is sent.

    Args:
        messages: as for `generate`.
        model: a model, whose own tools and `max_tokens` count, or a name: "openai/gpt-4o".
        max_tokens: the longest answer; None: the model's own option.
        tokenizer: counts tokens; None: an estimate.
        windows: context windows of your own, in tokens, by the beginnings of names.
    """
    counter = tokenizer or SimpleTokenizer()
    tools: tuple[ToolDefinition, ...] = ()
    if not isinstance(model, str):
        tools, longest = _own(model)
        max_tokens = longest if max_tokens is None else max_tokens
    estimated = counter.count_messages(ensure_messages(messages), tools)
    return TokenCheck.of(estimated, context_window(model, windows=windows), max_tokens)


def _own(model: ChatModel) -> tuple[tuple[ToolDefinition, ...], int | None]:
    """The tools and the longest answer of a model, or of the one model that it is around."""
    tools, longest = model._tools, model._options.max_tokens
    inside = model._inside()
    if len(inside) == 1:
        inner, limit = _own(inside[0])
        tools = join_tools(inner, tools, win=True)
        longest = limit if longest is None else longest
    return tools, longest
