"""The model class: its configuration and credentials, and calls over a socket."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys

import pytest

from beluga_llm import (
    AIMessage,
    AuthenticationError,
    ConfigError,
    HumanMessage,
    ProviderConfig,
    RateLimitError,
    Secret,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    UnsupportedContentError,
    UnsupportedOptionWarning,
    Usage,
    from_dict,
    to_dict,
)
from beluga_llm.plugin import OpenAIChatDialect, OpenAIResponsesDialect
from beluga_llm.testing import FakeServer, Reply
from beluga_llm_bedrock import BedrockChatModel, ConverseDialect

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"
TOOLS = [ToolDefinition("weather", "", {"type": "object", "properties": {}})]


def address(model):
    return model._config.base_url


# --- configuration ----------------------------------------------------------------------------


@pytest.mark.row("PROV-07", "CONF-05")
def test_the_address_follows_region_and_api(monkeypatch):
    assert address(BedrockChatModel(model="m", api_key="k")) == (
        "https://bedrock-runtime.us-east-1.amazonaws.com"
    )
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert "eu-west-1" in address(BedrockChatModel(model="m", api_key="k"))
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert "eu-west-3" in address(BedrockChatModel(model="m", api_key="k"))
    for api in ("chat", "responses"):
        model = BedrockChatModel(model="m", api_key="k", region="us-west-2", api=api)
        assert address(model) == "https://bedrock-mantle.us-west-2.api.aws/v1"
    monkeypatch.setenv("BEDROCK_BASE_URL", "https://gateway.example/aws/")
    assert address(BedrockChatModel(model="m", api_key="k")) == "https://gateway.example/aws"


@pytest.mark.row("PROV-07")
def test_the_api_chooses_the_format():
    kinds = {
        "converse": ConverseDialect,
        "chat": OpenAIChatDialect,
        "responses": OpenAIResponsesDialect,
    }
    for api, kind in kinds.items():
        model = BedrockChatModel(model="m", api_key="k", api=api)
        assert type(model.dialect) is kind
        assert (model.provider, model.qualified_id) == ("bedrock", "bedrock/m")


@pytest.mark.row("REGI-12", "CONF-03", "ERRO-28")
def test_wrong_configurations():
    with pytest.raises(ConfigError, match="model is required"):
        BedrockChatModel(api_key="k")
    with pytest.raises(ConfigError, match="api"):
        BedrockChatModel(model="m", api_key="k", api="invoke")
    with pytest.raises(ConfigError, match="region"):
        BedrockChatModel(model="m", api_key="k", region=3)
    with pytest.raises(ConfigError, match="regoin"):
        BedrockChatModel(model="m", api_key="k", regoin="us-east-1")


@pytest.mark.row("REGI-12", "CONF-09")
@pytest.mark.parametrize("api", ["converse", "responses"])
@pytest.mark.parametrize("region", ["x@evil.example:443/", "evil.example/", "a b", "x#", "EU"])
def test_a_region_that_would_choose_another_server_is_refused(region, api):
    with pytest.raises(ConfigError, match="region must be a name") as caught:
        BedrockChatModel(model="m", api_key="k", region=region, api=api)
    assert (caught.value.op, caught.value.provider) == ("bedrock.new", "bedrock")


@pytest.mark.row("PROV-07", "CONF-05")
def test_a_blank_region_is_none():
    model = BedrockChatModel(model="m", region=" ")
    assert address(model) == "https://bedrock-runtime.us-east-1.amazonaws.com"
    assert model._sealer._signer._region == "us-east-1"
    padded = BedrockChatModel(model="m", region=" eu-west-1 ", profile=" ")._sealer._signer
    assert (padded._region, padded._profile) == ("eu-west-1", None)


@pytest.mark.row("PROV-07", "DIAL-06", "CONF-19")
def test_a_key_is_a_bearer_token_and_blank_ones_are_none(monkeypatch):
    def signs(**fields):
        return BedrockChatModel(model="m", **fields)._sealer._signer is not None

    assert not signs(api_key="k")
    assert not signs(api_key=lambda: "k")
    assert not signs(api_key=Secret("k"))
    assert signs()
    assert signs(api_key=" ")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", " ")
    assert signs()
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k")
    assert not signs()


@pytest.mark.row("PROV-07", "DIAL-06")
def test_what_signs(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "work")
    for api, service in (
        ("converse", "bedrock"),
        ("chat", "bedrock-mantle"),
        ("responses", "bedrock-mantle"),
    ):
        signer = BedrockChatModel(model="m", api=api, region="eu-west-1")._sealer._signer
        found = (signer._service, signer._region, signer._profile)
        assert found == (service, "eu-west-1", "work")
    assert BedrockChatModel(model="m")._sealer._signer._region == "us-east-1"


@pytest.mark.row("PROV-24")
def test_botocore_is_imported_at_the_first_request_without_a_key():
    code = """
