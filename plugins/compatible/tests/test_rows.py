"""Each row: its name, address, default model, variables, headers and options."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.compatible import ALIASES, PLACES, config_of, entries, spec_of

import beluga_llm_compatible as face
from beluga_llm import AuthenticationError, ConfigError, ProviderConfig
from beluga_llm.plugin import ProviderSpec

# entry: key variables, address, default model (None: required), APIs
TABLE = {
    "groq": (["GROQ_API_KEY"], "https://api.groq.com/openai/v1", None, ["chat"]),
    "together": (
        ["TOGETHER_API_KEY"], "https://api.together.xyz/v1",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo", ["chat"],
    ),
    "fireworks": (
        ["FIREWORKS_API_KEY"], "https://api.fireworks.ai/inference/v1",
        "accounts/fireworks/models/gpt-oss-20b", ["chat"],
    ),
    "deepseek": (
        ["DEEPSEEK_API_KEY"], "https://api.deepseek.com", "deepseek-flash", ["chat", "responses"]
    ),
    "xai": (["XAI_API_KEY"], "https://api.x.ai/v1", "grok-4.3", ["chat", "responses"]),
    "openrouter": (
        ["OPENROUTER_API_KEY"], "https://openrouter.ai/api/v1", None, ["chat", "responses"]
    ),
    "perplexity": (["PERPLEXITY_API_KEY"], "https://api.perplexity.ai", None, ["chat"]),
    "huggingface": (
        ["HF_TOKEN", "HUGGINGFACE_API_KEY"], "https://router.huggingface.co/v1", None, ["chat"]
    ),
    "qwen": (
        ["DASHSCOPE_API_KEY"], "https://dashscope.aliyuncs.com/compatible-mode/v1", None, ["chat"]
    ),
    "sambanova": (["SAMBANOVA_API_KEY"], "https://api.sambanova.ai/v1", None, ["chat"]),
    "cerebras": (["CEREBRAS_API_KEY"], "https://api.cerebras.ai/v1", None, ["chat"]),
    "nvidia": (["NVIDIA_API_KEY"], "https://integrate.api.nvidia.com/v1", None, ["chat"]),
    "moonshot": (["MOONSHOT_API_KEY"], "https://api.moonshot.ai/v1", None, ["chat"]),
    "zai": (["ZAI_API_KEY"], "https://api.z.ai/api/paas/v4", None, ["chat"]),
    "databricks": (
        ["DATABRICKS_TOKEN"], "https://acme.cloud.example/serving-endpoints", None, ["chat"]
    ),
    "snowflake": (
        ["SNOWFLAKE_TOKEN"], "https://org-acme.snowflakecomputing.com/api/v2/cortex/v1", None,
        ["chat"],
    ),
    "cloudflare": (
        ["CLOUDFLARE_API_TOKEN"], "https://api.cloudflare.com/client/v4/accounts/0a1b/ai/v1", None,
        ["chat"],
    ),
    "github-models": (["GITHUB_TOKEN"], "https://models.github.ai/inference", None, ["chat"]),
    "vercel": (["AI_GATEWAY_API_KEY"], "https://ai-gateway.vercel.sh/v1", None, ["chat"]),
    "litellm": (["LITELLM_API_KEY"], "http://localhost:4000/v1", "gpt-4o", ["chat"]),
    "bifrost": (["BIFROST_API_KEY"], None, None, ["chat"]),
    "vllm": (["VLLM_API_KEY"], "http://localhost:8000/v1", None, ["chat"]),
    "lmstudio": (["LMSTUDIO_API_KEY"], "http://localhost:1234/v1", None, ["chat", "responses"]),
    "llamacpp": (["LLAMACPP_API_KEY"], "http://localhost:8080/v1", "default", ["chat"]),
}  # fmt: skip
ANSWERED = {
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello!"}]}],
}
KEYLESS = {"litellm", "bifrost", "vllm", "lmstudio", "llamacpp"}
VARIABLES = {
    name: {
        *spec_of(name).env,
        spec_of(name).base_url_variable,
        *(variable for names in spec_of(name).option_env.values() for variable in names),
    }
    for name in TABLE
}
rows = pytest.mark.parametrize("entry", TABLE)


def test_every_row_is_here():
    assert entries() == sorted(TABLE)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.row("PROV-03", "CHAT-14")
@rows
async def test_name_and_address(make, wire, entry):
    base = TABLE[entry][1] or "http://localhost:8080/v1"
    model = make(entry)
    assert (model.provider, model.qualified_id) == (entry, f"{entry}/m")
    reply = await model.generate("hi")
    assert reply.text == "Hello!"
    assert wire.sent[0].url == f"{base}/chat/completions"
    assert wire.headers["authorization"] == "Bearer test-key"
    assert wire.body["model"] == "m"


@pytest.mark.row("REGI-25")
@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
async def test_aliases_report_the_canonical_name(make, wire, monkeypatch, alias, name):
    assert make(alias).provider == name
    monkeypatch.setenv(TABLE[name][0][0], "from the environment")
    await make(alias, api_key=None).generate("hi")
    assert wire.headers["authorization"] == "Bearer from the environment"


@pytest.mark.row("REGI-08", "REGI-25")
def test_the_entry_points():
    points = importlib.metadata.distribution("beluga-llm-compatible").entry_points
    found = {point.name: point for point in points if point.group == "beluga_llm.providers"}
    assert found.keys() == {*TABLE, *ALIASES, "llama"}
    for name, point in found.items():
        target = ALIASES.get(name, name).replace("-", "_")
        assert point.value == f"beluga_llm_compatible:{target}"
        assert point.load() is getattr(face, target)


def test_the_face_is_its_list():
    assert dir(face) == sorted(face.__all__)
    assert all(getattr(face, name) for name in face.__all__)
    with pytest.raises(AttributeError):
        _ = face.nothing


@pytest.mark.row("REGI-10")
def test_a_row_loads_its_own_group_only():
    script = """
