"""Claude on two clouds: addresses, credentials, and what requests look like there."""

from __future__ import annotations

import importlib.metadata
import json
import sys

import pytest

from beluga_llm import (
    AuthenticationError,
    ConfigError,
    FilePart,
    HumanMessage,
    ImagePart,
    ReasoningConfig,
    ResponseFormat,
    TextPart,
    ToolDefinition,
    ToolMessage,
    UnsupportedContentError,
)
from beluga_llm.testing import FakeServer
from beluga_llm_anthropic import (
    BedrockAnthropicChatModel,
    BedrockAnthropicDialect,
    VertexAnthropicChatModel,
    VertexAnthropicDialect,
)

MODELS = "/v1/projects/my-project/locations/eu/publishers/anthropic/models"
VARIABLES = (
    "ANTHROPIC_API_KEY", "AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "BEDROCK_ANTHROPIC_BASE_URL", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
    "VERTEX_ANTHROPIC_BASE_URL",
)  # fmt: skip
CLAUDE = "claude-sonnet-4-5@20250929"
ON_BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def vertex(**fields):
    given = {"model": CLAUDE, "api_key": "ya29.token", "project": "my-project", "location": "eu"}
    return VertexAnthropicChatModel(**{**given, **fields})


def bedrock(**fields):
    return BedrockAnthropicChatModel(**{"model": ON_BEDROCK, "api_key": "bedrock-key", **fields})


def dialects():
    return (
        VertexAnthropicDialect(project="my-project", location="eu"),
        BedrockAnthropicDialect(),
    )


clouds = pytest.mark.parametrize("cloud", dialects(), ids=lambda cloud: cloud.provider)


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.row("PROV-35", "CONF-05")
@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "https://aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-east5", "https://us-east5-aiplatform.googleapis.com"),
    ],
)
def test_a_location_has_its_server(location, host):
    assert vertex(location=location)._config.base_url == host


@pytest.mark.row("PROV-35", "CONF-05", "CONF-13")
def test_project_and_location_come_from_variables(monkeypatch):
    with pytest.raises(ConfigError) as caught:
        vertex(project=None)
    assert caught.value.message == (
        "project is required: set GOOGLE_CLOUD_PROJECT or pass project="
    )
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "env-project")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "asia-southeast1")
    model = vertex(project=None, location=None)
    assert model._config.base_url == "https://asia-southeast1-aiplatform.googleapis.com"
    path = model.dialect.envelope.path
    assert path.startswith("/v1/projects/env-project/locations/asia-southeast1/publishers/")
    assert vertex()._config.base_url == "https://aiplatform.eu.rep.googleapis.com"


@pytest.mark.row("PROV-35", "CONF-05", "CONF-13")
def test_the_region_comes_from_variables(monkeypatch):
    assert bedrock()._config.base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert bedrock()._config.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert bedrock()._config.base_url == "https://bedrock-runtime.eu-west-2.amazonaws.com"
    assert bedrock(region="us-west-2")._config.base_url == (
        "https://bedrock-runtime.us-west-2.amazonaws.com"
    )
    monkeypatch.setenv("BEDROCK_ANTHROPIC_BASE_URL", "https://vpce.example/")
    assert bedrock()._config.base_url == "https://vpce.example"


@pytest.mark.row("CONF-04")
def test_blank_names_count_as_none():
    assert bedrock(region=" ")._config.base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
    signers = [bedrock(region=name, api_key=None)._sealer._signer for name in (" ", " eu-west-2 ")]
    assert [signer._region for signer in signers] == ["us-east-1", "eu-west-2"]
    assert vertex(location=" ")._config.base_url == "https://aiplatform.googleapis.com"
    assert "/locations/global/" in vertex(location=" ").dialect.envelope.path


@pytest.mark.parametrize("name", ["evil.example/", "a b", "x#", "EU"])
def test_a_name_that_would_choose_another_server_is_refused(name):
    with pytest.raises(ConfigError, match="location must be a name") as caught:
        vertex(location=name)
    assert (caught.value.op, caught.value.provider) == ("vertex-anthropic.new", "vertex-anthropic")
    with pytest.raises(ConfigError, match="region must be a name"):
        bedrock(region=name)


@pytest.mark.row("CONF-01", "CONF-03")
@pytest.mark.parametrize("make", [vertex, bedrock])
def test_wrong_configuration(make):
    for fields, words in (
        ({"model": None}, "model is required"),
        ({"betas": 7}, "betas"),
        ({"zone": "eu"}, "zone"),
    ):
        with pytest.raises(ConfigError, match=words):
            make(**fields)


# --- credentials ---------------------------------------------------------------------------------


