"""Context windows by the names of models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm import context_window
from beluga_llm._windows import _table
from beluga_llm.testing import MockChatModel


@pytest.mark.row("TOKE-07")
def test_your_own_table_then_capabilities_then_the_file() -> None:
    own = {"gpt": 5, "openai/gpt-4o": 7}
    assert context_window("gpt-4o", windows=own) == 5
    assert context_window("openai/gpt-4o", windows=own) == 7
    assert context_window("claude-3", windows=own) == 200_000
    model = MockChatModel(capabilities={"context_window": 9})
    assert context_window(model) == 9
    assert context_window(model, windows={"mock": 3}) == 3
    assert context_window(MockChatModel()) is None


@pytest.mark.row("TOKE-07")
@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("gpt-4", 8192),
        ("openai/gpt-4-0613", 8192),
        ("gpt-4o-mini-2024-07-18", 128_000),
        ("ft:gpt-4o-mini-2024-07-18:acme::Xy1", 128_000),
        ("openrouter/openai/gpt-4o:free", 128_000),
        ("gpt-3.5-turbo-instruct", 4096),
        ("gpt-5.4-mini", 400_000),
        ("gpt-6.1-sol", 1_050_000),
        ("global.openai.gpt-6-astra", 1_050_000),
        ("openai.gpt-oss-120b-1:0", 131_072),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", 200_000),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000),
        ("bedrock/global.anthropic.claude-opus-4-6-v1", 1_000_000),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-haiku-4-5", 200_000),
        ("openrouter/anthropic/claude-sonnet-4.6", 1_000_000),
        ("claude-opus-4@20250514", 200_000),
        ("claude-sonnet-4-20250514", 200_000),
        ("claude-opus-5-5", 1_000_000),
        ("google/gemini-2.5-pro", 1_048_576),
        ("publishers/google/models/gemini-3.1-pro-preview", 1_048_576),
        ("gemini-2.5-pro-preview-tts", 8192),
        ("xai/grok-4-0709", 256_000),
        ("x-ai/grok-4.1-fast", 2_000_000),
        ("grok-4.5", 500_000),
        ("moonshotai/Kimi-K2-Instruct-0905", 262_144),
        ("kimi-k3", 1_048_576),
        ("alibaba/qwen3-max", 262_144),
        ("Qwen/Qwen2.5-7B-Instruct", 131_072),
        ("deepseek-ai/DeepSeek-V4-Pro-0813", 1_000_000),
        ("meta.llama3-1-70b-instruct-v1:0", 131_072),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct", 131_072),
        ("us.amazon.nova-pro-v1:0", 300_000),
        ("mistral-large-2411", 131_072),
        ("command-r-plus-08-2024", 128_000),
    ],
)
def test_names_of_vendors_clouds_and_gateways(name: str, tokens: int) -> None:
    assert context_window(name) == tokens


@pytest.mark.row("TOKE-07")
@pytest.mark.parametrize(
    "name", ["unknown/model", "", "/:.", "gpt-5.9", "gpt-4.7-mini", "claude-opus-4-9", "grok-4.99"]
)
def test_a_model_that_is_not_known_has_no_window(name: str) -> None:
    """Also one whose name begins like an older one, which may have had a smaller window."""
    assert context_window(name) is None


@pytest.mark.row("TOKE-07")
@given(st.text(max_size=30), st.sampled_from(["", "a/", "eu.vendor.", "ft:"]))
def test_any_name_may_be_asked_for(name: str, before: str) -> None:
    found = context_window(before + name)
    assert found is None or found >= 1


@pytest.mark.row("TOKE-07")
def test_the_table_can_be_read() -> None:
    table = _table()
    assert list(table) == sorted(table)
    assert all(name == name.lower() for name in table)
    assert all(tokens is None or tokens >= 4096 for tokens in table.values())
