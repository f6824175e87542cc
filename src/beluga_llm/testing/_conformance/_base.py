"""What all checks stand on: the fixtures, how a check runs, and what it must leave behind.

Theory of operation. A check is a coroutine; to pytest it is a plain test, which runs it in an event
loop of its own. So the kit needs no async plugin, works beside each of them in every mode, and can
look at the loop when the check is over: no task may be left, no connection in use, and nothing
may have been reported to the loop's exception handler. The fake server runs in a thread and is
shared by all checks of a process.
"""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, TypeVar

import pytest

from beluga_llm._frozen import EMPTY
from beluga_llm._http.dialect import Dialect
from beluga_llm._messages import AIMessage, HumanMessage, replace
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions
from beluga_llm._registry import create
from beluga_llm._request import ChatRequest
from beluga_llm.testing._answers import WIRES, wire_of
from beluga_llm.testing._assertions import assert_stream_ok
from beluga_llm.testing._conformance._compare import spelled_alike, with_ids
from beluga_llm.testing._conformance._recorded import Recorded
from beluga_llm.testing._conformance._samples import HELLO, TWO_CALLS, reasoned
from beluga_llm.testing._reply import Reply, Seen
from beluga_llm.testing._server import FakeServer
from beluga_llm.testing._wire import Wire

if TYPE_CHECKING:
    from beluga_llm._validate import MessageInput

P = ParamSpec("P")
S = TypeVar("S", bound="Conformance")
Check = Callable[Concatenate[S, P], Coroutine[Any, Any, None]]

both = pytest.mark.parametrize("kind", ["generate", "stream"])
"""Runs a check for both kinds of call."""


answers = pytest.mark.parametrize("answer", ["text", "calls", "reasoning"])
"""Runs a check with each kind of answer; see `Conformance.script`."""


def check(function: Check[S, P]) -> Callable[Concatenate[S, P], None]:
    """A coroutine as a plain test, in an event loop of its own, which it must leave clean."""

    @functools.wraps(function)
    def test(self: S, /, *arguments: P.args, **fixtures: P.kwargs) -> None:
        with asyncio.Runner() as runner:
            runner.run(self.held(function(self, *arguments, **fixtures), fixtures))

    return test


