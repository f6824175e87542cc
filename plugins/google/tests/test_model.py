"""The model classes: their configuration, and calls through HttpModel."""

from __future__ import annotations

import importlib.metadata
import json
from importlib.util import find_spec

import pytest
from msgspec.structs import replace
from support.gemini import frame, sse

import beluga_llm_google._model as module
from beluga_llm import (
    AIMessage,
    AuthenticationError,
    ConfigError,
    HumanMessage,
    ProviderUnavailableError,
    RateLimitError,
    Secret,
    StreamInterruptedError,
    SystemMessage,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    UnsupportedOptionWarning,
    create,
    from_dict,
    to_dict,
)
from beluga_llm.testing import FakeServer, Reply
from beluga_llm_google import GeminiChatModel, VertexChatModel

MODEL = "gemini-3.8-flash"
KEY = "test-key-1234"
USAGE = {
    "promptTokenCount": 3,
    "candidatesTokenCount": 2,
    "thoughtsTokenCount": 4,
    "totalTokenCount": 9,
}
FACTS = {"modelVersion": "gemini-3.8-flash-001", "responseId": "r1", "usageMetadata": USAGE}
STREAM = sse(
    frame({"text": "Hel"}, **FACTS),
    frame({"text": "lo!"}, **FACTS),
    frame({"text": "", "thoughtSignature": "c2ln"}, finish="STOP", **FACTS),
)
WHOLE = frame({"text": "Hello!"}, {"text": "", "thoughtSignature": "c2ln"}, finish="STOP", **FACTS)
VARIABLES = (
    "GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_API_KEY", "GOOGLE_BASE_URL",
    "VERTEX_API_KEY", "VERTEX_BASE_URL", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY",
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


class Answer:
    """A response that gives its body in pieces of seven bytes."""

    status = 200

    def __init__(self, body, kind):
        self.headers = {"content-type": kind}
        self.body = body

    async def read(self, until):
        piece, self.body = self.body[:7], self.body[7:]
        return piece

    def close(self):
        pass


class Wire:
    """A transport that answers from memory and keeps what it was sent."""

    def __init__(self, stream=STREAM):
        self.sent = []
        self.stream = stream

    async def request(self, request, *, until):
        self.sent.append(request)
        if ":streamGenerateContent" in request.url:
            return Answer(self.stream, "text/event-stream")
        counted = ":countTokens" in request.url
        body = {"totalTokens": 42} if counted else WHOLE
        return Answer(json.dumps(body).encode(), "application/json")

    async def aclose(self):
        pass

    @property
    def headers(self):
        """Those of the last request, by their names in small letters."""
        return {name.lower(): value for name, value in self.sent[-1].headers.items()}


def gemini(wire=None, **fields):
    return GeminiChatModel(
        **{"model": MODEL, "api_key": KEY, "transport": wire or Wire(), **fields}
    )


def vertex(wire=None, **fields):
    given = {"model": MODEL, "api_key": "token", "project": "my-project"}
    return VertexChatModel(**{**given, "transport": wire or Wire(), **fields})


# --- calls ------------------------------------------------------------------------------------


@pytest.mark.row("DIAL-05", "PAIN-09", "REAS-14")
@pytest.mark.parametrize("make", [gemini, vertex])
async def test_generate_and_stream_give_one_answer(make):
    model = make()
    whole = await model.generate("hi")
    async with model.stream("hi") as stream:
        texts = [chunk.delta async for chunk in stream if chunk.delta]
    assert texts == ["Hel", "lo!"]
    assert stream.message == whole
    assert whole.text == "Hello!"
    assert whole.parts[1].signature == "c2ln"
    assert (whole.model_id, whole.response_id) == ("gemini-3.8-flash-001", "r1")
    assert (whole.usage.output_tokens, whole.usage.total_tokens) == (6, 9)


@pytest.mark.row("PROV-06")
async def test_what_goes_over_the_wire():
    wire = Wire()
    model = gemini(wire, base_url="https://gateway.example/gemini/")
    await model.generate([HumanMessage("hi")], max_tokens=9)
    base = f"https://gateway.example/gemini/models/{MODEL}"
    assert (wire.sent[0].method, wire.sent[0].url) == ("POST", f"{base}:generateContent")
    assert wire.headers["x-goog-api-key"] == KEY
    assert "authorization" not in wire.headers
    assert json.loads(wire.sent[0].body) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 9},
    }
    async with model.stream("hi", model="gemini-2.5-pro") as stream:
        await stream.response()
    other = "https://gateway.example/gemini/models/gemini-2.5-pro"
    assert wire.sent[1].url == f"{other}:streamGenerateContent?alt=sse"
    assert KEY not in wire.sent[1].url


