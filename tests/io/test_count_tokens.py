"""Counting by the provider: a small request beside the chat."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.plugin import HttpModel, HttpRequest, Note, OpenAIChatDialect, ProviderConfig
from beluga_llm.testing import FakeServer

KEY = "key-12345678"
TOOL = llm.ToolDefinition("find_city", "Finds a city.")


class Counting(OpenAIChatDialect):
    """A dialect whose server counts."""

    def count_request(self, request: Any) -> HttpRequest | None:
        if request.options.model == "silent":
            return None
        body = self.encode(request)
        return HttpRequest(
            path="/count", json=body.json, notes=(Note("option", "temperature", "not counted"),)
        )

    def counted(self, answer: Any) -> Any:
        return answer.get("tokens")


def model_of(server: FakeServer, model: str = "m", **fields: Any) -> HttpModel:
    config = ProviderConfig.of(
        provider="counter", model=model, api_key=KEY, base_url=server.base_url(), **fields
    )
    return HttpModel(Counting("counter"), config)


@pytest.mark.row("CHAT-24", "TOKE-12")
async def test_the_provider_counts_messages_and_all_tools(server: FakeServer):
    server.reply(b'{"tokens": 12}', path="/count")
    async with model_of(server) as model:
        bound = model.bind_tools([TOOL])
        with pytest.warns(llm.UnsupportedOptionWarning, match="not counted"):
            count = await bound.count_tokens("hello", [llm.ToolDefinition("other")])
    assert (count.tokens, count.exact) == (12, True)
    (seen,) = server.requests
    assert seen.path == "/v1/count"
    assert seen.key == KEY
    assert [tool["function"]["name"] for tool in seen.json["tools"]] == ["find_city", "other"]
    await server.idle()


@pytest.mark.row("CHAT-24")
async def test_where_nobody_counts_an_estimate_is_told_as_one(server: FakeServer):
    async with model_of(server, "silent") as model:
        count = await model.count_tokens("hello")
    assert (count.tokens, count.exact) == (6, False)
    async with llm.create("openai-compatible/m", base_url=server.base_url()) as model:
        assert not (await model.count_tokens("hello")).exact
    assert [seen.path for seen in server.requests] == []
    assert (
        HttpModel(OpenAIChatDialect("x"), ProviderConfig()).dialect.counted({"tokens": 1}) is None
    )


@pytest.mark.row("CHAT-24")
async def test_without_a_network_tokens_are_estimated(caplog: pytest.LogCaptureFixture):
    gone = ProviderConfig.of(
        provider="counter", model="m", api_key=KEY, base_url="http://127.0.0.1:9/v1"
    )
    with caplog.at_level(logging.WARNING, "beluga_llm.tokens"):
        async with HttpModel(Counting("counter"), gone) as model:
            with pytest.warns(llm.UnsupportedOptionWarning, match="not counted"):
                count = await model.bind_tools([TOOL]).count_tokens("hello")
    assert not count.exact
    assert count.tokens > 6  # the tool counts too
    assert "counter cannot be asked, tokens are estimated" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.row("ERRO-16", "ERRO-31")
async def test_an_error_of_counting_is_typed_and_keeps_the_key_to_itself(server: FakeServer):
    server.reply(status=429, error=f"slow down, {KEY}", headers={"retry-after": "3"}, path="/count")
    async with model_of(server, unsupported_options="ignore") as model:
        with pytest.raises(llm.RateLimitError) as caught:
            await model.count_tokens("hello")
    assert (caught.value.op, caught.value.retry_after) == ("tokens.count", 3)
    assert (caught.value.provider, caught.value.model_id) == ("counter", "m")
    assert KEY not in str(caught.value)


@pytest.mark.row("ERRO-14")
@pytest.mark.parametrize(
    "body",
    [b"no json", b'{"tokens": "9"}', b'{"tokens": true}', b'{"tokens": -1}', b"[]", b"{}"],
)
async def test_a_count_that_cannot_be_read_is_a_malformed_response(server: FakeServer, body: bytes):
    server.reply(body, path="/count", content_type="application/json")
    async with model_of(server, unsupported_options="ignore") as model:
        with pytest.raises(llm.MalformedResponseError) as caught:
            await model.count_tokens("hello")
    assert caught.value.op == "tokens.count"


@pytest.mark.row("ERRO-14", "ERRO-31")
async def test_the_beginning_of_such_an_answer_is_shown(server: FakeServer):
    server.reply(f"<p>your key {KEY}</p>".encode(), path="/count", content_type="text/html")
    async with model_of(server, unsupported_options="ignore") as model:
        with pytest.raises(llm.MalformedResponseError, match=r"'<p>your key \*\*\*</p>'"):
            await model.count_tokens("hello")


@pytest.mark.row("OPTI-23")
async def test_counting_has_the_time_limits_of_a_whole_answer(server: FakeServer):
    server.reply(silent=True, path="/count")
    model = model_of(server, unsupported_options="ignore", timeout=llm.Timeouts(whole=0.05))
    async with model:
        with pytest.raises(llm.RequestTimeoutError, match="whole"):
            await model.count_tokens("hello")
    server.reply(b'{"tok', path="/count", stall_after=3, content_type="application/json")
    model = model_of(server, unsupported_options="ignore", timeout=0.05)
    async with model:
        with pytest.raises(llm.RequestTimeoutError, match="total"):
            await model.count_tokens("hello")
