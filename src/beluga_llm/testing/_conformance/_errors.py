"""Errors: the class says what happened, its facts say what to do, and nothing is sent twice."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from email.utils import formatdate
from typing import NamedTuple, NoReturn

import pytest

from beluga_llm import _json
from beluga_llm._errors import (
    AuthenticationError,
    BelugaError,
    ConnectionFailedError,
    EmptyResponseError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from beluga_llm._model import ChatModel
from beluga_llm.testing._conformance._base import Conformance, ask, both, check, no_tasks_left
from beluga_llm.testing._conformance._samples import LONG
from beluga_llm.testing._server import FakeServer


class Meaning(NamedTuple):
    """What a status means."""

    kinds: tuple[type[BelugaError], ...]
    retryable: bool


STATUSES: Mapping[int, Meaning] = {
    400: Meaning((InvalidRequestError,), False),
    401: Meaning((AuthenticationError,), False),
    403: Meaning((PermissionDeniedError,), False),
    404: Meaning((ModelNotFoundError,), False),
    408: Meaning((RequestTimeoutError,), True),
    409: Meaning((InvalidRequestError, ProviderUnavailableError), False),  # some pass by themselves
    413: Meaning((InvalidRequestError,), False),
    422: Meaning((InvalidRequestError,), False),
    425: Meaning((ProviderUnavailableError,), True),
    429: Meaning((RateLimitError,), True),
    500: Meaning((ProviderUnavailableError,), True),
    502: Meaning((ProviderUnavailableError,), True),
    503: Meaning((ProviderUnavailableError,), True),
    504: Meaning((RequestTimeoutError,), True),
    529: Meaning((OverloadedError,), True),
}
WAITS: Mapping[str, tuple[Mapping[str, str], float]] = {
    "seconds": ({"retry-after": "7"}, 7.0),
    "milliseconds": ({"retry-after-ms": "1500"}, 1.5),
    "date": (
        {"date": formatdate(1_000, usegmt=True), "retry-after": formatdate(1_030, usegmt=True)},
        30.0,
    ),
}
TOLD = "the kit wanted this to fail"
PAGE = b"<html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>"


class ErrorChecks(Conformance):
    """HTTP errors, errors inside answers, and connections that fail."""

    async def failure(self, model: ChatModel, kind: str) -> BelugaError:
        """What a call fails with; it must say where it comes from."""
        with pytest.raises(BelugaError) as caught:
            await ask(model, kind)
        await no_tasks_left()
        error = caught.value
        assert (error.provider, error.op) == (model.provider, f"chat.{kind}")
        assert error.model_id == model.model_id
        return error

    @pytest.mark.parametrize("status", STATUSES)
    @both
    @check
    async def test_a_status_has_its_class(
        self, model: ChatModel, server: FakeServer, kind: str, status: int
    ) -> None:
        """Class, code, retryable, text and request id of every status; one request is sent."""
        wire, meaning = self.http(), STATUSES[status]
        self.says(server, None, status=status, error=TOLD)
        error = await self.failure(model, kind)
        assert len(server.requests) == 1, "it was tried again by itself"
        assert isinstance(error, meaning.kinds), repr(error)
        assert error.code == type(error).code
        assert error.retryable is (meaning.retryable or isinstance(error, meaning.kinds[1:]))
        assert error.status == status
        assert TOLD in error.message
        assert error.request_id == (f"req_{1:024x}" if wire.request_id else None)

    @both
    @check
    async def test_an_exhausted_quota_is_not_worth_waiting_for(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """The vendor's own words tell an empty account from too many requests."""
        self.wire()
        self.says(server, QuotaExceededError(provider_code=self.quota_code))
        error = await self.failure(model, kind)
        assert isinstance(error, QuotaExceededError), repr(error)
        assert not error.retryable

    @pytest.mark.parametrize("form", WAITS)
    @check
    async def test_the_time_to_wait_is_read(
        self, model: ChatModel, server: FakeServer, form: str
    ) -> None:
        """`retry_after` is in seconds, whichever way the provider says it."""
        self.http()
        headers, seconds = WAITS[form]
        self.says(server, None, status=429, headers=headers)
        error = await self.failure(model, "generate")
        assert isinstance(error, RateLimitError)
        assert error.retry_after == pytest.approx(seconds)

    @check
    async def test_no_time_to_wait_is_none(self, model: ChatModel, server: FakeServer) -> None:
        """Where the provider names no time, none is invented."""
        self.http()
        self.says(server, None, status=429)
        assert (await self.failure(model, "generate")).retry_after is None

    @check
    async def test_the_vendors_own_word_is_kept(self, model: ChatModel, server: FakeServer) -> None:
        """`provider_code` is the code of the provider, unchanged."""
        self.needs("error_code")
        self.says(server, None, status=400, error=TOLD, error_code="kit_Own_word")
        assert (await self.failure(model, "generate")).provider_code == "kit_Own_word"

    # --- answers that are none -------------------------------------------------------------------

    @both
    @check
    async def test_a_web_page_is_no_answer(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """A page of a proxy is an error without its markup, under a bad status and a good one."""
        self.http()
        self.says(server, None, body=PAGE, status=502, content_type="text/html")
        self.says(server, None, body=PAGE, content_type="text/html")
        bad, good = await self.failure(model, kind), await self.failure(model, kind)
        assert isinstance(bad, ProviderUnavailableError)
        assert isinstance(good, ProviderError)
        assert "<h" not in bad.message + good.message

    @both
    @check
    async def test_an_error_without_a_body(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """The status says enough."""
        self.http()
        self.says(server, None, body=b"", status=503)
        error = await self.failure(model, kind)
        assert isinstance(error, ProviderUnavailableError)
        assert error.status == 503

    @check
    async def test_what_cannot_be_decoded_is_said(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """Bytes that are no answer are a MalformedResponseError, which is not retried."""
        self.http()
        self.says(server, None, body=b"this is no json", content_type="application/json")
        error = await self.failure(model, "generate")
        assert isinstance(error, MalformedResponseError), repr(error)
        assert not error.retryable

    @check
    async def test_an_answer_that_holds_none_is_an_error(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """An answer without any choice is an EmptyResponseError."""
        if (empty := self.wire().empty) is None:
            pytest.skip("this API has no answer without a choice (`Wire.empty`)")
        self.says(server, None, body=_json.dumps(empty))
        assert isinstance(await self.failure(model, "generate"), EmptyResponseError)

    @check
    async def test_an_error_in_the_middle_of_a_stream(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """An error after some text is raised as such, with the text so far."""
        self.wire()
        self.able(model, "streaming")
        self.says(server, LONG, error=TOLD, error_after=20)
        error = await self.failure(model, "stream")
        assert TOLD in error.message
        assert error.partial is not None
        assert error.partial.text
        assert LONG.startswith(error.partial.text)

    # --- connections -----------------------------------------------------------------------------

    @both
    @check
    async def test_a_reset_connection(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """A connection that breaks before any content may be tried again, by the caller."""
        self.http()
        self.says(server, "one two", reset_after=1)
        error = await self.failure(model, kind)
        assert isinstance(error, ConnectionFailedError | StreamInterruptedError), repr(error)
        assert error.retryable
        assert len(server.requests) == 1, "it was tried again by itself"

    @both
    @check
    async def test_nobody_listens(self, server: FakeServer, kind: str) -> None:
        """A refused connection is a ConnectionFailedError, which may be tried again."""
        self.http()
        async with self.make(server, base_url=self.elsewhere(server, "127.0.0.1:9")) as model:
            error = await self.failure(model, kind)
        assert isinstance(error, ConnectionFailedError), repr(error)
        assert error.retryable

    @both
    @check
    async def test_a_host_that_is_not_there(
        self, server: FakeServer, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        """A name that DNS does not know is a ConnectionFailedError; nobody is asked for it."""
        self.http()

        def resolve(*arguments: object, **keywords: object) -> NoReturn:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        url = self.elsewhere(server, "nowhere.invalid")
        async with self.make(server, base_url=url) as model:
            error = await self.failure(model, kind)
        assert isinstance(error, ConnectionFailedError), repr(error)
        assert error.retryable

    def elsewhere(self, server: FakeServer, host: str) -> str:
        """The base URL on another host."""
        return self.address(server).replace(server.url, f"http://{host}")