@pytest.mark.row("PROV-32")
async def test_what_goes_to_vertex():
    wire = Wire()
    model = vertex(wire, location="us-central1")
    await model.generate("hi")
    place = "https://us-central1-aiplatform.googleapis.com/v1/projects/my-project/locations"
    path = f"{place}/us-central1/publishers/google/models/{MODEL}"
    assert wire.sent[0].url == f"{path}:generateContent"
    assert wire.headers["authorization"] == "Bearer token"
    assert "x-goog-api-key" not in wire.headers
    async with model.stream("hi") as stream:
        await stream.response()
    assert wire.sent[1].url == f"{path}:streamGenerateContent?alt=sse"


@pytest.mark.row("TOKE-12")
@pytest.mark.parametrize("make", [gemini, vertex])
async def test_tokens_are_counted_by_the_api(make):
    wire = Wire()
    counted = await make(wire).count_tokens("hi")
    assert (counted.tokens, counted.exact) == (42, True)
    assert wire.sent[0].url.endswith(f"/{MODEL}:countTokens")
    assert not (await make(wire).count_tokens([SystemMessage("s")])).exact


@pytest.mark.row("PAIN-02", "STRE-31")
@pytest.mark.parametrize("make", [gemini, vertex])
async def test_a_cut_stream_is_interrupted(make):
    model = make(
        Wire(STREAM[: STREAM.index(b'data: {"candidates": [{"content": {"parts": [{"tex')])
    )
    with pytest.raises(StreamInterruptedError):
        async with model.stream("hi") as stream:
            await stream.response()
    model = make(Wire(STREAM[: STREAM.rindex(b"data:")]))
    with pytest.raises(StreamInterruptedError) as caught:
        async with model.stream("hi") as stream:
            await stream.response()
    assert caught.value.partial.text == "Hello!"


@pytest.mark.row("OPTI-27", "REAS-03")
async def test_what_is_left_out_is_warned_of_by_name():
    wire = Wire()
    model = gemini(wire)
    with pytest.warns(UnsupportedOptionWarning, match="frequency_penalty"):
        await model.generate("hi", frequency_penalty=0.5, reasoning_effort="low")
    config = json.loads(wire.sent[0].body)["generationConfig"]
    assert config["thinkingConfig"]["thinkingLevel"] == "low"
    assert "frequencyPenalty" not in config


