"""Probes over real sockets: what is asked of each provider, and what never shows."""

from __future__ import annotations

from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.plugin import HttpModel, OpenAIChatDialect, ProviderConfig
from beluga_llm.testing import FakeServer

KEY = "key-canary-12345678"

LISTS: dict[str, tuple[str, str, str]] = {
    "openai": ("chat", "/v1/models", ""),
    "openai-compatible": ("chat", "/v1/models", ""),
    "azure": ("chat", "/v1/models", ""),
    "mistral": ("chat", "/v1/models", ""),
    "openrouter": ("chat", "/v1/key", ""),
    "groq": ("chat", "/v1/models", ""),
    "anthropic": ("messages", "/v1/models", "limit=1"),
    "google": ("generate_content", "/v1beta/models", "pageSize=1"),
    "cohere": ("cohere", "/v1/models", "page_size=1"),
    "ollama": ("ollama", "/api/tags", ""),
}


def model_of(server: FakeServer, name: str, api: str = "chat", **fields: Any) -> llm.ChatModel:
    fields = {"model": "m", "api_key": KEY, **fields}
    return llm.create(name, base_url=server.base_url(api), **fields)


@pytest.mark.row("HEAL-03")
@pytest.mark.parametrize("name", LISTS)
async def test_the_cheapest_request_is_sent_with_the_key(name: str):
    api, path, query = LISTS[name]
    async with FakeServer(key=KEY) as server:
        async with model_of(server, name, api) as model:
            health = await model.check_health(probe=True)
            assert (health.state, health.detail) == ("healthy", "")
            (seen,) = server.requests
            assert (seen.method, seen.path, seen.query) == ("GET", path, query)
            assert seen.body == b""
        async with model_of(server, name, api, api_key="key-wrong-87654321") as model:
            health = await model.check_health(probe=True)
        assert health.state == "unhealthy"
        assert "auth_error" in health.detail
        assert "87654321" not in str(health.as_dict())
        await server.idle()


@pytest.mark.row("HEAL-03")
@pytest.mark.parametrize("name", ["openai", "azure", "openrouter"])
async def test_the_other_api_has_the_same_probe(name: str, server: FakeServer):
    async with model_of(server, name, options={"api": "responses"}) as model:
        assert (await model.check_health(probe=True)).state == "healthy"
    (seen,) = server.requests
    assert seen.path == LISTS[name][1]


@pytest.mark.row("HEAL-03")
@pytest.mark.parametrize("status", [400, 404, 405])
async def test_where_there_is_no_list_one_token_is_asked_for(server: FakeServer, status: int):
    server.reply(status=status, path="/models")
    server.reply("Hi")
    async with model_of(server, "openai-compatible") as model:
        health = await model.check_health(probe=True)
    assert health.state == "healthy"
    assert [seen.path for seen in server.requests] == ["/v1/models", "/v1/chat/completions"]
    body = server.requests[1].json
    assert body["max_tokens"] == 1
    assert "stream" not in body


@pytest.mark.row("HEAL-03")
async def test_a_page_that_is_no_list_proves_nothing(server: FakeServer):
    server.reply(b"<html>log in</html>", path="/models", content_type="text/html")
    server.reply(status=401, error="who are you?")
    async with model_of(server, "openai-compatible") as model:
        health = await model.check_health(probe=True)
    assert health.state == "unhealthy"
    assert "auth_error" in health.detail


@pytest.mark.row("HEAL-03", "ERRO-31", "PAIN-15")
@pytest.mark.parametrize(("status", "state"), [(429, "degraded"), (503, "unhealthy")])
async def test_secrets_do_not_show_in_the_detail(server: FakeServer, status: int, state: str):
    secrets = {"x-team": "header-canary-1", "q": "query-canary-22"}
    server.reply(status=status, error=f"{KEY} {secrets['x-team']} {secrets['q']}", path="/models")
    model = model_of(
        server,
        "openai-compatible",
        headers={"x-team": secrets["x-team"]},
        query={"q": secrets["q"]},
    )
    async with model:
        health = await model.check_health(probe=True)
    assert health.state == state
    assert f"status {status}" in health.detail
    assert "canary" not in str(health.as_dict())
    (seen,) = server.requests
    assert seen.headers["x-team"] == secrets["x-team"]


@pytest.mark.row("HEAL-03")
async def test_a_server_that_is_not_there_is_unhealthy():
    async with FakeServer() as server:
        url = server.base_url()
    async with llm.create("openai-compatible/m", base_url=url) as model:
        health = await model.check_health(probe=True)
    assert health.state == "unhealthy"
    assert "provider_unavailable" in health.detail


@pytest.mark.row("HEAL-03")
async def test_what_a_model_is_asked_otherwise_does_not_hinder_the_probe(server: FakeServer):
    async with model_of(server, "openai", query={"tenant": "eu"}) as model:
        asked = model.with_options(timeout=1e-6, extra_body={"x": 1}, tool_choice="none")
        assert (await asked.check_health(probe=True)).state == "healthy"
    assert server.requests[0].query == "tenant=eu"


class Unknown(OpenAIChatDialect):
    """A dialect that nothing else than an answer is known of."""

    def probe_request(self, request: Any) -> None:
        return None


@pytest.mark.row("HEAL-03")
async def test_a_dialect_without_a_probe_asks_for_one_token(server: FakeServer):
    server.reply("Hi")
    config = ProviderConfig.of(provider="x", model="m", api_key=KEY, base_url=server.base_url())
    async with HttpModel(Unknown("x"), config) as model:
        assert (await model.check_health(probe=True)).state == "healthy"
    (seen,) = server.requests
    assert seen.json["max_tokens"] == 1
