"""Conversations that are too long are refused before they are sent.

    model = model.with_middleware(with_token_check())

Numbers are estimates, and a model whose context window is not known is never refused.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._errors import ConfigError
from beluga_llm._request import ChatRequest
from beluga_llm._token_checks import TokenCheck
from beluga_llm._tokens import SimpleTokenizer, Tokenizer, count_request
from beluga_llm._windows import Windows
from beluga_llm.middleware._windows import KnownWindows

logger = logging.getLogger("beluga_llm.tokens")


class TokenChecks(Layer):
    """The layer of `with_token_check`."""

    def __init__(
        self,
        window: int | None,
        output: Literal["warn", "error"],
        *,
        tokenizer: Tokenizer,
        windows: Windows | None,
    ) -> None:
        self._window, self._output, self._tokenizer = window, output, tokenizer
        self._known = KnownWindows(windows)

    def check_model(self, model: Any) -> None:
        """Takes note of what is known of the model."""
        self._known.note(model)

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the answer, if the request fits."""
        await self._check(request)
        async for chunk in call_next(request):
            yield chunk

    async def _check(self, request: ChatRequest) -> None:
        window = self._known.most(request) if self._window is None else self._window
        if window is None:
            return
        estimated = await count_request(self._tokenizer, request.messages, request.tools)
        found = TokenCheck.of(estimated, window, request.options.max_tokens)
        if not found.exceeds_with_output:
            return
        error = found.error(request.model.model_id)
        if found.exceeds_window or self._output == "error":
            raise error
        logger.warning("%s", error.message)

    def __repr__(self) -> str:
        return f"with_token_check(window={self._window}, output={self._output!r})"


def with_token_check(
    window: int | None = None,
    output: Literal["warn", "error"] = "warn",
    *,
    tokenizer: Tokenizer | None = None,
    windows: Windows | None = None,
) -> TokenChecks:
    """A layer that raises TokenLimitError, before anything is sent, for what does not fit.

    Args:
        window: the context window, in tokens; None: that of the model that is asked, where known;
            of several models the largest, where all are known.
        output: what happens where the input fits, but not together with `max_tokens`: "warn" logs
            a warning, "error" raises.
        tokenizer: counts tokens; None: an estimate.
        windows: context windows of your own, in tokens, by the beginnings of names.

    Raises:
        ConfigError: a setting is wrong.
    """
    if window is not None and (
        isinstance(window, bool) or not isinstance(window, int) or window < 1
    ):
        raise ConfigError(f"window must be at least 1, got {window!r}")
    if output not in {"warn", "error"}:
        raise ConfigError(f"output must be 'warn' or 'error', got {output!r}")
    return TokenChecks(window, output, tokenizer=tokenizer or SimpleTokenizer(), windows=windows)
