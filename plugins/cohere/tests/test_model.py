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
from beluga_llm_cohere import CohereChatModel

KEY = "canary-key-7f3a"


@pytest.fixture
async def server():
    async with FakeServer() as running:
        yield running


@pytest.fixture
async def model(server):
    async with CohereChatModel(api_key=KEY, base_url=server.base_url("cohere")) as made:
        yield made


@pytest.mark.row("DIAL-05", "PAIN-09", "CONF-03", "SCHE-34", "TEST-01")
async def test_generate_and_stream_give_one_answer(server, model):
    answer = AIMessage("Hello there!", usage=llm.Usage(3, 2))
    server.reply(answer, times=2)
    whole = await model.generate("hi", seed=1)
    async with model.stream("hi", seed=1) as stream:
        texts = [chunk.delta async for chunk in stream if chunk.delta]
    assert len(texts) > 1
    assert stream.message.parts == whole.parts
    assert stream.message.usage == whole.usage
    assert whole.usage.total_tokens == 5
    first, second = server.requests
    assert first.path == "/v2/chat"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.json["model"] == "command-a-03-2025"
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


@pytest.mark.row("TOOL-19", "PROV-33", "PAIN-09")
async def test_a_named_tool_is_forced(server, model):
    def weather(city: str) -> str:
        """Tells the weather."""

    def other() -> str:
        """Something else."""

    call = ToolCall("weather_1", "weather", '{"city": "Rome"}')
    server.reply(AIMessage([], tool_calls=[call], finish_reason="stop"))
    reply = await model.bind_tools([weather, other]).generate("hi", tool_choice="weather")
    assert reply.finish_reason == "tool_calls"
    sent = server.requests[0].json
    assert sent["tool_choice"] == "REQUIRED"
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["weather"]


@pytest.mark.row("ERRO-21", "ERRO-31", "PAIN-15")
async def test_the_key_is_never_shown(server, model):
    server.reply(
        body=json.dumps({"message": f"rate limit exceeded: {KEY}", "id": "r1"}), status=429
    )
    with pytest.raises(llm.RateLimitError) as caught:
        await model.generate("hi")
    assert caught.value.retryable
    assert caught.value.request_id == "r1"
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.body} {model!r}"


@pytest.mark.row("PROV-09", "STRE-31", "ERRO-25")
async def test_an_answer_that_failed_gives_what_it_had(server, model):
    start = {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant"}}}
    said = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "So"}}}}
    end = {"type": "message-end", "delta": {"finish_reason": "TIMEOUT"}}
    events = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in (start, said, end))
    server.reply(body="".join(events), headers={"content-type": "text/event-stream"})
    whole = {
        "id": "r1",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "So"}]},
        "finish_reason": "TIMEOUT",
    }
    server.reply(body=json.dumps(whole), headers={"content-type": "application/json"})
    with pytest.raises(llm.BelugaError) as streamed:
        async with model.stream("hi") as stream:
            async for _ in stream:
                pass
    with pytest.raises(llm.BelugaError) as at_once:
        await model.generate("hi")
    for caught in (streamed, at_once):
        assert caught.value.partial.text == "So"
        assert caught.value.provider_code == "TIMEOUT"
    assert type(streamed.value) is type(at_once.value)


@pytest.mark.row("OPTI-27")
async def test_a_refused_option_is_an_error_where_asked_for():
    strict = CohereChatModel(api_key=KEY, unsupported_options="error")
    with pytest.raises(llm.UnsupportedOptionError, match="does not reason"):
        await strict.generate("hi", reasoning_effort="high")


@pytest.mark.row("PROV-09", "CONF-05", "ERRO-17", "REGI-12")
def test_configuration(monkeypatch):
    for name in ("COHERE_BASE_URL", "COHERE_API_KEY", "CO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for blank in (None, " "):
        if blank:
            monkeypatch.setenv("COHERE_API_KEY", blank)
        with pytest.raises(AuthenticationError) as caught:
            CohereChatModel()
        expected = "api_key is required: set COHERE_API_KEY or CO_API_KEY or pass api_key="
        assert caught.value.message == expected
    monkeypatch.setenv("CO_API_KEY", KEY)
    monkeypatch.setenv("COHERE_BASE_URL", "https://gateway.example/")
    made = llm.create("cohere/command-r7b-12-2024")
    assert isinstance(made, CohereChatModel)
    assert (made.qualified_id, made._config.base_url) == (
        "cohere/command-r7b-12-2024",
        "https://gateway.example",
    )
    with pytest.raises(ConfigError, match="region"):
        CohereChatModel(region="eu")


@pytest.mark.row("PROV-25", "CHAT-19")
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("command-a-03-2025", (False, False, True)),
        ("command-a-plus-05-2026", (True, True, True)),
        ("command-a-reasoning-08-2025", (True, False, True)),
        ("command-a-vision-07-2025", (False, True, None)),
        ("command-r-plus-08-2024", (False, False, True)),
        ("command-r", (False, False, True)),
        ("something-new", (None, None, None)),
    ],
)
def test_capabilities(name, facts):
    known = CohereChatModel(model=name, api_key=KEY).capabilities
    assert (known.reasoning, known.images, known.tools) == facts
    assert (known.stream_usage, known.n, known.audio) == (True, False, False)
    older = name in ("command-r", "command-r-plus-08-2024")
    assert ("required" in known.tool_choice) is not older


def test_the_face_is_its_list():
    import beluga_llm_cohere as face

    assert dir(face) == sorted(face.__all__)
    assert all(getattr(face, name) for name in face.__all__)


@pytest.mark.row("TEST-07")
def test_it_is_found_by_its_entry_point():
    found = importlib.metadata.entry_points(group="beluga_llm.providers", name="cohere")
    if not found:
        pytest.skip("beluga-llm-cohere is not installed here")
    assert next(iter(found)).load() is CohereChatModel