@pytest.mark.row("PROV-35", "PROV-28", "DIAL-06", "CONF-19")
async def test_a_key_is_sent_as_a_bearer_token():
    async with FakeServer("hi") as server:
        for model, key in (
            (vertex(base_url=server.url), "ya29.token"),
            (vertex(base_url=server.url, api_key=lambda: "ya29.newer"), "ya29.newer"),
            (bedrock(base_url=server.url), "bedrock-key"),
        ):
            await model.generate("hi")
            headers = server.requests[-1].headers
            assert headers["authorization"] == f"Bearer {key}"
            assert "x-api-key" not in headers
            assert "anthropic-version" not in headers
            await model.aclose()


@pytest.mark.row("PROV-35", "CONF-05")
async def test_bedrocks_key_comes_from_its_variable(monkeypatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "env-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another provider's")
    async with FakeServer("hi") as server, bedrock(api_key=None, base_url=server.url) as model:
        await model.generate("hi")
        assert server.requests[0].headers["authorization"] == "Bearer env-key"


@pytest.mark.row("PROV-35", "DIAL-06", "ERRO-31")
async def test_without_a_key_requests_to_bedrock_are_signed(monkeypatch):
    pytest.importorskip("botocore.session", reason="the extra `bedrock` is not installed")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    async with (
        FakeServer("hi") as server,
        bedrock(api_key=None, base_url=server.url, region="eu-west-1") as model,
    ):
        await model.generate("hi")
        headers = server.requests[0].headers
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDTEST/")
        assert "/eu-west-1/bedrock/aws4_request" in headers["authorization"]
        assert headers["x-amz-security-token"] == "session-token"
        server.reply(status=400, error="saw session-token")
        with pytest.raises(ValueError, match=r"saw \*\*\*"):
            await model.generate("hi")