import sys, beluga_llm_compatible
assert "beluga_llm._dialects.quirks" not in sys.modules
beluga_llm_compatible.vllm
print(sorted(m for m in sys.modules if "compatible._" in m))
print([m for m in ("aiohttp", "beluga_llm._dialects.openai_chat") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "['beluga_llm_compatible._local', 'beluga_llm_compatible._row']",
        "[]",
    ], done.stderr


@pytest.mark.row("PROV-03")
def test_a_row_has_at_most_forty_lines():
    folder = Path(inspect.getfile(face)).parent
    found = {}
    for path in folder.glob("_*.py"):
        text = path.read_text("utf-8")
        for match in re.finditer(r"^(\w+) = row\(.*?^\)", text, re.MULTILINE | re.DOTALL):
            found[match[1]] = match[0].count("\n") + 1
    assert found.keys() == {name.replace("-", "_") for name in TABLE}
    assert {name: lines for name, lines in found.items() if lines > 40} == {}


# --- models and APIs -----------------------------------------------------------------------------


@pytest.mark.row("CONF-03", "PROV-03")
@rows
def test_default_model(make, entry):
    default = TABLE[entry][2]
    for model in (None, "", "  "):
        if default is None:
            with pytest.raises(ConfigError, match="model is required"):
                make(entry, model=model)
        else:
            assert make(entry, model=model).model_id == default


@pytest.mark.row("PROV-03")
@rows
async def test_apis(make, wire, entry):
    base, apis = TABLE[entry][1] or "http://localhost:8080/v1", TABLE[entry][3]
    await make(entry, options={"api": "chat"}).generate("hi")
    if "responses" in apis:
        wire.whole = ANSWERED
        await make(entry, options={"api": "responses"}).generate("hi")
        assert wire.sent[-1].url == f"{base}/responses"
        assert wire.body["input"][0]["content"] == "hi"
    for api in {"chat", "responses", "messages"} - set(apis):
        with pytest.raises(ConfigError, match="option 'api' must be"):
            make(entry, options={"api": api})


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.row("CONF-05", "PROV-03")
@rows
async def test_the_key_comes_from_the_variables_in_their_order(make, wire, monkeypatch, entry):
    for variable in reversed(TABLE[entry][0]):
        monkeypatch.setenv(variable, f"from {variable}")
        await make(entry, api_key=None).generate("hi")
        assert wire.headers["authorization"] == f"Bearer from {variable}"
        await make(entry, api_key="given").generate("hi")
        assert wire.headers["authorization"] == "Bearer given"
    first, *others = TABLE[entry][0]
    monkeypatch.setenv(first, "  ")  # blank counts as unset
    if others:
        await make(entry, api_key=None).generate("hi")
        assert wire.headers["authorization"] == f"Bearer from {others[0]}"


@pytest.mark.row("CONF-05", "PROV-28", "ERRO-06")
@rows
async def test_a_missing_key(make, wire, monkeypatch, entry):
    for other in TABLE:
        for variable in VARIABLES[other] - VARIABLES[entry] if other != entry else ():
            url = variable.endswith("_BASE_URL")
            monkeypatch.setenv(variable, "http://other.example" if url else f"other-{variable}")
    for key in (None, "", " "):
        if entry in KEYLESS:
            await make(entry, api_key=key).generate("hi")
            assert "authorization" not in wire.headers
            continue
        with pytest.raises(AuthenticationError) as caught:
            make(entry, api_key=key)
        wanted = " or ".join(TABLE[entry][0])
        assert caught.value.message == f"api_key is required: set {wanted} or pass api_key="
        assert caught.value.provider == entry
    # what belongs to the others has not been read
    config = config_of(entry)
    assert "other" not in f"{config.base_url}{dict(config.options)}{dict(config.headers)}"


@pytest.mark.row("CONF-05")
@rows
async def test_the_address_comes_from_the_environment(make, wire, monkeypatch, entry):
    variable = f"{entry.upper().replace('-', '_')}_BASE_URL"
    monkeypatch.setenv(variable, "https://gateway.example/v9/")
    model = make(entry, base_url=None)
    await model.generate("hi")
    assert wire.sent[-1].url == "https://gateway.example/v9/chat/completions"
    await make(entry, base_url="http://here.example/v1/").generate("hi")
    assert wire.sent[-1].url == "http://here.example/v1/chat/completions"


def test_bifrost_has_no_usual_address():
    with pytest.raises(ConfigError, match="base_url is required: set BIFROST_BASE_URL or pass"):
        spec_of("bifrost").prepare(ProviderConfig(model="m"))


# --- options -------------------------------------------------------------------------------------


@pytest.mark.row("CONF-01", "REGI-12")
@rows
def test_unknown_options_are_refused_by_name(make, entry):
    with pytest.raises(ConfigError) as caught:
        make(entry, options={"regoin": "x"})
    assert "unknown option 'regoin' (known: " in caught.value.message
    assert "api" in caught.value.message


@pytest.mark.row("CONF-05", "CONF-01")
@pytest.mark.parametrize(
    ("entry", "option", "variable"),
    [
        ("databricks", "host", "DATABRICKS_HOST"),
        ("snowflake", "account", "SNOWFLAKE_ACCOUNT"),
        ("cloudflare", "account", "CLOUDFLARE_ACCOUNT_ID"),
    ],
)
def test_places_in_addresses(monkeypatch, entry, option, variable):
    def url(**options):
        config = ProviderConfig(model="m", api_key="k", options=options)
        return spec_of(entry).prepare(config).base_url

    with pytest.raises(ConfigError) as caught:
        url()
    assert caught.value.message == f"{option} is required: set {variable} or pass {option}="
    value = PLACES[entry][option]
    assert url(**{option: value}) == TABLE[entry][1]
    monkeypatch.setenv(variable, f"https://{value}/")  # a scheme and a slash are tolerated
    assert url() == TABLE[entry][1]
    assert url(**{option: "other"}) != TABLE[entry][1]


@pytest.mark.row("CONF-01")
@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn", "dashscope.aliyuncs.com"),
        ("intl", "dashscope-intl.aliyuncs.com"),
        ("us", "dashscope-us.aliyuncs.com"),
    ],
)
def test_qwen_has_regions(region, host):
    config = config_of("qwen", options={"region": region})
    assert config.base_url == f"https://{host}/compatible-mode/v1"
    with pytest.raises(ConfigError, match="option 'region' must be 'cn' or 'intl' or 'us'"):
        config_of("qwen", options={"region": "mars"})


