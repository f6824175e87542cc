"""Azure: its addresses, its two kinds of keys, and what it changes in requests."""

from __future__ import annotations

import importlib.metadata
import sys
from types import ModuleType, SimpleNamespace

import pytest

from beluga_llm import (
    AuthenticationError,
    ChatRequest,
    ConfigError,
    GenerateOptions,
    HumanMessage,
    ProviderConfig,
    StreamInterruptedError,
    UnsupportedOptionWarning,
)
from beluga_llm_openai import AzureChatDialect, AzureOpenAIChatModel, AzureResponsesDialect

ENDPOINT = "https://my-resource.openai.azure.com"
GA = "2024-10-21"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "another provider's")


@pytest.fixture
def azure(wire):
    """A model on the wire, from configuration fields."""

    def run(**fields):
        given = {"model": "my gpt", "api_key": "key-1234", "transport": wire, "base_url": ENDPOINT}
        return AzureOpenAIChatModel(**{**given, **fields})

    return run


async def url_of(model, wire):
    await model.generate("hi")
    return wire.sent[-1].url


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.row("PROV-04")
@pytest.mark.parametrize("given", ["", "/", "/openai", "/openai/"])
async def test_an_endpoint_is_completed(azure, wire, given):
    base = f"{ENDPOINT}/openai"
    model = azure(base_url=ENDPOINT + given)
    assert await url_of(model, wire) == f"{base}/v1/chat/completions"
    model = azure(base_url=ENDPOINT + given, api="responses")
    assert await url_of(model, wire) == f"{base}/v1/responses"
    model = azure(base_url=ENDPOINT + given, api_version=GA)
    assert await url_of(model, wire) == (
        f"{base}/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    )
    model = azure(base_url=ENDPOINT + given, api="responses", api_version="2025-04-01-preview")
    assert await url_of(model, wire) == f"{base}/responses?api-version=2025-04-01-preview"


@pytest.mark.row("PROV-04")
async def test_a_version_that_is_no_date_belongs_to_v1(azure, wire):
    model = azure(api_version="preview")
    assert await url_of(model, wire) == f"{ENDPOINT}/openai/v1/chat/completions?api-version=preview"


@pytest.mark.row("PROV-04", "CONF-04")
@pytest.mark.parametrize(
    ("given", "version", "url"),
    [
        ("/openai/v1/", None, "/openai/v1/chat/completions"),
        ("/openai/deployments/d", GA, f"/openai/deployments/d/chat/completions?api-version={GA}"),
        (
            f"/openai/deployments/d/chat/completions?api-version={GA}",
            None,
            f"/openai/deployments/d/chat/completions?api-version={GA}",
        ),
        (
            "/models?api-version=2024-05-01-preview",
            "2025-01-01",
            "/models/chat/completions?api-version=2025-01-01",
        ),
        ("/gateway/claims", None, "/gateway/claims/chat/completions"),
    ],
)
async def test_a_whole_address_is_kept(azure, wire, given, version, url):
    model = azure(base_url=ENDPOINT + given, api_version=version)
    assert await url_of(model, wire) == ENDPOINT + url


@pytest.mark.row("PROV-04", "CHAT-18")
async def test_the_deployment_of_a_call_is_in_the_address(azure, wire):
    model = azure(api_version=GA)
    await model.generate("hi", model="other/d")
    assert "/deployments/other%2Fd/chat" in wire.sent[-1].url
    assert wire.body["model"] == "other/d"


@pytest.mark.row("CONF-05", "PROV-04")
async def test_the_endpoint_comes_from_its_variable(azure, wire, monkeypatch):
    with pytest.raises(ConfigError) as caught:
        azure(base_url=None)
    assert caught.value.message == (
        "base_url is required: set AZURE_OPENAI_ENDPOINT or pass base_url="
    )
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://from-env.openai.azure.com/")
    assert (await url_of(azure(base_url=None), wire)).startswith(
        "https://from-env.openai.azure.com/openai/v1/"
    )


# --- keys ----------------------------------------------------------------------------------------


def keys_of(wire):
    names = ("api-key", "authorization")
    return {name: wire.headers[name] for name in names if name in wire.headers}


@pytest.mark.row("PROV-04", "DIAL-06", "CONF-19")
async def test_a_text_is_a_key_and_a_function_gives_tokens(azure, wire, api):
    await azure(api=api).generate("hi")
    assert keys_of(wire) == {"api-key": "key-1234"}

    async def token():
        return "entra-token"

    for source in (token, lambda: "entra-token"):
        await azure(api=api, api_key=source).generate("hi")
        assert keys_of(wire) == {"authorization": "Bearer entra-token"}


@pytest.mark.row("PROV-04")
async def test_auth_says_what_the_key_is(azure, wire):
    await azure(api_key=lambda: "rotated-key", auth="key").generate("hi")
    assert keys_of(wire) == {"api-key": "rotated-key"}
    await azure(api_key="a-token", auth="entra").generate("hi")
    assert keys_of(wire) == {"authorization": "Bearer a-token"}
    with pytest.raises(ConfigError, match="'auth'"):
        azure(auth="both")


@pytest.mark.row("ERRO-17", "CONF-05")
async def test_the_key_comes_from_its_own_variable(azure, wire, monkeypatch):
    with pytest.raises(AuthenticationError) as caught:
        azure(api_key=None)
    assert caught.value.message == (
        "api_key is required: set AZURE_OPENAI_API_KEY or pass api_key="
    )
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "env-key")
    await azure(api_key=None).generate("hi")
    assert keys_of(wire) == {"api-key": "env-key"}