@pytest.mark.row("PROV-24", "PROV-35")
def test_libraries_for_credentials_are_asked_for_by_name(monkeypatch):
    for name in ("google", "google.auth", "requests", "botocore"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install 'google-auth\[requests\]'"):
        vertex(api_key=None)
    with pytest.raises(ConfigError, match="pip install 'botocore'"):
        bedrock(api_key=None)
    assert vertex().qualified_id == f"vertex-anthropic/{CLAUDE}"
    assert bedrock().qualified_id == f"bedrock-anthropic/{ON_BEDROCK}"


@pytest.mark.row("PROV-35", "DIAL-06")
async def test_without_a_token_google_is_asked_for_one(monkeypatch, tmp_path):
    pytest.importorskip("google.auth.transport.requests", reason="the extra `vertex` is missing")
    path = tmp_path / "credentials.json"
    path.write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    async with FakeServer("hi") as server, vertex(api_key=None, base_url=server.url) as model:
        with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
            await model.generate("hi")
        assert server.requests == []


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-35")
def test_the_envelope_of_google_cloud(encode):
    cloud = dialects()[0]
    sent = encode(to=cloud, model=CLAUDE, max_tokens=9)
    assert sent.path == f"{MODELS}/{CLAUDE}:rawPredict"
    assert sent.headers == {}
    assert sent.json == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    sent = encode(to=cloud, model="claude x/y", streaming=True, provider_options={
        "vertex-anthropic": {"betas": ["b1"], "top_k": 3}
    })  # fmt: skip
    assert sent.path == f"{MODELS}/claude%20x%2Fy:streamRawPredict"
    assert sent.headers == {"anthropic-beta": "b1"}
    assert (sent.json["stream"], sent.json["top_k"]) == (True, 3)
    assert "model" not in sent.json


@pytest.mark.row("PROV-35")
def test_the_envelope_of_bedrock(encode):
    cloud = BedrockAnthropicDialect(betas=("b0",))
    sent = encode(to=cloud, model=ON_BEDROCK, max_tokens=9)
    assert sent.path == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
    assert sent.headers == {"Accept": "application/json"}
    assert sent.json == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["b0"],
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    sent = encode(to=cloud, streaming=True, model="arn:aws:bedrock:eu-west-1:1:inference-profile/x",
                  provider_options={"anthropic": {"betas": "b1,b0"}})  # fmt: skip
    assert sent.path == (
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx"
        "/invoke-with-response-stream"
    )
    assert sent.json["anthropic_beta"] == ["b0", "b1"]
    assert not {"stream", "model"} & sent.json.keys()


@pytest.mark.row("PROV-35")
def test_another_version_may_be_asked_for(encode):
    cloud = BedrockAnthropicDialect(api_version="bedrock-2027-01-01")
    assert encode(to=cloud).json["anthropic_version"] == "bedrock-2027-01-01"
    own = {"anthropic": {"anthropic_version": "x"}}
    assert encode(to=cloud, provider_options=own).json["anthropic_version"] == "x"
    assert vertex(api_version="v").dialect.api_version == "v"
    assert bedrock(betas=["a"]).dialect.betas == ("a",)


@pytest.mark.row("PROV-35", "PROV-05", "REAS-10", "TOOL-11")
@clouds
def test_what_a_model_takes_is_the_same_everywhere(encode, body, cloud):
    """The body is Anthropic's own, but for what the envelope changes."""
    tool = ToolDefinition("f", "d", {"type": "object", "properties": {}}, strict=True)
    options = {
        "tools": [tool],
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "stop": "END",
        "response_format": ResponseFormat.json_schema({"type": "object", "properties": {}}),
        "model": "claude-opus-4-6",
        "reasoning": ReasoningConfig("high"),
        "user": "u",
    }
    wanted = body(**options)
    assert wanted.pop("model") == "claude-opus-4-6"
    sent = dict(encode(to=cloud, **options).json)
    assert sent.pop("anthropic_version") == cloud.default_version
    assert sent == wanted
    assert sent["output_config"]["format"]["type"] == "json_schema"
    assert cloud.capabilities("claude-opus-4-6").json_schema is True


@pytest.mark.row("PROV-35", "PROV-17", "SCHE-15", "OPTI-27")
@clouds
@pytest.mark.parametrize(
    ("part", "how"),
    [
        (ImagePart(url="https://x.example/y.png"), "image parts by URL"),
        (ImagePart(file_id="file_1"), "image parts by file id"),
        (FilePart(url="https://x.example/y.pdf"), "file parts by URL"),
        (FilePart(file_id="file_1"), "file parts by file id"),
        (FilePart(url="https://x.example/y.png", mime_type="image/png"), "file parts by URL"),
    ],
)
def test_data_are_taken_only_in_the_request(encode, cloud, part, how):
    said = HumanMessage([TextPart("see"), part])
    result = ToolMessage([part, TextPart("done")], tool_call_id="t")
    sent = encode(said, result, to=cloud)
    (turn,) = sent.json["messages"]
    assert "source" not in json.dumps(turn)
    (note,) = sent.notes
    assert (note.kind, note.name) == ("content", part.type)
    assert note.text == f"{how} are not supported by {cloud.provider}"
    assert "anthropic_beta" not in sent.json


@pytest.mark.row("PROV-35", "SCHE-15")
@clouds
def test_a_message_of_nothing_else_is_refused(encode, cloud):
    with pytest.raises(UnsupportedContentError, match="image parts by URL are not supported"):
        encode(HumanMessage([ImagePart(url="https://x.example/y.png")]), to=cloud)


@pytest.mark.row("PROV-35", "PROV-17")
@clouds
def test_data_in_the_request_are_taken(encode, cloud):
    parts = [ImagePart(b"\x89PNG"), FilePart(b"%PDF", name="a"), FilePart(b"t", mime_type="text/x")]
    sent = encode(HumanMessage(parts), to=cloud)
    sources = [block["source"]["type"] for block in sent.json["messages"][0]["content"]]
    assert sources == ["base64", "base64", "text"]
    assert sent.notes == ()


# --- counting tokens -----------------------------------------------------------------------------

TOOL = ToolDefinition("f", "d", {"type": "object", "properties": {}})
COUNTED = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "system": [{"type": "text", "text": "Be brief."}],
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "tools": [{"name": "f", "description": "d", "input_schema": TOOL.input_schema}],
}


@pytest.fixture
def count(encode, monkeypatch):
    """The request that counts what a request would send."""
    from beluga_llm import ChatRequest, GenerateOptions, SystemMessage

    def run(to, model="claude-sonnet-4-5", **options):
        made = GenerateOptions(model=model, reasoning=ReasoningConfig("low"), **options)
        messages = (SystemMessage("Be brief."), HumanMessage(["hi", *options.pop("parts", ())]))
        return to.count_request(ChatRequest(messages, made, (TOOL,), streaming=True))

    return run


@pytest.mark.row("TOKE-12", "CHAT-24")
def test_anthropic_counts(dialect, count):
    sent = count(dialect, max_tokens=9000, stop="END", n=2, temperature=0.3)
    assert sent.path == "/v1/messages/count_tokens"
    assert sent.headers == {"anthropic-version": "2023-06-01"}
    assert sent.json == {"model": "claude-sonnet-4-5", **COUNTED}
    assert sent.notes == ()
    assert dialect.counted({"input_tokens": 7}) == 7
    assert dialect.counted({}) is None
    assert dialect.capabilities("claude-sonnet-4-5").count_tokens is True