LOOK_UP = ToolDefinition(
    "look_up",
    "Looks something up.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.mark.row("PAIN-11", "REAS-14", "TOOL-14", "PROV-17", "PROV-18")
@pytest.mark.parametrize("streamed", [False, True])
async def test_signatures_survive_a_conversation_with_tools(streamed):
    """Every part goes back as it came, through storage and over turns, ids where given."""
    parts = [
        {"text": "Thinking.", "thought": True},
        {"text": "Two calls: ", "thoughtSignature": "dDE="},
        {"functionCall": {"name": "look_up", "args": {"city": "Oslo"}}, "thoughtSignature": "YzE="},
        {"functionCall": {"name": "look_up", "args": {"city": "Rome"}}},
    ]
    first = frame(*parts, finish="STOP", **FACTS)
    wire = Wire(b"")

    async def request(sent, *, until):
        wire.sent.append(sent)
        if streamed:
            pieces = [frame(part) for part in parts] + [frame(finish="STOP", **FACTS)]
            return Answer(sse(*pieces), "text/event-stream")
        return Answer(json.dumps(first).encode(), "application/json")

    wire.request = request
    model = gemini(wire)

    async def ask(history):
        if not streamed:
            return await model.generate(history, tools=[LOOK_UP])
        async with model.stream(history, tools=[LOOK_UP]) as stream:
            return await stream.response()

    history = [HumanMessage("Where?")]
    for _ in range(3):
        answer = await ask(history)
        history = [
            *history,
            answer,
            *[ToolMessage(call.args["city"], tool_call_id=call.id) for call in answer.tool_calls],
        ]
        history = [from_dict(json.loads(json.dumps(to_dict(message)))) for message in history]
    await ask([*history, HumanMessage("And now?")])
    turns = json.loads(wire.sent[-1].body)["contents"]
    assert [turn["role"] for turn in turns] == ["user", *["model", "user"] * 3]
    results = [
        {"functionResponse": {"name": "look_up", "response": {"output": city}}}
        for city in ("Oslo", "Rome")
    ]
    assert [turn["parts"] for turn in turns[1::2]] == [parts] * 3
    assert [turn["parts"] for turn in turns[2::2]] == [
        results,
        results,
        [*results, {"text": "And now?"}],
    ]


# --- over a socket ----------------------------------------------------------------------------


@pytest.fixture(params=["google", "vertex"])
async def served(request):
    """A fake server, and a model that asks it."""
    async with FakeServer(key=KEY) as server:
        if request.param == "google":
            where = server.base_url("generate_content")
            model = GeminiChatModel(model=MODEL, api_key=KEY, base_url=where)
        else:
            model = VertexChatModel(model=MODEL, api_key=KEY, base_url=server.url, project="p")
        async with model:
            yield server, model
        assert not server.errors


@pytest.mark.row("TEST-01", "TOKE-12", "PROV-06", "PROV-32")
async def test_answers_over_a_socket(served):
    server, model = served
    call = ToolCall("", "look_up", '{"city": "Oslo"}', "c2ln", "x")
    server.reply(AIMessage([ThinkingPart("Hm."), "It is "], tool_calls=[call]), times=2)
    whole = await model.generate("hi", tools=[LOOK_UP])
    async with model.stream("hi", tools=[LOOK_UP]) as stream:
        streamed = await stream.response()
    for answer in (whole, streamed):
        assert (answer.text, answer.thinking) == ("It is ", "Hm.")
        assert [call.args for call in answer.tool_calls] == [{"city": "Oslo"}]
        assert [call.signature for call in answer.tool_calls] == ["c2ln"]
    assert (await model.count_tokens("hi")).exact


@pytest.mark.row("TEST-01", "TEST-13", "STRE-22")
async def test_errors_over_a_socket(served):
    server, model = served
    server.reply(RateLimitError("slow down", retry_after=0.5), times=2)
    with pytest.raises(RateLimitError, match="slow down") as caught:
        await model.generate("hi")
    assert caught.value.retry_after == 0.5
    assert caught.value.provider == model.provider
    with pytest.raises(RateLimitError, match="slow down"):
        async with model.stream("hi") as stream:
            await stream.response()
    server.reply(Reply("one two three", error="broken", error_after=2))
    with pytest.raises(ProviderUnavailableError, match="broken"):
        async with model.stream("hi") as stream:
            await stream.response()
    assert stream.message.text
    async with type(model)(model._config, api_key="other") as other:
        with pytest.raises(AuthenticationError):
            await other.generate("hi")


@pytest.mark.row("STRE-04")
async def test_a_stream_that_is_left_is_closed(served):
    server, model = served
    server.reply(Reply("word " * 2000, chunk_delay=0.01))
    async with model.stream("hi") as stream:
        async for _ in stream:
            break
    await server.disconnected()


# --- configuration ----------------------------------------------------------------------------


@pytest.mark.row("CONF-05")
async def test_the_key_is_found_in_three_variables(environment):
    names = "GOOGLE_API_KEY or GEMINI_API_KEY or GOOGLE_GENAI_API_KEY"
    with pytest.raises(AuthenticationError, match=f"set {names} or pass api_key="):
        GeminiChatModel(model=MODEL)
    environment.setenv("OPENAI_API_KEY", "sk-of-another")
    environment.setenv("GOOGLE_API_KEY", "  ")
    with pytest.raises(AuthenticationError, match="api_key is required"):
        GeminiChatModel(model=MODEL)
    for name in ("GOOGLE_GENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        environment.setenv(name, f"of {name}")
        wire = Wire()
        await GeminiChatModel(model=MODEL, transport=wire).generate("hi")
        assert wire.headers["x-goog-api-key"] == f"of {name}"
        base = "https://generativelanguage.googleapis.com/v1beta"
        assert wire.sent[0].url == f"{base}/models/{MODEL}:generateContent"
    environment.setenv("GOOGLE_BASE_URL", "https://here.example/v1beta/")
    await GeminiChatModel(model=MODEL, transport=wire).generate("hi")
    assert wire.sent[1].url.startswith("https://here.example/v1beta/models/")
    with pytest.raises(ConfigError, match="model is required"):
        GeminiChatModel(api_key=KEY)
    with pytest.raises(ConfigError, match="location"):
        gemini(location="eu")
    assert KEY not in repr(gemini())


@pytest.mark.row("PROV-32")
def test_vertex_needs_a_project(environment):
    text = "project is required: set GOOGLE_CLOUD_PROJECT or pass project="
    with pytest.raises(ConfigError, match=text):
        VertexChatModel(model=MODEL, api_key="token")
    with pytest.raises(ConfigError, match="project"):
        vertex(project=3)
    with pytest.raises(ConfigError, match="region"):
        vertex(region="eu")
    environment.setenv("GOOGLE_CLOUD_PROJECT", "from-environment")
    model = VertexChatModel(model=MODEL, api_key="token")
    assert model._config.base_url == "https://aiplatform.googleapis.com"
    path = model.dialect.model_path("m")
    assert path == "/v1/projects/from-environment/locations/global/publishers/google/models/m"


@pytest.mark.row("PROV-32")
@pytest.mark.parametrize(
    ("location", "server"),
    [
        (None, "aiplatform.googleapis.com"),
        (" ", "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_a_location_has_its_server(environment, location, server):
    model = vertex(location=location)
    assert model._config.base_url == f"https://{server}"
    place = (location or "").strip() or "global"
    assert f"/locations/{place}/" in model.dialect.model_path("m")
    environment.setenv("GOOGLE_CLOUD_LOCATION", "asia-east1")
    found = vertex(location=location)._config.base_url
    blank = place == "global" and location != "global"
    assert found == f"https://{'asia-east1-aiplatform.googleapis.com' if blank else server}"


@pytest.mark.row("PROV-32")
@pytest.mark.parametrize("location", ["evil.example/", "a@b", "A", "us central"])
def test_a_location_is_a_name(location):
    with pytest.raises(ConfigError, match="location must be a name such as 'us-central1'"):
        vertex(location=location)


def test_the_server_of_vertex_may_be_given(environment):
    assert vertex(base_url="https://gw.example/")._config.base_url == "https://gw.example"
    environment.setenv("VERTEX_BASE_URL", "https://here.example")
    assert vertex()._config.base_url == "https://here.example"


@pytest.mark.row("PROV-32")
@pytest.mark.parametrize("given", ["token", Secret("token"), lambda: "token"])
async def test_an_access_token_may_be_given(given):
    wire = Wire()
    await vertex(wire, api_key=given).generate("hi")
    assert wire.headers["authorization"] == "Bearer token"


@pytest.mark.row("PROV-32")
async def test_without_a_token_credentials_are_found_by_google_auth(monkeypatch):
    asked = []

    class Signer:
        async def sign(self, request):
            headers = {**request.headers, "Authorization": "Bearer found"}
            return replace(request, headers=headers)

    def signer(config):
        asked.append((config.provider, config.option("project", str)))
        return Signer()

    monkeypatch.setattr(module, "google_signer", signer)
    wire = Wire()
    await vertex(wire, api_key=None).generate("hi")
    assert asked == [("vertex", "my-project")]
    assert wire.headers["authorization"] == "Bearer found"
    vertex(wire)
    assert len(asked) == 1


@pytest.mark.row("PROV-32")
def test_google_auth_is_an_extra():
    try:
        installed = all(map(find_spec, ("google.auth", "requests")))
    except ModuleNotFoundError:  # not even the package `google`
        installed = False
    if installed:
        assert vertex(api_key=None).provider == "vertex"
        return
    with pytest.raises(ConfigError, match="pip install.*google-auth"):
        vertex(api_key=None)


@pytest.mark.row("REGI-25", "PROV-06")
def test_gemini_is_another_name_of_google():
    for name in ("google", "gemini"):
        model = create(f"{name}/{MODEL}", api_key=KEY)
        assert type(model) is GeminiChatModel
        assert (model.provider, model.model_id) == ("google", MODEL)
    model = create(f"vertex/{MODEL}", api_key=KEY, project="p")
    assert (type(model), model.provider) == (VertexChatModel, "vertex")


def test_they_are_found_by_their_entry_points():
    for name, made in (
        ("google", GeminiChatModel),
        ("gemini", GeminiChatModel),
        ("vertex", VertexChatModel),
    ):
        found = importlib.metadata.entry_points(group="beluga_llm.providers", name=name)
        if not found:
            pytest.skip("beluga-llm-google is not installed here")
        assert next(iter(found)).load() is made


def test_the_face_is_its_list():
    import beluga_llm_google as face

    assert dir(face) == sorted(face.__all__)
    assert all(getattr(face, name) for name in face.__all__)
    with pytest.raises(AttributeError):
        _ = face.nothing
