"""The model class: its configuration, and calls over a socket to the fake server."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    AuthenticationError,
    ConfigError,
    ToolCall,
    UnsupportedOptionWarning,
)
from beluga_llm.testing import FakeServer
from beluga_llm_mistral import MistralChatModel

KEY = "canary-key-7f3a"


@pytest.fixture
async def server():
    async with FakeServer() as running:
        yield running


@pytest.fixture
async def model(server):
    async with MistralChatModel(api_key=KEY, base_url=server.base_url("chat")) as made:
        yield made


@pytest.mark.row("DIAL-05", "PAIN-09", "CONF-03", "SCHE-34")
async def test_generate_and_stream_give_one_answer(server, model):
    answer = AIMessage("Hello there!", usage=llm.Usage(3, 2))
    server.reply(answer, times=2, usage_unasked=True)
    whole = await model.generate("hi", seed=1)
    async with model.stream("hi", seed=1) as stream:
        texts = [chunk.delta async for chunk in stream if chunk.delta]
    assert len(texts) > 1
    assert stream.message.parts == whole.parts
    assert stream.message.usage == whole.usage
    assert whole.usage.total_tokens == 5
    first, second = server.requests
    assert first.path == "/v1/chat/completions"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.json["model"] == "mistral-large-latest"
    assert {**first.json, "stream": True} == second.json


@pytest.mark.row("STRE-04", "PAIN-03")
async def test_a_break_is_seen_by_the_server(server, model):
    server.reply("one two three four", stall_after=300)
    async with model.stream("hi") as stream:
        async for _ in stream:
            break
    await server.disconnected()


@pytest.mark.row("OPTI-27")
async def test_what_is_left_out_is_warned_of_by_name(server, model):
    server.reply("ok")
    with pytest.warns(UnsupportedOptionWarning, match="user"):
        await model.generate("hi", user="u")
    assert "user" not in server.requests[0].json


@pytest.mark.row("TOOL-19", "PROV-33")
async def test_a_named_tool_is_forced(server, model):
    def weather(city: str) -> str:
        """Tells the weather."""

    call = ToolCall("aB3dE6gH9", "weather", '{"city": "Rome"}')
    server.reply(AIMessage([], tool_calls=[call], finish_reason="stop"))
    reply = await model.bind_tools([weather]).generate("hi", tool_choice="weather")
    assert reply.finish_reason == "tool_calls"
    assert server.requests[0].json["tool_choice"]["function"] == {"name": "weather"}


@pytest.mark.row("ERRO-21", "ERRO-31", "PAIN-15")
async def test_the_key_is_never_shown(server, model):
    body = json.dumps({"message": f"bad key {KEY}", "type": "x", "code": "1"})
    server.reply(body=body, status=429)
    with pytest.raises(llm.RateLimitError) as caught:
        await model.generate("hi")
    assert caught.value.retryable
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.body} {model!r}"


@pytest.mark.row("OPTI-27")
async def test_a_refused_effort_is_an_error_where_asked_for():
    strict = MistralChatModel(
        model="magistral-medium-2509", api_key=KEY, unsupported_options="error"
    )
    with pytest.raises(llm.UnsupportedOptionError, match="always reasons"):
        await strict.generate("hi", reasoning_effort="high")


@pytest.mark.row("PROV-08", "CONF-05", "ERRO-17", "REGI-12")
def test_configuration(monkeypatch):
    monkeypatch.delenv("MISTRAL_BASE_URL", raising=False)
    for blank in (None, " "):
        monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
        if blank:
            monkeypatch.setenv("MISTRAL_API_KEY", blank)
        with pytest.raises(AuthenticationError) as caught:
            MistralChatModel()
        assert caught.value.message == ("api_key is required: set MISTRAL_API_KEY or pass api_key=")
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    monkeypatch.setenv("MISTRAL_BASE_URL", "https://gateway.example/v1/")
    made = llm.create("mistral/mistral-small-latest")
    assert isinstance(made, MistralChatModel)
    assert (made.qualified_id, made._config.base_url) == (
        "mistral/mistral-small-latest",
        "https://gateway.example/v1",
    )
    with pytest.raises(ConfigError, match="region"):
        MistralChatModel(region="eu")


@pytest.mark.row("PROV-25", "CHAT-19")
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("mistral-small-2603", (True, True, False)),
        ("mistral-large-latest", (None, True, False)),
        ("mistral-large-2512", (False, True, False)),
        ("magistral-small-2509", (True, True, False)),
        ("codestral-latest", (False, False, False)),
        ("voxtral-small-latest", (False, False, True)),
        ("something-new", (None, None, None)),
    ],
)
def test_capabilities(name, facts):
    known = MistralChatModel(model=name, api_key=KEY).capabilities
    assert (known.reasoning, known.images, known.audio) == facts
    assert (known.tools, known.stream_usage, known.prefill) == (True, True, False)


def test_the_face_is_its_list():
    import beluga_llm_mistral as face

    assert dir(face) == sorted(face.__all__)
    assert all(getattr(face, name) for name in face.__all__)


@pytest.mark.row("TEST-07")
def test_it_is_found_by_its_entry_point():
    found = importlib.metadata.entry_points(group="beluga_llm.providers", name="mistral")
    if not found:
        pytest.skip("beluga-llm-mistral is not installed here")
    assert next(iter(found)).load() is MistralChatModel
