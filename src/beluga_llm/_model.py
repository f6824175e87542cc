"""The one interface: what applications call and providers implement.

Its methods are short doors. What a call does while it runs is in `_call.py`, what is checked before
it in `_validate.py`.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

import msgspec

from beluga_llm._call import Call, Chunks, Layer, Middleware, compose, drive, foreign, limited
from beluga_llm._capabilities import Capabilities
from beluga_llm._chat_stream import ChatStream
from beluga_llm._closing import close_each
from beluga_llm._config import ProviderConfig
from beluga_llm._messages import AIMessage
from beluga_llm._option_types import Timeouts
from beluga_llm._options import (
    NO_OPTIONS,
    GenerateOptions,
    OptionLayer,
    changed_options,
    check_keywords,
    check_layer,
    merge_options,
)
from beluga_llm._request import (
    Bounds,
    ChatRequest,
    InnerModel,
    ModelInfo,
    RequestInfo,
    earliest,
)
from beluga_llm._tool_types import ToolDefinition
from beluga_llm._validate import (
    MessageInput,
    ToolInput,
    check_options,
    check_pairing,
    check_tool_names,
    ensure_messages,
    join_tools,
)

if TYPE_CHECKING:
    from types import TracebackType

    from beluga_llm._keywords import CallKeywords, OptionKeywords
    from beluga_llm._tokens import TokenCount

_TOOLS = frozenset(("tools",))


class Generates(Protocol):
    """Anything that answers in one piece."""

    async def generate(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> AIMessage:
        """The whole answer."""
        ...


class Streams(Protocol):
    """Anything that answers as a stream."""

    def stream(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> ChatStream:
        """The answer as it arrives."""
        ...


class ChatModel(ABC):
    """A language model to talk to; safe for any number of tasks at once.

        reply = await model.generate("What is 2+2?")
        async with model.stream("Tell me a story") as stream:
            async for chunk in stream:
                print(chunk.delta, end="")

    A provider implements `_stream`; everything public is built on it. `bind_tools`,
    `with_options` and `with_middleware` give copies that share the connections of the original.

    Attributes:
        provider: the provider's entry name, such as "openai".
        model_id: the bare model id, such as "gpt-4o".
    """

    provider: str = ""
    model_id: str = ""
    _config: ProviderConfig = ProviderConfig()
    _options: GenerateOptions = NO_OPTIONS
    _asked: tuple[OptionLayer, ...] = ()
    _tools: tuple[ToolDefinition, ...] = ()
    _layers: tuple[Middleware, ...] = ()
    _where: tuple[str, str, str] = ("", "", "")
    """Server, base URL and credential, as ModelInfo has them."""
    _variant: str = ""
    """Likewise."""
    _hands_on: bool = False
    """Whether it passes requests to another model, which completes and checks them."""
    _watches_time: bool = False
    """Whether its own reads keep to the deadline, and its errors are typed."""

    def __init__(self, config: ProviderConfig | None = None) -> None:
        if config is not None:
            self._config = config
            self.provider = config.provider or self.provider
            self.model_id = config.model or self.model_id
            self._options = merge_options(NO_OPTIONS, config.defaults)
        self._where = ("", "", f"model-{next(_MODELS)}")

    @abstractmethod
    def _stream(self, request: ChatRequest) -> Chunks:
        """The chunks of the answer: an async generator, the one method of a provider.

        Args:
            request: checked; `request.streaming` says which endpoint is meant, a provider that
                has only one may ignore it.
        """

    # --- asking ------------------------------------------------------------------------------

    async def generate(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> AIMessage:
        """The whole answer to a conversation.

        Args:
            messages: a str, a message, or a sequence of both.
            options: a layer of options under the keywords.
            **keywords: options of this call; see GenerateOptions. `tools=` adds to the bound ones.

        Raises:
            InvalidRequestError: the input is wrong; nothing was sent.
            BelugaError: the call failed; the class says how.
        """
        check_keywords(keywords, _TOOLS)
        check_layer(options)
        call = Call("chat.generate", self.provider, self.model_id)
        begin = functools.partial(self._begin, messages, options, keywords)
        async for _ in drive(begin, call):
            pass
        return call.message

    def stream(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> ChatStream:
        """The answer as it arrives; nothing happens before the first iteration.

        Takes the same arguments as `generate`. Errors are raised from the iteration.
        """
        check_keywords(keywords, _TOOLS)
        check_layer(options)
        call = Call("chat.stream", self.provider, self.model_id)
        return ChatStream(functools.partial(self._begin, messages, options, keywords), call)

    async def count_tokens(
        self, messages: MessageInput, tools: Iterable[ToolInput] = ()
    ) -> TokenCount:
        """How many tokens a conversation has: exact where the provider counts, else estimated."""
        from beluga_llm._tokens import SimpleTokenizer, TokenCount

        definitions = join_tools(self._tools, tools, win=True)
        count = SimpleTokenizer().count_messages(ensure_messages(messages), definitions)
        return TokenCount(count, exact=False)

    # --- copies ------------------------------------------------------------------------------

    def bind_tools(self, tools: Iterable[ToolInput], *, replace: bool = False) -> Self:
        """A copy with these tools in every request, beside or instead of those it has.

        Args:
            tools: ToolDefinitions, functions, mappings, or objects with a `definition`.
            replace: drop the tools bound before.

        Raises:
            InvalidRequestError: two tools have one name.
        """
        bound = () if replace else self._tools
        return self._copy(_tools=join_tools(bound, tools, win=False))

    def with_options(self, **keywords: Unpack[OptionKeywords]) -> Self:
        """A copy with these defaults over the earlier ones.

        Raises:
            TypeError: an option is unknown.
            InvalidRequestError: a value is out of range.
        """
        check_keywords(keywords)
        options = merge_options(self._options, keywords)
        check_options(options, None)
        return self._copy(_options=options, _asked=(*self._asked, keywords))

    def with_middleware(self, *middleware: Middleware) -> Self:
        """A copy with these layers around it, the first outermost; earlier ones stay inside.

        Raises:
            TypeError: one of them is not an async-generator function.
            ConfigError: a layer needs what the model cannot do.
        """
        made = self
        for layer in middleware:
            _check_middleware(layer)
        for layer in reversed(middleware):
            if isinstance(layer, Layer):
                layer.check_model(made)
            made = made._copy(_layers=(layer, *made._layers))
        return made

    def _copy(self, **changes: Any) -> Self:
        made = copy.copy(self)
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    # --- what it is --------------------------------------------------------------------------

    @property
    def qualified_id(self) -> str:
        """Provider and model id: "openai/gpt-4o"."""
        return f"{self.provider}/{self.model_id}"

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do, as far as is known."""
        return Capabilities().merged(self._config.capabilities)

    def unwrap(self) -> ChatModel:
        """The innermost model."""
        return self

    def __repr__(self) -> str:
        extras = [f"{len(self._tools)} tools"] if self._tools else []
        extras += [f"{len(self._layers)} layers"] if self._layers else []
        return " ".join([f"<{type(self).__name__} {self.qualified_id}", *extras]) + ">"

    # --- closing -----------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Closes the connections of the running loop, for all copies; idempotent.

        Calls that are under way end normally, and a later call opens new connections.

        Raises:
            ExceptionGroup: several things failed to close; all were tried.
        """
        closers = [close for layer in self._layers if (close := _closer(layer))]
        errors = await close_each((*closers, self._aclose))
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"closing {self.qualified_id} failed", errors)

    async def _aclose(self) -> None:
        """Closes what a provider opened; nothing by default."""
        return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- the way of a request ----------------------------------------------------------------

    def handle(self, request: ChatRequest) -> Chunks:
        """This model's answer to the request of another one: for wrappers and routers.

        Its own options lie under the request's, its tools stand beside them, and its middleware
        is around it. The generator is closed by the running call.

        Raises:
            InvalidRequestError: the request does not suit this model.
        """
        if isinstance(request.call, Call):
            return self._accept(request, request.call)
        op = "chat.stream" if request.streaming else "chat.generate"
        call = Call(op, self.provider, self.model_id)
        return drive(functools.partial(self._accept, request), call)

    def _begin(
        self,
        messages: MessageInput,
        options: GenerateOptions | None,
        keywords: CallKeywords,
        call: Call,
    ) -> Chunks:
        """What the user asked as a request."""
        layer = {name: value for name, value in keywords.items() if name != "tools"}
        more = keywords.get("tools")
        request = ChatRequest(
            ensure_messages(messages),
            tools=join_tools((), more, win=False) if more else (),
            streaming=call.op == "chat.stream",
            asked=tuple(given for given in (options, layer) if given),
        )
        return self._accept(request, call)

    def _accept(self, request: ChatRequest, call: Call) -> Chunks:
        """A request completed with what belongs to this model, checked, and on its way."""
        asked = request.asked
        if request.options is not request.merged:
            asked = (*asked, changed_options(request.merged, request.options))
        options = functools.reduce(merge_options, asked, self._options)
        tools = self._tools
        if request.tools:
            tools = join_tools(tools, request.tools, win=True)
        if self._hands_on:
            asked = (*self._asked, *asked)
            check_options(options, None)
        else:
            options = self._checked(request, options, tools)
            call.provider, call.model_id = self.provider, options.model or self.model_id
        deadline, bounds = self._deadline(options), request.bounds
        if request.call is None:
            call.deadline = deadline
        elif deadline is not None:  # of one model among several: the others have their own time
            bounds = bounds.narrowed(Bounds(deadline))
        completed = ChatRequest(
            request.messages,
            options,
            tools,
            request.streaming,
            RequestInfo(call.call_id, metadata=options.metadata),
            call,
            asked,
            options,
            self._info(options.model or self.model_id),
            bounds,
        )
        chunks = compose(self._open, self._layers, call)(completed)
        if deadline is not None and (self._layers or not self._watches_time):
            until = earliest(call.deadline, bounds.deadline)
            chunks = limited(chunks, lambda: until)
            call.opened.append(chunks)
        return chunks

    def _info(self, model_id: str) -> ModelInfo:
        """Who it is to middleware, when it is asked for this model."""
        return ModelInfo(
            self.provider, model_id, *self._where, self._variant, tuple(map(_inner, self._inside()))
        )

    def _inside(self) -> Sequence[ChatModel]:
        """The models that it hands requests on to."""
        return ()

    def _checked(
        self, request: ChatRequest, options: GenerateOptions, tools: Sequence[ToolDefinition]
    ) -> GenerateOptions:
        """Options with the model's id, and without a choice among no tools; all is checked."""
        if options is not NO_OPTIONS:
            check_options(options, tools)
        if tools:
            self._check_tools(tools)
        if options.validate_history:
            check_pairing(request.messages)
        changes: dict[str, Any] = {}
        if options.model is None:
            changes["model"] = self.model_id
        if options.tool_choice is not None and not tools:
            changes["tool_choice"] = None
        return msgspec.structs.replace(options, **changes) if changes else options

    def _open(self, request: ChatRequest) -> Chunks:
        """One attempt."""
        if request.call is not None and not self._hands_on:
            request.call.attempt += 1
        chunks = self._stream(request)
        if not hasattr(chunks, "athrow"):
            if inspect.iscoroutine(chunks):
                chunks.close()
            raise TypeError(
                f"{type(self).__name__}._stream must be an async generator, "
                f"not give a {type(chunks).__name__}"
            )
        return chunks if self._watches_time else foreign(chunks, request.model.model_id)

    def _deadline(self, options: GenerateOptions) -> float | None:
        """The event loop's time at which an answer that begins now must have ended."""
        timeout = self._config.timeout if options.timeout is None else options.timeout
        total = Timeouts.of(timeout).total
        return None if total is None else asyncio.get_running_loop().time() + total

    def _check_tools(self, tools: Sequence[ToolDefinition]) -> None:
        check_tool_names(tools, self.provider)


def _inner(model: ChatModel) -> InnerModel:
    return InnerModel(model._info(model.model_id), model._options, model._tools)


_MODELS = itertools.count(1)
"""Tells models apart whose credentials say nothing; copies share their original's number."""


def _closer(layer: Any) -> Callable[[], Awaitable[None]] | None:
    """The `aclose` of a middleware object, also of one behind a partial."""
    while isinstance(layer, functools.partial):
        layer = layer.func
    found: Callable[[], Awaitable[None]] | None = getattr(layer, "aclose", None)
    return found


def _check_middleware(layer: Callable[..., Any]) -> None:
    function: Any = layer
    while isinstance(function, functools.partial):
        function = function.func
    if (
        isinstance(function, Layer)
        or inspect.isasyncgenfunction(function)
        or inspect.isasyncgenfunction(
            getattr(type(function), "__call__", None)  # noqa: B004 -- the function is wanted
        )
    ):
        return
    raise TypeError(
        f"{layer!r} is not a middleware: it must be an async-generator function "
        "(request, call_next); to replace a model's methods, subclass DelegatingChatModel"
    )
