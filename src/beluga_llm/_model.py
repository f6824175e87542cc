"""The one interface: what applications call and providers implement.

Its methods are short doors, those for many calls in `_batch/doors.py`. The way of a request into a
model is in `_accept.py`, what a call does while it runs in `_call.py`, what is checked before it in
`_validate.py`.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from beluga_llm._accept import accept, attempt, begin
from beluga_llm._batch.doors import Batches
from beluga_llm._call import Call, Chunks, Layer, Middleware, complete, drive
from beluga_llm._capabilities import Capabilities
from beluga_llm._chat_stream import ChatStream
from beluga_llm._closing import Closing, close_each
from beluga_llm._config import ProviderConfig
from beluga_llm._layers import check_middleware, closer_of
from beluga_llm._log_records import keep_quiet
from beluga_llm._messages import AIMessage
from beluga_llm._option_types import Timeouts
from beluga_llm._options import (
    NO_OPTIONS,
    GenerateOptions,
    OptionLayer,
    check_keywords,
    check_layer,
    merge_options,
)
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolDefinition
from beluga_llm._validate import (
    MessageInput,
    ToolInput,
    check_options,
    check_tool_names,
    ensure_messages,
    join_tools,
)

if TYPE_CHECKING:
    from beluga_llm._accept import Ready
    from beluga_llm._health import Health
    from beluga_llm._keywords import CallKeywords, OptionKeywords
    from beluga_llm._tokens import TokenCount

_TOOLS = frozenset(("tools",))


class ChatModel(Batches, Closing, ABC):
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
        keep_quiet()

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
        answer = functools.partial(begin, self, messages, options, keywords)
        return await complete(answer, call)

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
        return ChatStream(functools.partial(begin, self, messages, options, keywords), call)

    async def count_tokens(
        self, messages: MessageInput, tools: Iterable[ToolInput] = ()
    ) -> TokenCount:
        """How many tokens a conversation has: exact where the provider counts, else estimated."""
        from beluga_llm._tokens import SimpleTokenizer, TokenCount, count_request

        definitions = join_tools(self._tools, tools, win=True)
        count = await count_request(SimpleTokenizer(), ensure_messages(messages), definitions)
        return TokenCount(count, exact=False)

    async def check_health(self, *, probe: bool = False) -> Health:
        """Whether the model can be used; an error is part of what is told, and never raised.

        Args:
            probe: send the cheapest request that the provider has, and wait for its answer for at
                most 10 seconds; without it nothing is sent.
        """
        from beluga_llm._health import with_breakers

        return with_breakers(await self._health(probe=probe), self._layers)

    # --- copies ------------------------------------------------------------------------------

    def bind_tools(self, tools: Iterable[ToolInput], *, replace: bool = True) -> Self:
        """A copy with these tools in every request, instead of or beside those it has.

        Args:
            tools: ToolDefinitions, functions, mappings, or objects with a `definition`.
            replace: False adds them to the tools bound before.

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
            check_middleware(layer)
        for layer in reversed(middleware):
            if isinstance(layer, Layer):
                layer.check_model(made)
            made = made._copy(_layers=(layer, *made._layers))
        return made

    def _copy(self, **changes: Any) -> Self:
        made = copy.copy(self)
        made.__dict__.pop("_ready", None)
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
        closers = [close for layer in self._layers if (close := closer_of(layer))]
        errors = await close_each((*closers, self._aclose))
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"closing {self.qualified_id} failed", errors)

    async def _aclose(self) -> None:
        """Closes what a provider opened; nothing by default."""
        return

    async def _health(self, *, probe: bool) -> Health:
        """The health of what is inside of the layers."""
        from beluga_llm._health import own_health

        return await own_health(self, probe=probe)

    async def _probe(self) -> None:
        """Asks the provider for the cheapest thing that it has; one token by default."""
        from beluga_llm._health import one_token

        await one_token(self)

    # --- the way of a request ----------------------------------------------------------------

    @functools.cached_property
    def _ready(self) -> dict[Any, Ready]:
        """What it made of the options of former calls."""
        return {}

    def handle(self, request: ChatRequest) -> Chunks:
        """This model's answer to the request of another one: for wrappers and routers.

        Its own options lie under the request's, its tools stand beside them, and its middleware
        is around it. The generator is closed by the running call.

        Raises:
            InvalidRequestError: the request does not suit this model.
        """
        if isinstance(request.call, Call):
            return accept(self, request, request.call)
        op = "chat.stream" if request.streaming else "chat.generate"
        call = Call(op, self.provider, self.model_id)
        return drive(functools.partial(accept, self, request), call)

    def _inside(self) -> Sequence[ChatModel]:
        """The models that it hands requests on to."""
        return ()

    def _open(self, request: ChatRequest) -> Chunks:
        """One attempt."""
        return attempt(self, request)

    def _deadline(self, options: GenerateOptions) -> float | None:
        """The event loop's time at which an answer that begins now must have ended."""
        timeout = self._config.timeout if options.timeout is None else options.timeout
        total = Timeouts.of(timeout).total
        return None if total is None else asyncio.get_running_loop().time() + total

    def _check_tools(self, tools: Sequence[ToolDefinition]) -> None:
        check_tool_names(tools, self.provider)


_MODELS = itertools.count(1)
"""Tells models apart whose credentials say nothing; copies share their original's number."""
