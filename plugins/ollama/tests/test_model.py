"""The model class: addresses, keys and options, and calls through a real socket."""

from __future__ import annotations

import importlib.metadata
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    ConfigError,
    HumanMessage,
    ImagePart,
    ModelNotFoundError,
    ProviderUnavailableError,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    UnsupportedContentError,
    UnsupportedOptionError,
    UnsupportedOptionWarning,
    Usage,
)
from beluga_llm.testing import FakeServer, assert_conforms
from beluga_llm_ollama import OllamaChatDialect, OllamaChatModel, OllamaDialect
from beluga_llm_ollama._host import host_url

WEATHER = ToolDefinition("weather", "", {"type": "object", "properties": {}})
APIS = {"native": "ollama", "chat": "chat"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with FakeServer() as running:
        yield running


@pytest.fixture(params=APIS)
async def model(request, server):
    url = server.base_url(APIS[request.param])
    async with OllamaChatModel(model="qwen3", base_url=url, api=request.param) as made:
        yield made


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.row("PROV-10")
@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("1.2.3.4:56789", "http://1.2.3.4:56789"),
        (":56789", "http://127.0.0.1:56789"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[0001:002:003:0004::1]", "http://[0001:002:003:0004::1]:11434"),
        ("[0001:002:003:0004::1]:56789", "http://[0001:002:003:0004::1]:56789"),
        ("example.com", "http://example.com:11434"),
        ("example.com/", "http://example.com:11434"),
        ("example.com:56789/path/", "http://example.com:56789/path"),
        ("http://example.com", "http://example.com"),
        ("https://example.com:56789/path", "https://example.com:56789/path"),
        ("https://user:word@example.com", "https://user:word@example.com"),
        ('"http://example.com"', "http://example.com"),
        ("https://ollama.com", "https://ollama.com"),
        ("https://ollama.com/api", "https://ollama.com"),
        ("http://localhost:11434/v1/", "http://localhost:11434"),
    ],
)
def test_addresses_are_read_as_ollama_reads_them(monkeypatch, given, url):
    monkeypatch.setenv("OLLAMA_HOST", given)
    prepare = OllamaChatModel.spec.prepare
    assert prepare(llm.ProviderConfig(model="m")).base_url == url
    monkeypatch.setenv("OLLAMA_HOST", "elsewhere")
    assert prepare(llm.ProviderConfig(model="m", base_url=given)).base_url == url


@given(st.text(max_size=12))
def test_any_text_is_read(text):
    assert "://" in host_url(text)


@pytest.mark.row("PROV-10", "CONF-05", "PROV-28")
def test_the_usual_address_is_this_machine_without_a_key(monkeypatch):
    config = OllamaChatModel.spec.prepare(llm.ProviderConfig(model="m"))
    assert (config.base_url, config.api_key) == ("http://localhost:11434", None)
    monkeypatch.setenv("OLLAMA_HOST", "  ")
    assert OllamaChatModel.spec.prepare(config).base_url == "http://localhost:11434"
    monkeypatch.setenv("OLLAMA_API_KEY", " a-key ")
    key = OllamaChatModel.spec.prepare(llm.ProviderConfig(model="m")).api_key
    assert key.reveal() == "a-key"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "model is required"),
        ({"model": "m", "api": "responses"}, "api"),
        ({"model": "m", "num_ctx": 5}, "num_ctx"),
        ({"model": "m", "base_url": "ftp://x"}, "base_url must start with http"),
        ({"model": "m", "base_url": "host:port"}, "base_url is not an address"),
        ({"model": "m", "base_url": 3}, "base_url must be a str"),
    ],
)
def test_what_is_wrong_is_named(fields, text):
    with pytest.raises(ConfigError, match=text):
        OllamaChatModel(**fields)


def test_the_api_chooses_the_dialect():
    assert type(OllamaChatModel(model="m").dialect) is OllamaDialect
    assert type(OllamaChatModel(model="m", api="native").dialect) is OllamaDialect
    assert type(OllamaChatModel(model="m", api="chat").dialect) is OllamaChatDialect
    made = llm.create("ollama/hf.co/unsloth/Qwen3-GGUF:Q4_K_M")
    assert made.model_id == "hf.co/unsloth/Qwen3-GGUF:Q4_K_M"


# --- calls ---------------------------------------------------------------------------------------


@pytest.mark.row("DIAL-05", "PAIN-09", "TEST-01", "PROV-10")
async def test_generate_and_stream_give_one_answer(model, server):
    answer = AIMessage(
        [ThinkingPart("Let me see."), TextPart("It rains.")],
        tool_calls=[ToolCall("c1", "weather", '{"city":"Paris"}')],
        usage=Usage(3, 4),
        response_id="r1",
    )
    server.reply(answer, times=2)
    whole = await model.generate("hi", tools=[WEATHER])
    async with model.stream("hi", tools=[WEATHER]) as stream:
        texts = [chunk.delta async for chunk in stream if chunk.delta]
    assert texts == ["It", " rains."]
    assert replace_id(stream.message) == replace_id(whole)
    assert (whole.parts, whole.tool_calls) == (answer.parts, answer.tool_calls)
    assert (whole.usage, whole.finish_reason) == (answer.usage, "tool_calls")
    assert server.errors == []


def replace_id(message):
    return llm.replace(message, response_id=None, raw_finish_reason=None)