@pytest.mark.row("PROV-14")
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_openrouter_tells_who_asks(make, wire, api):
    if api == "responses":
        wire.whole = ANSWERED
    await make("openrouter", options={"api": api}).generate("hi")
    assert not {"http-referer", "x-title"} & wire.headers.keys()
    for names in (("referer", "title"), ("http_referer", "x_title")):
        options = dict(zip(names, ("https://acme.example", "Acme"), strict=True))
        await make("openrouter", options={"api": api, **options}).generate("hi")
        assert wire.headers["http-referer"] == "https://acme.example"
        assert wire.headers["x-title"] == "Acme"
        model = make("openrouter", options={"api": api, **options}, headers={"x-title": "Other"})
        await model.generate("hi")
        assert wire.headers["x-title"] == "Other"


@pytest.mark.row("CLI-04")
def test_local_servers_and_examples():
    assert {name for name in TABLE if spec_of(name).local} == {"vllm", "lmstudio", "llamacpp"}
    assert {name for name in TABLE if not spec_of(name).key_required} == KEYLESS
    examples = {name: spec_of(name).chat_example for name in TABLE if spec_of(name).chat_example}
    assert examples.keys() == {"groq", "openrouter"}


@pytest.mark.row("PROV-03")
def test_rows_are_specifications():
    assert all(type(spec_of(name)) is ProviderSpec for name in TABLE)
    assert all(spec_of(name).name == name for name in TABLE)