import sys
from beluga_llm_bedrock import BedrockChatModel
BedrockChatModel(model="m", api_key="k"), BedrockChatModel(model="m")
sys.exit(any(name.startswith(("boto", "aiohttp")) for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_face_is_its_list():
    import beluga_llm_bedrock as face

    assert dir(face) == sorted(face.__all__)
    assert all(getattr(face, name) for name in face.__all__)
    with pytest.raises(AttributeError):
        _ = face.nothing


def test_it_is_found_by_its_entry_point():
    found = importlib.metadata.entry_points(group="beluga_llm.providers", name="bedrock")
    if not found:
        pytest.skip("beluga-llm-bedrock is not installed here")
    assert next(iter(found)).load() is BedrockChatModel


# --- over a socket ----------------------------------------------------------------------------


@pytest.fixture
async def server():
    async with FakeServer() as running:
        yield running


@pytest.fixture
async def model(server):
    made = BedrockChatModel(model=MODEL, api_key="test-key", base_url=server.url)
    async with made:
        yield made


ANSWER = AIMessage(
    [
        ThinkingPart("Hm, é😀.", "U0lH", provider="bedrock"),
        ThinkingPart("", redacted_data="WFla", provider="bedrock"),
        TextPart("Let me look."),
    ],
    tool_calls=[
        ToolCall("tooluse_1", "weather", '{"city":"Rome"}', part_index=3),
        ToolCall("tooluse_2", "time", "{}", part_index=4),
    ],
    usage=Usage(20, 9, cached_tokens=3, cache_write_tokens=2),
    finish_reason="tool_calls",
)


@pytest.mark.row("PROV-07", "DIAL-05", "SCHE-34", "PAIN-09", "TEST-01", "TOOL-19")
@pytest.mark.parametrize("size", [None, 7])
async def test_generate_and_stream_give_one_answer(server, model, size):
    server.reply(ANSWER)
    server.reply(Reply(ANSWER, chunk_size=size))
    whole = await model.generate("hi", tools=TOOLS, tool_choice="weather")
    async with model.stream("hi", tools=TOOLS, tool_choice="weather") as stream:
        streamed = await stream.response()
    assert streamed == whole
    assert (whole.parts, whole.tool_calls) == (ANSWER.parts, ANSWER.tool_calls)
    assert (whole.usage, whole.finish_reason) == (ANSWER.usage, "tool_calls")
    assert whole.model_id == MODEL
    first, second = server.requests
    encoded = MODEL.replace(":", "%3A")
    assert (first.path, second.path) == (
        f"/model/{encoded}/converse",
        f"/model/{encoded}/converse-stream",
    )
    assert first.headers["authorization"] == "Bearer test-key"
    assert second.headers["accept"] == "application/vnd.amazon.eventstream"
    assert (first.headers["accept"], first.json) == ("application/json", second.json)
    assert first.json["toolConfig"]["toolChoice"] == {"tool": {"name": "weather"}}


@pytest.mark.row("REAS-14", "PAIN-11", "SCHE-29")
async def test_an_answer_goes_back_byte_for_byte(server, model):
    results = [ToolMessage("sunny", "tooluse_1"), ToolMessage("noon", "tooluse_2")]
    sent = []
    for streaming in (False, True):
        server.reply(ANSWER)
        server.reply("Sunny at noon.")
        if streaming:
            async with model.stream("hi", tools=TOOLS) as stream:
                answer = await stream.response()
        else:
            answer = await model.generate("hi", tools=TOOLS)
        stored = from_dict(json.loads(json.dumps(to_dict(answer))))
        assert stored == answer
        await model.generate([HumanMessage("hi"), stored, *results], tools=TOOLS)
        sent.append(server.requests[-1].json["messages"][1]["content"])
    assert sent[0] == sent[1]
    said = {"text": "Hm, é😀.", "signature": "U0lH"}
    assert sent[0][:3] == [
        {"reasoningContent": {"reasoningText": said}},
        {"reasoningContent": {"redactedContent": "WFla"}},
        {"text": "Let me look."},
    ]
    assert [block["toolUse"]["toolUseId"] for block in sent[0][3:]] == ["tooluse_1", "tooluse_2"]


@pytest.mark.row("PROV-07", "ERRO-31")
async def test_errors_before_and_inside_a_stream(server, model):
    server.reply(RateLimitError("slow down", status=429, retry_after=3))
    with pytest.raises(RateLimitError) as caught:
        await model.generate("hi")
    error = caught.value
    assert (error.message, error.retry_after, error.status) == ("slow down", 3.0, 429)
    assert (error.provider_code, error.op) == ("ThrottlingException", "chat.generate")
    assert error.request_id
    assert "test-key" not in f"{error!r} {error} {error.__dict__}"
    server.reply(Reply("one two three", error="oops", error_code="throttlingException",
                     error_after=3))  # fmt: skip
    with pytest.raises(RateLimitError) as caught:
        async with model.stream("hi") as stream:
            await stream.response()
    assert caught.value.partial.text == "one two"
    assert caught.value.provider_code == "throttlingException"


@pytest.mark.row("PAIN-02", "STRE-09")
async def test_a_stream_that_breaks_off_is_interrupted(server, model):
    server.reply(Reply("one two three", finish=False))
    with pytest.raises(StreamInterruptedError) as caught:
        async with model.stream("hi") as stream:
            await stream.response()
    assert caught.value.partial.text == "one two three"
    server.reply(Reply("one two three", end_marker=False))
    async with model.stream("hi") as stream:
        message = await stream.response()
    assert message.provider_metadata["cut_after_finish"] is True
    assert (message.text, message.usage) == ("one two three", Usage())


@pytest.mark.row("PAIN-03", "STRE-04")
async def test_leaving_a_stream_closes_its_connection(server, model):
    server.reply(Reply("one two three four", stall_after=400))
    async with model.stream("hi") as stream:
        async for chunk in stream:
            if chunk.delta:
                break
    assert await server.disconnected(within=0.1)


@pytest.mark.row("SCHE-15", "OPTI-27")
async def test_what_cannot_be_sent_is_told(server, model):
    from beluga_llm import ImagePart

    with pytest.raises(UnsupportedContentError, match=r"image parts .* bedrock"):
        await model.generate([HumanMessage(["look", ImagePart(url="https://example.org/a.png")])])
    assert server.requests == []
    server.reply("ok")
    with pytest.warns(UnsupportedOptionWarning, match="seed"):
        await model.generate("hi", seed=1)


@pytest.mark.row("CHAT-24")
async def test_tokens_are_counted_by_the_server(server, model):
    server.reply(Reply(body=b'{"inputTokens": 12}'), path="/count-tokens")
    count = await model.count_tokens("hi")
    assert (count.tokens, count.exact) == (12, True)
    assert (
        server.requests[0].path == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"
    )


@pytest.mark.row("PROV-07")
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_openais_formats_with_a_key(server, api):
    model = BedrockChatModel(
        model="openai.gpt-oss-20b", api=api, api_key="test-key", base_url=server.base_url(api)
    )
    server.reply("hello")
    async with model:
        assert (await model.generate("hi")).text == "hello"
    assert server.requests[0].headers["authorization"] == "Bearer test-key"
    assert server.requests[0].json["model"] == "openai.gpt-oss-20b"


# --- signatures -------------------------------------------------------------------------------


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Credentials of an account that does not exist, and none of this machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.row("PROV-07", "DIAL-06")
@pytest.mark.parametrize("name", [MODEL, ARN])
async def test_requests_are_signed_as_botocore_signs_them(server, keys, name, monkeypatch):
    """The path is sent percent-encoded once, and signed encoded twice."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    model = BedrockChatModel(model=name, base_url=server.url, region="eu-west-1")
    server.reply("hello")
    async with model, model.stream("hi") as stream:
        assert (await stream.response()).text == "hello"
    seen = server.requests[0]
    assert seen.path.count("/") == 3
    assert seen.headers["x-amz-security-token"] == "session-token"
    names = seen.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    signed = {h: seen.headers[h] for h in names.split(";") if h not in ("host", "x-amz-date")}
    request = AWSRequest("POST", server.url + seen.path, headers=signed, data=seen.body)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", secret, "session-token"), "bedrock", "eu-west-1")
    monkeypatch.setattr(auth, "_modify_request_before_signing", lambda request: None)
    request.headers["X-Amz-Date"] = seen.headers["x-amz-date"]
    canonical = auth.canonical_request(request)
    assert "%25" in canonical.split("\n")[1]
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert seen.headers["authorization"].endswith(f"Signature={signature}")
    assert canonical.endswith(hashlib.sha256(seen.body).hexdigest())


@pytest.mark.row("PROV-07", "ERRO-17")
async def test_no_credentials_at_all(server, keys, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    async with BedrockChatModel(model=MODEL, base_url=server.url) as model:
        with pytest.raises(AuthenticationError, match="AWS_ACCESS_KEY_ID"):
            await model.generate("hi")
    assert server.requests == []


def test_a_configuration_is_taken_whole():
    config = ProviderConfig(model="m", api_key="k", options={"api": "chat"})
    assert type(BedrockChatModel.from_config(config).dialect) is OpenAIChatDialect