async def test_what_goes_over_the_wire(server):
    model = OllamaChatModel(model="qwen3", base_url=server.url.removeprefix("http://"))
    async with model:
        server.reply("Hi", times=2)
        await model.generate("hi", max_tokens=9)
        await model.stream("hi").response()
    first, second = server.requests
    assert (first.method, first.path, second.path) == ("POST", "/api/chat", "/api/chat")
    assert (first.headers["accept"], second.headers["accept"]) == (
        "application/json",
        "application/x-ndjson",
    )
    assert "authorization" not in first.headers
    assert (first.json["options"], first.json["stream"]) == ({"num_predict": 9}, False)
    assert second.json["stream"] is True


@pytest.mark.row("PROV-28")
async def test_a_key_is_a_bearer_token_and_is_never_shown(server):
    server.key = "the-real-key"
    async with OllamaChatModel(model="m", base_url=server.url, api_key="the-wrong-key") as model:
        with pytest.raises(llm.AuthenticationError) as caught:
            await model.generate("hi")
    assert server.requests[0].headers["authorization"] == "Bearer the-wrong-key"
    assert "the-wrong-key" not in f"{caught.value} {caught.value.body} {model!r}"


@pytest.mark.row("STRE-04", "PAIN-03")
async def test_leaving_a_stream_closes_it_at_once(model, server):
    server.reply("one two three four five six", chunk_delay=0.05)
    async with model.stream("hi") as stream:
        async for chunk in stream:
            if chunk.delta:
                break
    await server.disconnected(within=1.0)
    assert not server.requests[0].finished


@pytest.mark.row("ERRO-05", "STRE-22", "PAIN-02")
async def test_errors_through_the_socket(model, server):
    server.reply(status=404)
    with pytest.raises(ModelNotFoundError):
        await model.generate("hi")
    text = "an error was encountered while running the model"
    server.reply("one two three", error=text, error_after=3)
    with pytest.raises(ProviderUnavailableError, match=text) as caught:
        await model.stream("hi").response()
    assert "one two three".startswith(caught.value.partial.text)
    assert caught.value.partial.text
    server.reply("one two three", finish=False)
    with pytest.raises(StreamInterruptedError):
        await model.stream("hi").response()


@pytest.mark.row("REAS-14", "TOOL-14", "PAIN-11")
async def test_a_conversation_with_tools_and_reasoning_goes_round(model, server):
    server.reply(
        AIMessage(
            [ThinkingPart("A tool.")], tool_calls=[ToolCall("", "weather", '{"city":"Rome"}')]
        )
    )
    server.reply("It rains.")
    question = HumanMessage("Weather?")
    answer = await model.stream([question], tools=[WEATHER]).response()
    (call,) = answer.tool_calls
    assert call.id.startswith("call_")
    saved = json.loads(json.dumps([llm.to_dict(answer)]))
    history = [question, *map(llm.from_dict, saved), ToolMessage("rain", tool_call_id=call.id)]
    await model.generate(history, tools=[WEATHER])
    _, sent, result = server.requests[1].json["messages"]
    assert (sent.get("thinking") or sent["reasoning"]) == "A tool."
    assert sent["tool_calls"][0]["id"] == result["tool_call_id"] == call.id


@pytest.mark.row("TOOL-21")
async def test_names_of_tools_follow_the_usual_rule(model, server):
    with pytest.raises(llm.InvalidRequestError, match="'a b' is not allowed by ollama"):
        await model.generate("hi", tools=[ToolDefinition("a b")])
    assert server.requests == []


@pytest.mark.row("OPTI-27", "SCHE-15", "PROV-33")
async def test_the_rules_of_the_configuration_apply(server):
    picture = HumanMessage(["What?", ImagePart(url="https://x/a.png")])
    strict = {"unsupported_options": "error", "base_url": server.url}
    async with OllamaChatModel(model="m", **strict) as model:
        with pytest.raises(UnsupportedOptionError, match="tool_choice|cannot be made"):
            await model.generate("hi", tools=[WEATHER], tool_choice="required")
        with pytest.raises(UnsupportedContentError, match="image parts by URL"):
            await model.generate([picture])
    assert server.requests == []
    server.default = "Hi"
    async with OllamaChatModel(model="m", base_url=server.url) as model:
        with pytest.warns(UnsupportedOptionWarning, match="user"):
            await model.generate("hi", user="u")


# --- the rest ------------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
def test_the_command_line_finds_a_server_on_this_machine(monkeypatch, server):
    import asyncio

    from beluga_llm.cli._local import Served, served_model

    port = server.url.rpartition(":")[2]
    monkeypatch.setenv("OLLAMA_HOST", f"0.0.0.0:{port}")
    found = asyncio.run(served_model(OllamaChatModel.spec))
    assert found == Served("fake-model", f"http://127.0.0.1:{port}")
    assert OllamaChatModel.spec.local


@pytest.mark.row("PROV-23")
def test_it_has_the_form_of_a_model():
    assert_conforms(OllamaChatModel(model="m"))


def test_the_face_is_its_list():
    import beluga_llm_ollama as face

    assert dir(face) == sorted(face.__all__)
    assert all(getattr(face, name) for name in face.__all__)
    with pytest.raises(AttributeError):
        _ = face.nothing


def test_it_is_found_by_its_entry_point():
    found = importlib.metadata.entry_points(group="beluga_llm.providers", name="ollama")
    if not found:
        pytest.skip("beluga-llm-ollama is not installed here")
    assert next(iter(found)).load() is OllamaChatModel
