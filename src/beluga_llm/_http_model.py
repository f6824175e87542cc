"""A provider over HTTP: a dialect on a transport is a ChatModel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import AsyncGenerator, Iterable, Sequence
from time import time as _unix_time
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from beluga_llm._capabilities import Capabilities
from beluga_llm._chunks import StreamChunk
from beluga_llm._config import ProviderConfig, shown_options
from beluga_llm._errors import (
    BelugaError,
    ConnectionFailedError,
    DroppedContentWarning,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    UnsupportedContentError,
    UnsupportedOptionError,
    UnsupportedOptionWarning,
)
from beluga_llm._http.body import is_json, read_all, read_next
from beluga_llm._http.dialect import Dialect, HttpRequest, Note
from beluga_llm._http.limits import LINGER, ReadLimits
from beluga_llm._http.rate_headers import rate_limit
from beluga_llm._http.reader import AnswerReader, undecodable
from beluga_llm._http.transport import AiohttpTransport
from beluga_llm._http.wire import Response, Signer, Transport, WireRequest
from beluga_llm._http_seal import Sealer
from beluga_llm._json import JsonError, loads
from beluga_llm._model import ChatModel
from beluga_llm._option_types import Timeouts
from beluga_llm._options import GenerateOptions
from beluga_llm._redaction import Secrets, redact, redact_bytes
from beluga_llm._request import ChatRequest, RunningCall
from beluga_llm._telemetry import within
from beluga_llm._validate import (
    MessageInput,
    ToolInput,
    check_tool_names,
    ensure_messages,
    join_tools,
)
from beluga_llm._watching import span_of

if TYPE_CHECKING:
    from beluga_llm._tokens import TokenCount

logger = logging.getLogger("beluga_llm.tokens")

COUNT = "tokens.count"


class HttpModel(ChatModel):
    """A dialect on a transport.

    Args:
        dialect: the provider's wire format.
        config: with its base URL, its model and its key, as `ProviderSpec.prepare` gives them.
        signer: credentials that are more than a header from the key.
    """

    _watches_time = True

    def __init__(
        self, dialect: Dialect, config: ProviderConfig, *, signer: Signer | None = None
    ) -> None:
        super().__init__(config)
        self.provider = config.provider or dialect.provider
        self.dialect = dialect
        self._sealer = Sealer(config, self.provider, dialect, signer)
        self._server = self._sealer.base.host
        self._where = (
            self._server,
            self._sealer.base.address,
            self._sealer.credential or self._where[2],
        )
        self._variant = (
            f"{type(dialect).__name__}, think_tags={config.parse_think_tags}, "
            f"content={config.unsupported_content}, options={shown_options(config.options)}"
        )
        self._timeouts = Timeouts.of(config.timeout)
        self._told: set[tuple[str, str, str]] = set()
        self._transport: Transport = config.transport or AiohttpTransport(
            session=config.session,
            pool_limit=config.pool_limit,
            proxy=config.proxy,
            ssl=config.ssl,
            trust_env=config.trust_env,
            owner=f"model {self.qualified_id}",
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the dialect knows of the model, with the configuration's word over it."""
        return self.dialect.capabilities(self.model_id).merged(self._config.capabilities)

    async def _aclose(self) -> None:
        await self._transport.aclose()

    def _check_tools(self, tools: Any) -> None:
        dialect = self.dialect
        check_tool_names(
            tools, self.provider, allowed=dialect.tool_names, rule=dialect.tool_names_rule
        )

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        time = asyncio.get_running_loop().time
        limits = self._limits(request, time())
        encoded = self.dialect.encode(request)
        self._tell(encoded.notes, request.options.model or self.model_id)
        wire, secrets = await self._wire(encoded, request, limits)
        try:
            response = await self._send(wire, limits, request.call)
            try:
                if not 200 <= response.status < 300:
                    raise await self._error(response, limits, secrets)
                if facts := rate_limit(response.headers, now=_unix_time()):
                    yield StreamChunk(metadata={"rate_limit": facts})
                if not request.streaming and is_json(response):
                    chunks, failure = await self._whole(request, response, limits, secrets)
                    for chunk in chunks:
                        yield chunk
                    if failure is not None:
                        raise failure
                    return
                reader = self._reader(request, response, secrets)
                while True:
                    limits.check_total(now := time())
                    until = limits.until(now)
                    if reader.ended:
                        until = min(until or now + LINGER, now + LINGER)
                    data, broken = await read_next(response, until, limits, reader)
                    chunks = reader.feed(data) if data else reader.finish(broken)
                    for chunk in chunks:
                        yield chunk
                    if reader.failure is not None:
                        raise reader.failure
                    if not data:
                        return
                    limits.content = reader.content_started
                    if reader.heard_data:
                        limits.heard()
            finally:
                response.close()
        except BelugaError as error:
            redact(error, secrets)
            raise

    async def count_tokens(
        self, messages: MessageInput, tools: Iterable[ToolInput] = ()
    ) -> TokenCount:
        """How many tokens a conversation has: exact where the provider counts, else estimated.

        Where the provider cannot be reached, a warning is logged, and it is an estimate too.

        Raises:
            BelugaError: the provider refused to count.
        """
        request = ChatRequest(
            ensure_messages(messages),
            msgspec.structs.replace(self._options, model=self._options.model or self.model_id),
            join_tools(self._tools, tools, win=True),
            streaming=False,
        )
        encoded = self.dialect.count_request(request)
        if encoded is None:
            return await super().count_tokens(messages, tools)
        from beluga_llm._tokens import TokenCount

        self._tell(encoded.notes, request.options.model or self.model_id)
        try:
            answer = await self._exchange(encoded, request)
            count = self.dialect.counted(answer) if isinstance(answer, dict) else None
            if type(count) is not int or count < 0:
                raise MalformedResponseError("the answer to a count holds no number of tokens")
        except ConnectionFailedError as error:
            logger.warning("%s cannot be asked, tokens are estimated: %s", self.provider, error)
            return await super().count_tokens(messages, tools)
        except BelugaError as error:
            error.op, error.provider, error.model_id = COUNT, self.provider, request.options.model
            raise
        return TokenCount(count, exact=True)

    async def _probe(self) -> None:
        options = msgspec.structs.replace(
            self._options, model=self._options.model or self.model_id, timeout=None
        )
        request = ChatRequest((), options, streaming=False)
        encoded = self.dialect.probe_request(request)
        if encoded is None:
            return await super()._probe()
        try:
            await self._exchange(encoded, request)
        except (InvalidRequestError, MalformedResponseError, ModelNotFoundError):
            await super()._probe()  # the server has no such list: not all that copy an API do

    async def _exchange(self, encoded: HttpRequest, request: ChatRequest) -> Any:
        """The JSON that answers a small request beside the chat."""
        limits = self._limits(request, asyncio.get_running_loop().time())
        wire, secrets = await self._wire(encoded, request, limits)
        pieces: list[bytes] = []
        try:
            response = await self._send(wire, limits)
            try:
                if not 200 <= response.status < 300:
                    raise await self._error(response, limits, secrets)
                if broken := await read_all(response, limits, pieces):
                    raise broken
                return loads(b"".join(pieces))
            except JsonError as error:
                raise undecodable(b"".join(pieces), error, secrets) from None
            finally:
                response.close()
        except BelugaError as error:
            redact(error, secrets)
            raise

    # --- the request -------------------------------------------------------------------------

    async def _wire(
        self, encoded: HttpRequest, request: ChatRequest, limits: ReadLimits
    ) -> tuple[WireRequest, Secrets]:
        """The complete request, within the call's time where credentials may have to be awaited."""
        if not self._sealer.waits:
            return self._sealer.seal(encoded, request, connect=limits.connect)
        made = self._sealer.seal_waiting(encoded, request, connect=limits.connect)
        if limits.deadline is None:
            return await made
        scope = asyncio.timeout_at(limits.deadline)
        try:
            async with scope:
                return await made
        except TimeoutError:
            if scope.expired():
                limits.check_total(limits.deadline)
            raise  # the credentials' own

    def _tell(self, notes: tuple[Note, ...], model: str) -> None:
        """Applies the configuration's rules to what the dialect left out."""
        for note in notes:
            text = f"[{self.provider}] {note.text or note.name}"
            if note.kind == "content" and self._config.unsupported_content == "error":
                raise UnsupportedContentError(note.text, provider=self.provider)
            if note.kind == "option":
                if self._config.unsupported_options == "error":
                    raise UnsupportedOptionError(note.text, provider=self.provider)
                if self._config.unsupported_options == "ignore":
                    continue
            about = (model, note.kind, "" if note.kind == "signature" else note.name)
            if about not in self._told:
                self._told.add(about)
                option = note.kind == "option"
                kind = UnsupportedOptionWarning if option else DroppedContentWarning
                warnings.warn(f"{text}; not sent", kind, stacklevel=2)

    # --- the answer --------------------------------------------------------------------------

    def _limits_of(self, options: GenerateOptions) -> Timeouts:
        timeout = options.timeout
        if timeout is None:
            return self._timeouts
        if isinstance(timeout, Timeouts):
            return timeout
        return attrs.evolve(self._timeouts, total=timeout)

    def _limits(self, request: ChatRequest, now: float) -> ReadLimits:
        return ReadLimits.of(self._limits_of(request.options), request, now)

    async def _send(
        self, wire: WireRequest, limits: ReadLimits, call: RunningCall | None = None
    ) -> Response:
        try:
            with within(span_of(call)):
                response = await self._transport.request(
                    wire, until=limits.until(asyncio.get_running_loop().time())
                )
        except BelugaError:
            raise
        except TimeoutError:
            raise limits.expired() from None
        if call is not None:
            call.on_drop.append(response.close)
        return response

    def _reader(self, request: ChatRequest, response: Response, secrets: Secrets) -> AnswerReader:
        return AnswerReader(
            self.dialect,
            request,
            status=response.status,
            headers=self._headers_of(response),
            think_tags=self._config.parse_think_tags,
            secrets=secrets,
        )

    async def _whole(
        self, request: ChatRequest, response: Response, limits: ReadLimits, secrets: Secrets
    ) -> tuple[Sequence[StreamChunk], BelugaError | None]:
        """The chunks of an answer in one piece, and the error that it ended in."""
        pieces: list[bytes] = []
        broken = await read_all(response, limits, pieces)
        body = b"".join(pieces)
        if not (broken or request.options.raw or self._config.parse_think_tags):
            usual = self.dialect.read_usual(request, body)
            if usual is not None:
                return (usual,), None
        reader = self._reader(request, response, secrets)
        chunks = reader.feed(body) if body else []
        if reader.failure is None:
            chunks += reader.finish(broken)
        return chunks, reader.failure

    async def _error(self, response: Response, limits: ReadLimits, secrets: Secrets) -> BelugaError:
        pieces: list[bytes] = []
        with contextlib.suppress(TimeoutError):  # the status says enough
            await read_all(response, limits, pieces)
        body, headers = redact_bytes(b"".join(pieces), secrets), self._headers_of(response)
        return self.dialect.error(response.status, headers, body, now=_unix_time())

    def _headers_of(self, response: Response) -> dict[str, str]:
        return {**response.headers, ":authority": self._server}
