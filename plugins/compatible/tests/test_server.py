"""Each row over a real socket, and the command line with the rows installed."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner
from support.compatible import PLACES, entries, spec_of

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    AuthenticationError,
    RateLimitError,
    StreamInterruptedError,
    ToolCall,
    ToolDefinition,
)
from beluga_llm.cli._app import app
from beluga_llm.cli._choice import Choice, choose
from beluga_llm.testing import FakeServer

rows = pytest.mark.parametrize("entry", entries())


@pytest.fixture
async def server():
    async with FakeServer(key="test-key") as running:
        yield running


def model_at(server, entry, **fields):
    given = {"model": "m", "api_key": "test-key", "base_url": server.base_url(), **fields}
    given["options"] = PLACES.get(entry, {})
    with llm.registry.isolated():
        llm.registry.register(entry, spec_of(entry), replace=True)
        return llm.create(entry, **given)


@pytest.mark.row("PROV-03", "STRE-13", "PAIN-09")
@rows
async def test_generate_and_stream(server, entry):
    server.reply("Hello there!", times=2, usage_unasked=True)
    async with model_at(server, entry) as model:
        reply = await model.generate("hi")
        async with model.stream("hi") as stream:
            streamed = await stream.response()
    assert reply.text == streamed.text == "Hello there!"
    assert reply.usage == streamed.usage
    assert reply.usage.output_tokens
    assert [seen.path for seen in server.requests] == ["/v1/chat/completions"] * 2


@pytest.mark.row("STRE-04", "PAIN-02")
@pytest.mark.parametrize("entry", ["groq", "openrouter", "llamacpp"])
async def test_leaving_a_stream_and_losing_one(server, entry):
    async with model_at(server, entry) as model:
        server.reply("word " * 50, stall_after=800)
        async with model.stream("hi") as stream:
            async for _ in stream:
                break
        await server.disconnected()
        server.reply("word " * 50, truncate_after=800)
        with pytest.raises(StreamInterruptedError) as caught:
            async with model.stream("hi") as stream:
                await stream.response()
        assert caught.value.partial.text.startswith("word ")


@pytest.mark.row("ERRO-06", "ERRO-11", "PROV-28")
@rows
async def test_errors_and_keys(server, entry):
    server.reply(status=429, headers={"retry-after": "3"})
    async with model_at(server, entry) as model:
        with pytest.raises(RateLimitError) as caught:
            await model.generate("hi")
        assert (caught.value.retry_after, caught.value.provider) == (3, entry)
    async with model_at(server, entry, api_key="wrong") as model:
        with pytest.raises(AuthenticationError):
            await model.generate("hi")


@pytest.mark.row("TOOL-13", "PROV-03")
@pytest.mark.parametrize("entry", sorted(set(entries()) - {"perplexity"}))
async def test_tools(server, entry):
    call = ToolCall("call_1", "add", '{"x": 1}')
    answer = AIMessage("So.", tool_calls=[call])
    server.reply(answer, times=2)
    async with model_at(server, entry) as model:
        bound = model.bind_tools([ToolDefinition("add", "Adds", {"type": "object"})])
        reply = await bound.generate("hi")
        async with bound.stream("hi") as stream:
            streamed = await stream.response()
    for got in (reply, streamed):
        assert [(made.id, made.name, made.args) for made in got.tool_calls] == [
            ("call_1", "add", {"x": 1})
        ]
        assert (got.text, got.finish_reason) == ("So.", "tool_calls")


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch):
    """A registry with the rows of this plugin and nothing else."""
    monkeypatch.delenv("BELUGA_MODEL", raising=False)
    for name in ("VLLM", "LMSTUDIO", "LLAMACPP"):  # nothing answers there
        monkeypatch.setenv(f"{name}_BASE_URL", "http://127.0.0.1:9/v1")
    with llm.registry.isolated():
        for name in llm.list_providers():
            llm.unregister(name)
        for name in (*entries(), "grok", "dashscope", "llama"):
            spec = llm_row(name)
            llm.register(name, spec, replace=True)
        yield


def llm_row(name):
    import beluga_llm_compatible as face

    return face.llama if name == "llama" else spec_of(name)


def chosen():
    return asyncio.run(choose(None))


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("variables", "model", "key"),
    [
        ("GROQ_API_KEY OPENROUTER_API_KEY XAI_API_KEY", "groq/openai/gpt-oss-20b", "GROQ_API_KEY"),
        ("OPENROUTER_API_KEY", "openrouter/openai/gpt-4o-mini", "OPENROUTER_API_KEY"),
        ("XAI_API_KEY DEEPSEEK_API_KEY", "deepseek/deepseek-flash", "DEEPSEEK_API_KEY"),
        ("XAI_API_KEY HF_TOKEN", "xai/grok-4.3", "XAI_API_KEY"),
        ("LITELLM_API_KEY", "litellm/gpt-4o", "LITELLM_API_KEY"),
    ],
)
def test_chat_takes_the_first_provider_with_a_key(installed, monkeypatch, variables, model, key):
    for variable in variables.split():
        monkeypatch.setenv(variable, "k")
    assert chosen() == Choice(model, f"{key} is set")


@pytest.mark.row("CLI-04")
def test_providers_without_a_model_to_show_are_passed_over(installed, monkeypatch, capsys):
    for variable in ("DASHSCOPE_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(variable, "k")
    assert chosen().model == "demo"
    assert capsys.readouterr().err.splitlines() == [
        "passed over huggingface: HF_TOKEN is set, name a model with -m huggingface/MODEL",
        "passed over qwen: DASHSCOPE_API_KEY is set, name a model with -m qwen/MODEL",
    ]


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize("entry", ["lmstudio", "llamacpp", "vllm"])
def test_chat_finds_a_server_on_this_machine(installed, monkeypatch, entry):
    with FakeServer() as server:
        monkeypatch.setenv(f"{entry.upper()}_BASE_URL", server.base_url())
        server.reply("Hello there!")
        found = chosen()
        assert found == Choice(f"{entry}/fake-model", f"it answers at {server.base_url()}")
        done = CliRunner().invoke(app, ["chat", "hi"], prog_name="beluga-llm")
    assert (done.exit_code, done.stdout) == (0, "Hello there!\n")
    assert f"{entry}/fake-model" in done.stderr


@pytest.mark.row("CLI-03")
def test_the_doctor_knows_the_variables_of_places(installed):
    done = CliRunner().invoke(app, ["doctor"], prog_name="beluga-llm")
    for name in ("DATABRICKS_HOST", "SNOWFLAKE_ACCOUNT", "CLOUDFLARE_ACCOUNT_ID", "HF_TOKEN"):
        assert name in done.output