@pytest.mark.row("TOKE-12", "PROV-35")
def test_google_cloud_counts(count):
    sent = count(dialects()[0], model=CLAUDE)
    assert sent.path == f"{MODELS}/count-tokens:rawPredict"
    assert sent.headers == {}
    assert sent.json == {
        "model": CLAUDE, "anthropic_version": "vertex-2023-10-16", **COUNTED,
    }  # fmt: skip


@pytest.mark.row("TOKE-12", "PROV-35")
@pytest.mark.parametrize(
    "model", ["anthropic.claude-sonnet-4-5-20250929-v1:0", ON_BEDROCK, "global." + ON_BEDROCK[3:]]
)
def test_bedrock_counts_for_the_model_behind_a_profile(count, model):
    from base64 import b64decode

    sent = count(BedrockAnthropicDialect(), model=model)
    assert sent.path == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"
    body = json.loads(b64decode(sent.json["input"]["invokeModel"]["body"]))
    assert body == {
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 2048 + 4096, **COUNTED,
    }  # fmt: skip
    assert BedrockAnthropicDialect().counted({"inputTokens": 7}) == 7
    assert BedrockAnthropicDialect().capabilities(model).count_tokens is True


@pytest.mark.row("TOKE-12", "PROV-35")
@pytest.mark.parametrize(
    "model",
    ["us.anthropic.claude-opus-4-8", "arn:aws:bedrock:eu-west-1:1:inference-profile/x", "other"],
)
def test_bedrock_does_not_count_for_all_models(count, model):
    assert count(BedrockAnthropicDialect(), model=model) is None
    assert BedrockAnthropicDialect().capabilities(model).count_tokens is False


@pytest.mark.row("TOKE-12", "SCHE-15")
@clouds
def test_parts_that_are_not_counted_are_noted(cloud, count):
    from beluga_llm import ChatRequest, GenerateOptions

    messages = (HumanMessage(["hi", ImagePart(url="https://x.example/y.png")]),)
    options = GenerateOptions(model=ON_BEDROCK, seed=5)
    sent = cloud.count_request(ChatRequest(messages, options))
    assert [(note.kind, note.name) for note in sent.notes] == [("content", "image")]


@pytest.mark.row("TOKE-12", "CHAT-24", "ERRO-16")
async def test_models_count(monkeypatch):
    from beluga_llm_anthropic import AnthropicChatModel

    async with FakeServer() as server:
        models = (
            AnthropicChatModel(model="claude-x", api_key="k-12345678", base_url=server.url),
            vertex(base_url=server.url),
        )
        for model in models:
            count = await model.count_tokens("two words")
            assert (count.tokens, count.exact) == (2, True)
            await model.aclose()
        server.reply(b'{"inputTokens": 5}', path="/count-tokens")
        async with bedrock(base_url=server.url) as model:
            count = await model.count_tokens("two words")
            assert (count.tokens, count.exact) == (5, True)
            other = bedrock(base_url=server.url, model="us.anthropic.claude-opus-5")
            assert (await other.count_tokens("two words")).exact is False


# --- the whole way -------------------------------------------------------------------------------


@pytest.mark.row("PROV-35", "DIAL-05", "PAIN-09", "PAIN-03")
@pytest.mark.parametrize("make", [vertex, bedrock])
async def test_generate_and_stream_give_one_answer(make):
    async with FakeServer("Hello, dear world") as server, make(base_url=server.url) as model:
        whole = await model.generate("hi")
        async with model.stream("hi") as stream:
            text = "".join([chunk.delta async for chunk in stream])
        assert text == whole.text == "Hello, dear world"
        assert stream.message.parts == whole.parts
        assert stream.message.usage == whole.usage
        assert stream.message.finish_reason == whole.finish_reason == "stop"
        assert server.requests[1].streaming
        server.reply("Hello, dear world", chunk_delay=0.01)
        async with model.stream("hi") as stream:
            await anext(stream)
        await server.disconnected()


def test_they_are_found_by_their_entry_points():
    found = importlib.metadata.entry_points(group="beluga_llm.providers")
    loaded = {point.name: point.load() for point in found if point.name.endswith("-anthropic")}
    if not loaded:
        pytest.skip("beluga-llm-anthropic is not installed here")
    assert loaded == {
        "bedrock-anthropic": BedrockAnthropicChatModel,
        "vertex-anthropic": VertexAnthropicChatModel,
    }


@pytest.mark.row("HEAL-03")
def test_clouds_have_no_list_to_be_probed_with():
    """One token is asked for instead."""
    assert VertexAnthropicDialect(project="my-project").probe_request(None) is None
    assert BedrockAnthropicDialect().probe_request(None) is None