@pytest.fixture
def identity(monkeypatch):
    """A stand-in for azure-identity; gives the scopes that it was asked for."""
    scopes = []

    class DefaultAzureCredential:
        def get_token(self, scope):
            scopes.append(scope)
            return SimpleNamespace(token="found-token", expires_on=9e9)

    module = ModuleType("azure.identity")
    module.DefaultAzureCredential = DefaultAzureCredential
    module.__spec__ = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "azure", ModuleType("azure"))
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    return scopes


@pytest.mark.row("PROV-04", "DIAL-06", "PROV-24")
async def test_entra_without_a_key_takes_the_default_credentials(
    azure, wire, identity, monkeypatch
):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a key, no token")
    model = azure(api_key=None, auth="entra")
    assert identity == []
    await model.generate("hi")
    await model.generate("hi")
    assert keys_of(wire) == {"authorization": "Bearer found-token"}
    assert identity == ["https://ai.azure.com/.default"]
    await azure(api_key=None, auth="entra", scope="https://other/.default").generate("hi")
    assert identity[1:] == ["https://other/.default"]


@pytest.mark.row("DIAL-06")
def test_entra_without_its_library(azure, monkeypatch):
    for name in ("azure", "azure.identity"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="pip install 'azure-identity'"):
        azure(api_key=None, auth="entra")


# --- requests and answers ------------------------------------------------------------------------


def encode(dialect, streaming=False, **options):
    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(**options), streaming=streaming)
    return dialect.encode(request)


@pytest.mark.row("PROV-02", "PROV-04", "OPTI-05")
def test_fields_that_old_versions_do_not_know():
    for version in (None, "preview", GA, "2024-09-01-preview"):
        body = encode(AzureChatDialect(api_version=version), True, model="d", max_tokens=5).json
        assert body["max_completion_tokens"] == 5
        assert body["stream_options"] == {"include_usage": True}
    body = encode(AzureChatDialect(api_version="2024-06-01"), True, model="d", max_tokens=5).json
    assert body["max_tokens"] == 5
    assert not {"max_completion_tokens", "stream_options"} & body.keys()
    assert AzureChatDialect(api_version="2024-06-01").capabilities("d").stream_usage is False


@pytest.mark.row("PROV-04", "PROV-25", "OPTI-27")
async def test_a_deployment_named_like_a_model_is_known(azure, wire):
    with pytest.warns(UnsupportedOptionWarning, match="'temperature' is not supported by gpt-5"):
        await azure(model="gpt-5-mini").generate("hi", temperature=0.2)
    assert "temperature" not in wire.body
    await azure(model="claims-bot").generate("hi", temperature=0.2)
    assert wire.body["temperature"] == 0.2
    assert azure(model="gpt-4o").capabilities.images is True
    assert azure(model="claims-bot").capabilities.images is None


@pytest.mark.row("PROV-04")
async def test_options_of_azure_go_into_the_body(azure, wire, api):
    await azure(api=api).generate("hi", provider_options={"azure": {"data_sources": []}})
    assert wire.body["data_sources"] == []


@pytest.mark.row("PROV-04", "DIAL-05", "PAIN-09")
async def test_generate_and_stream_give_one_answer(azure, api):
    model = azure(api=api)
    whole = await model.generate("hi")
    async with model.stream("hi") as stream:
        text = "".join([chunk.delta async for chunk in stream])
    assert text == whole.text == "Hello!"
    assert stream.message.usage == whole.usage
    assert stream.message.parts == whole.parts
    assert model.qualified_id == "azure/my gpt"


@pytest.mark.row("PAIN-02")
async def test_a_cut_stream_is_interrupted(azure, wire, api):
    wire.events = 2
    with pytest.raises(StreamInterruptedError):
        async with azure(api=api).stream("hi") as stream:
            await stream.response()


@pytest.mark.row("PROV-04", "CHAT-14", "REGI-11")
async def test_made_from_a_configuration(wire):
    config = ProviderConfig.of(
        model="d", api_key="k", transport=wire, base_url=ENDPOINT, api="responses"
    )
    model = AzureOpenAIChatModel.from_config(config)
    assert type(model.dialect) is AzureResponsesDialect
    assert (model.provider, model.dialect.provider) == ("azure", "azure")
    assert AzureChatDialect().error(500, {}, b"", now=0.0).provider == "azure"


@pytest.mark.row("CONF-01")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"api": "completions"}, "api"),
        ({"api_version": 7}, "api_version"),
        ({"deployment": "d"}, "api_version"),
        ({"model": None}, "model is required"),
    ],
)
def test_wrong_configuration(azure, fields, words):
    with pytest.raises(ConfigError, match=words) as caught:
        azure(**fields)
    assert caught.value.provider == "azure"


def test_it_is_found_by_its_entry_point():
    found = importlib.metadata.entry_points(group="beluga_llm.providers", name="azure")
    if not found:
        pytest.skip("beluga-llm-openai is not installed here")
    assert next(iter(found)).load() is AzureOpenAIChatModel


@pytest.mark.row("HEAL-03")
@pytest.mark.parametrize("kind", [AzureChatDialect, AzureResponsesDialect])
@pytest.mark.parametrize(
    ("base_url", "version", "path"),
    [
        ("https://x.openai.azure.com", None, "/openai/v1/models"),
        ("https://x.openai.azure.com/openai", None, "/v1/models"),
        ("https://x.openai.azure.com", "2024-10-21", "/openai/models"),
        ("https://gateway.example/own", None, "/models"),
    ],
)
def test_a_probe_asks_for_the_models_of_the_resource(kind, base_url, version, path):
    probe = kind(base_url=base_url, api_version=version).probe_request(None)
    assert (probe.method, probe.path) == ("GET", path)
    assert probe.query == ({"api-version": version} if version else {})
    assert kind(base_url=f"https://gateway.example{kind.path}").probe_request(None) is None