class Conformance:
    """Fixtures and helpers of the checks; see `ChatModelConformance` for what to fill in.

    Attributes:
        entry: the provider's entry name; None checks no registration.
        api: the wire format of the fake server, as `FakeServer.base_url` takes it; None for a
            provider that is no HTTP service. That of an HttpModel is found out.
        fields: what else `create` needs, such as the model's id.
        carries: what the answers of this provider can hold, where that is less than its wire
            format can; see `Wire.carries`.
        usage_unasked: the vendor tells token counts in streams without being asked, and the
            provider does not ask.
        quota_code: the vendor's word for an exhausted account, where it is not the usual one of
            its wire format.
        sends_key: False where the key is not sent, but signs requests or buys a token.
        recorded_stream: a streamed answer as the vendor sends it, with text in its first half, for
            a wire format that the fake server does not speak.
        recorded_body: the same answer as a whole body.
        api_key: the key that the kit gives.
        patience: seconds after which a check is taken for hanging.
    """

    entry: ClassVar[str | None] = None
    api: str | None = None
    fields: ClassVar[Mapping[str, Any]] = EMPTY
    carries: ClassVar[Collection[str] | None] = None
    usage_unasked: ClassVar[bool] = False
    quota_code: ClassVar[str | None] = None
    sends_key: ClassVar[bool] = True
    recorded_stream: ClassVar[bytes | None] = None
    recorded_body: ClassVar[bytes | None] = None
    api_key: ClassVar[str] = "test-key"
    patience: ClassVar[float] = 10.0

    # --- fixtures --------------------------------------------------------------------------------

    @pytest.fixture
    def server(self, beluga_conformance_server: FakeServer) -> Iterator[FakeServer]:
        """The fake server, with nothing scripted and nothing seen."""
        beluga_conformance_server.reset()
        beluga_conformance_server.default = beluga_conformance_server.key = None
        yield beluga_conformance_server
        assert beluga_conformance_server.errors == []

    @pytest.fixture
    def base_url(self, server: FakeServer) -> str:
        """The fake server's address, for a fixture `model` of one's own; the key is "test-key"."""
        return self.address(server)

    @pytest.fixture
    def model(self, server: FakeServer) -> ChatModel:
        """The model under test."""
        return self.make(server)

    def make(self, server: FakeServer, **fields: Any) -> ChatModel:
        """A new model under test, with these fields of its configuration over the usual ones."""
        if self.entry is None:
            pytest.skip("the kit cannot make another model: set `entry` or override `make`")
        given: dict[str, Any] = {}
        if self.speaks_http:
            given = {"base_url": self.address(server), "api_key": self.api_key}
        return create(self.entry, **{**given, **self.fields, **fields})

    # --- what does not apply is skipped, and says why --------------------------------------------

    @property
    def speaks_http(self) -> bool:
        """Whether the fake server can stand in for the service."""
        return self.api is not None or self.recorded is not None

    @property
    def recorded(self) -> Recorded | None:
        """What the service says, where the fake server does not speak its wire format."""
        if self.recorded_stream is None:
            return None
        return Recorded(self.recorded_stream, self.recorded_body)

    def http(self) -> Wire:
        """The wire format of its errors; skips the check where the provider is no HTTP service."""
        return WIRES["chat"] if self.recorded is not None else self.wire()

    def wire(self) -> Wire:
        """The wire format; skips the check where the fake server does not speak it."""
        if self.recorded is not None:
            pytest.skip("the answers are recorded: the fake server says nothing else (`api`)")
        if self.api is None:
            pytest.skip("no HTTP service: `api` is not set")
        return WIRES[self.api]

    def carried(self) -> frozenset[str]:
        """What answers can hold."""
        own = self.wire().carries
        return own if self.carries is None else own & frozenset(self.carries)

    def needs(self, what: str) -> None:
        """Skips the check where answers cannot hold this."""
        if what not in self.carried():
            pytest.skip(f"answers of this API hold no {what} (`carries`)")

    def able(self, model: ChatModel, what: str) -> None:
        """Skips the check where the model cannot do this."""
        if getattr(model.capabilities, what) is False:
            pytest.skip(f"capabilities.{what} is False")

    def find_api(self, model: ChatModel | None) -> None:
        """Finds out the wire format of a given model, where nobody has said it."""
        dialect = getattr(model.unwrap(), "dialect", None) if model is not None else None
        if not self.speaks_http and isinstance(dialect, Dialect):
            request = ChatRequest((HumanMessage("Hello"),), GenerateOptions(model="m"))
            wire = wire_of(dialect.encode(request).path)
            self.api = None if wire is None else wire.name

    # --- asking ----------------------------------------------------------------------------------

    def says(
        self, server: FakeServer, answer: Any = HELLO, *, times: int = 1, **fields: Any
    ) -> None:
        """Has the server answer this next; of a provider that is no HTTP service nothing."""
        if (recorded := self.recorded) is not None:
            server.reply(recorded.reply(answer, fields), times=times)
        elif self.api is not None:
            fields = {"usage_unasked": self.usage_unasked, "exact_usage": True, **fields}
            server.reply(answer, times=times, **fields)

    def always(self, server: FakeServer, answer: Any = HELLO, **fields: Any) -> None:
        """Has the server answer this to every request."""
        if (recorded := self.recorded) is not None:
            server.default = recorded.reply(answer, fields)
        elif self.api is not None:
            server.default = Reply.of(answer, **fields)

    def address(self, server: FakeServer) -> str:
        """The base URL of the fake server."""
        return (
            server.url if self.recorded_stream is not None else server.base_url(self.api or "chat")
        )

    def read(self, seen: Seen) -> ChatRequest:
        """What a request says, as the server reads it."""
        wire = self.wire()
        return wire.read(wire.asked(seen.path.rstrip("/"), seen.json))

    def script(self, answer: str, model: ChatModel) -> AIMessage:
        """An answer of that kind."""
        scripts = {"text": HELLO, "calls": TWO_CALLS}
        return scripts.get(answer) or reasoned(model.provider, self.carried(), call=True)

    def meaning(self, message: AIMessage) -> AIMessage:
        """A message without extras, and without ids that the provider did not send."""
        calls = map(spelled_alike, message.tool_calls)
        plain = replace(message, provider_metadata={}, tool_calls=calls)
        if "call_ids" in self.carried():
            return plain
        return with_ids(plain, map(str, range(len(plain.tool_calls))))

    # --- how a check runs ------------------------------------------------------------------------

    async def held(self, checking: Coroutine[Any, Any, None], fixtures: Mapping[str, Any]) -> None:
        """Runs a check, and then looks at what it has left behind."""
        server, model = fixtures.get("server"), fixtures.get("model")
        self.find_api(model)
        others = frozenset(server.connections) if server is not None else frozenset()
        reports: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reports.append(context))
        try:
            await self._in_time(checking)
            assert in_use(model) == 0, "connections are still in use"
        finally:
            if model is not None:
                await model.aclose()
        await no_tasks_left()
        if server is not None:
            assert server.unused == (), "fewer requests came than the check has answers for"
            await server.idle(besides=others)
        assert reports == [], "errors were reported to the event loop"

    async def _in_time(self, checking: Coroutine[Any, Any, None]) -> None:
        limit = asyncio.timeout(self.patience)
        try:
            async with limit:
                await checking
        except TimeoutError:
            if limit.expired():
                pytest.fail(f"a call hangs: no end within {self.patience:g} s")
            raise


async def ask(
    model: ChatModel, kind: str, messages: MessageInput = "Hello", /, **keywords: Any
) -> AIMessage:
    """The answer of one kind of call; that of a stream has passed `assert_stream_ok`."""
    if kind == "generate":
        return await model.generate(messages, **keywords)
    return await assert_stream_ok(model.stream(messages, **keywords))


def in_use(model: ChatModel | None) -> int:
    """Connections that a model uses in the running loop, as far as can be seen."""
    transport = getattr(model.unwrap(), "_transport", None) if model is not None else None
    return getattr(transport, "connections", 0)


async def no_tasks_left() -> None:
    """Fails where a task is left two steps of the loop later."""
    for _ in range(2):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"


@contextmanager
def warned() -> Iterator[list[warnings.WarningMessage]]:
    """Collects warnings, all of them, whatever the filters of the test suite say."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
