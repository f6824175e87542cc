"""Conversations fitted into the context window of the model that is asked.

    model = model.with_middleware(with_context(ContextManager("sliding", reserve_output=1000)))

What the application has stays as it is: only what is sent is fitted.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._context.manager import ContextManager
from beluga_llm._context.strategies import ContextStrategy
from beluga_llm._errors import ConfigError
from beluga_llm._request import ChatRequest
from beluga_llm._request_context import request_context
from beluga_llm._windows import Windows
from beluga_llm.middleware._windows import KnownWindows


class Context(Layer):
    """The layer of `with_context`.

    Attributes:
        manager: what fits the conversations.
    """

    def __init__(
        self, manager: ContextManager, budget: int | Literal["auto"], windows: Windows | None
    ) -> None:
        self.manager = manager
        self._budget = budget
        self._known = KnownWindows(windows)

    def check_model(self, model: Any) -> None:
        """Takes note of what is known of the model."""
        self._known.note(model)

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the answer to what fits."""
        budget: int | str | None = self._budget
        if budget == "auto":
            budget = self._known.least(request)
        if not isinstance(budget, int):
            name = f"{request.model.provider}/{request.model.model_id}"
            raise ConfigError(
                f"the context window of {name} is not known: set with_context(budget=...)"
            )
        info = request.info
        with request_context(  # a summary is asked for in the name of whoever asks
            session_id=info.session_id, request_id=info.request_id, tenant=info.tenant
        ):
            messages = tuple(await self.manager.fit(request.messages, budget, tools=request.tools))
        if messages != request.messages:
            request = msgspec.structs.replace(request, messages=messages)
        async for chunk in call_next(request):
            yield chunk

    def __repr__(self) -> str:
        return f"with_context({self.manager!r}, budget={self._budget!r})"


def with_context(
    manager: ContextManager | str | ContextStrategy | None = None,
    budget: int | Literal["auto"] = "auto",
    *,
    windows: Windows | None = None,
    **settings: Any,
) -> Context:
    """A layer that leaves out of a conversation what does not fit.

        model = model.with_middleware(with_context("sliding", reserve_output=1000))

    Args:
        manager: what fits it; or a strategy, or its name.
        budget: tokens for the request and the reserved output; "auto": the context window of the
            model that is asked, of several models the smallest that is known.
        windows: context windows of your own, in tokens, by the beginnings of names.
        **settings: of the ContextManager (strategy, tokenizer, keep_system, reserve_output), where
            none is given.

    Raises:
        ConfigError: a setting is wrong.
    """
    if manager is not None and "strategy" in settings:
        raise ConfigError("the strategy is given twice")
    if isinstance(manager, ContextManager):
        if settings:
            raise ConfigError("settings are those of the ContextManager: give one or the other")
    else:
        try:
            if manager is not None:
                settings["strategy"] = manager
            manager = ContextManager(**settings)
        except TypeError as error:
            raise ConfigError(f"with_context: {error}") from None
    if budget != "auto" and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise ConfigError(f"budget must be a positive integer or 'auto', got {budget!r}")
    return Context(manager, budget, windows)
