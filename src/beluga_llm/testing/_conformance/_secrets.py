"""Secrets: the key is in a header of the request, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from beluga_llm import _json
from beluga_llm._errors import BelugaError
from beluga_llm._model import ChatModel
from beluga_llm.testing._conformance._base import Conformance, ask, both, check
from beluga_llm.testing._conformance._samples import LONG
from beluga_llm.testing._reply import Reply, Seen
from beluga_llm.testing._server import FakeServer
from beluga_llm.testing._wire import Facts, Failure, Wire

FOREIGN = ("OPENAI", "ANTHROPIC", "GOOGLE", "MISTRAL", "GROQ")
"""Providers whose variables are set on many machines."""


class SecretChecks(Conformance):
    """A server that sends back all it was told."""

    @both
    @check
    async def test_the_key_shows_in_no_error(
        self,
        model: ChatModel,
        server: FakeServer,
        caplog: pytest.LogCaptureFixture,
        kind: str,
    ) -> None:
        """No text, repr, traceback, pickle, body or log of any error holds it."""
        wire = self.http()
        caplog.set_level(logging.DEBUG)
        for reply in _failures(wire):
            server.default = reply
            with pytest.raises(BelugaError) as caught:
                await ask(model, kind)
            self.hidden(shown(caught.value))
        for record in caplog.records:
            self.hidden(f"{record.getMessage()} {record.args!r} {record.exc_info!r}")

    @check
    async def test_the_key_stands_in_headers_only(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """It is in no address, query or body, where proxies and logs would see it."""
        self.http()
        self.says(server)
        await model.generate("Hello")
        seen = server.requests[0]
        self.hidden(f"{seen.path} {seen.query} {seen.body.decode()}")
        assert not self.sends_key or self.api_key in " ".join(seen.headers.values())

    def test_the_key_that_is_given_is_sent(
        self, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It goes before every variable, and the variables of other providers are not read."""
        self.http()
        for name in FOREIGN:
            monkeypatch.setenv(f"{name}_API_KEY", "kit-foreign-key")
            monkeypatch.setenv(f"{name}_BASE_URL", "http://127.0.0.1:9")
        self.says(server)

        async def ask_once() -> None:
            async with self.make(server) as model:
                await model.generate("Hello")

        asyncio.run(ask_once())
        sent = " ".join(server.requests[0].headers.values())
        assert "kit-foreign-key" not in sent
        assert not self.sends_key or self.api_key in sent

    @check
    async def test_nothing_is_printed(
        self, model: ChatModel, server: FakeServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What a program writes to its stdout is the program's."""
        self.says(server, times=2)
        await ask(model, "generate")
        await ask(model, "stream")
        assert capsys.readouterr().out == ""

    def test_the_key_shows_in_no_repr(self, model: ChatModel) -> None:
        """Models and their copies can be printed."""
        self.find_api(model)
        self.http()
        copies = (model, model.with_options(max_tokens=5), model.bind_tools([{"name": "f"}]))
        self.hidden(" ".join(f"{copy!r} {copy} {copy._config!r}" for copy in copies))

    def hidden(self, text: str) -> None:
        """Fails where a text shows the key."""
        at = text.find(self.api_key)
        assert at < 0, f"the key shows: {text[max(at - 200, 0) : at + 50]!r}"


def _failures(wire: Wire) -> Iterator[Any]:
    """Everything that can go wrong, with all that the server knows in the answer."""

    def said(seen: Seen) -> str:
        return f"{seen.key} {dict(seen.headers)} {seen.path}?{seen.query}"

    def in_words(status: int) -> Any:
        return lambda seen: Reply(status=status, error=said(seen), error_code=seen.key)

    def as_text(status: int, kind: str) -> Any:
        return lambda seen: Reply(body=said(seen).encode(), status=status, content_type=kind)

    def as_json(seen: Seen) -> Reply:
        return Reply(
            body=_json.dumps({"detail": [{"msg": said(seen), "key": seen.key}]}), status=422
        )

    def in_stream(seen: Seen) -> Reply:
        if not seen.streaming:
            return Reply(body=said(seen).encode(), content_type="application/json")
        failure = Failure(code="provider_unavailable", message=said(seen))
        body = b"".join(wire.encoder(Facts()).error(failure))
        return Reply(body=body, content_type=wire.stream_type)

    yield from map(in_words, (400, 401, 429, 500))
    yield from (as_text(status, "text/plain") for status in (401, 500))
    yield from (as_text(status, "text/html") for status in (200, 502))
    yield from (as_json, in_stream)
    yield Reply(LONG, cut_after=60)
    yield Reply(LONG, reset_after=60)


def shown(error: BaseException) -> str:
    """Everything that an error can be made to say."""
    texts = [*traceback.format_exception(error), repr(pickle.dumps(error))]
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        facts = {name: value for name, value in vars(one).items() if name != "partial"}
        texts += [str(one), repr(one), repr(one.args), repr(facts)]
        waiting += [one.__cause__, one.__context__]
    return "\n".join(texts)
