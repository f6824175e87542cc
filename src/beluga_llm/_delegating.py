"""Models around models: the base of wrappers, and the doors that take a model or its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from beluga_llm._around import foreign
from beluga_llm._call import Chunks, Middleware
from beluga_llm._capabilities import Capabilities
from beluga_llm._messages import replace
from beluga_llm._model import ChatModel
from beluga_llm._request import ChatRequest
from beluga_llm._validate import MessageInput, ToolInput, join_tools

if TYPE_CHECKING:
    from beluga_llm._health import Health
    from beluga_llm._tokens import TokenCount


class DelegatingChatModel(ChatModel):
    """The base of a model that wraps another one; it forwards all that it does not define.

    Args:
        inner: the wrapped model, or a str that `create` takes.
    """

    _hands_on = True

    def __init__(self, inner: ChatModel | str) -> None:
        self.inner = as_model(inner)
        self._config = self.inner._config
        self._where = self.inner._where
        self._variant = type(self).__qualname__

    def _stream(self, request: ChatRequest) -> Chunks:
        return self.inner.handle(request)

    def _open(self, request: ChatRequest) -> Chunks:
        chunks = self._stream(request)
        own = type(self)._stream is not DelegatingChatModel._stream
        return foreign(chunks) if own else chunks

    def bind_tools(self, tools: Iterable[ToolInput], *, replace: bool = True) -> Self:
        """A copy whose inner model has these tools; see `ChatModel.bind_tools`."""
        return self._copy(inner=self.inner.bind_tools(tools, replace=replace))

    @property
    def provider(self) -> str:  # type: ignore[override]  # a wrapper has the identity of its inner model
        """The inner model's provider."""
        return self.inner.provider

    @property
    def model_id(self) -> str:  # type: ignore[override]  # likewise
        """The inner model's id."""
        return self.inner.model_id

    @property
    def capabilities(self) -> Capabilities:
        """The inner model's capabilities."""
        return self.inner.capabilities

    async def count_tokens(
        self, messages: MessageInput, tools: Iterable[ToolInput] = ()
    ) -> TokenCount:
        """The inner model's count."""
        return await self.inner.count_tokens(messages, join_tools(self._tools, tools, win=True))

    async def _health(self, *, probe: bool) -> Health:
        health = await self.inner.check_health(probe=probe)
        return replace(health, tools_count=health.tools_count + len(self._tools))

    def _inside(self) -> tuple[ChatModel, ...]:
        return (self.inner,)

    def unwrap(self) -> ChatModel:
        """The innermost model."""
        return self.inner.unwrap()

    async def _aclose(self) -> None:
        await self.inner.aclose()

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not set yet: a copy, or a subclass before its __init__
            raise AttributeError(name)
        return getattr(self.inner, name)


def apply_middleware(model: ChatModel | str, *middleware: Middleware) -> ChatModel:
    """The model with layers around it, the first outermost; with none the model itself.

    Raises:
        TypeError: one of them is not an async-generator function.
    """
    return as_model(model).with_middleware(*middleware)


def as_model(model: ChatModel | str) -> ChatModel:
    """A model, created if it is given by name."""
    if isinstance(model, ChatModel):
        return model
    if isinstance(model, str):
        from beluga_llm._registry import create

        return create(model)
    raise TypeError(f"expected a ChatModel or its name, got {type(model).__name__}")
