"""What a model can do: known, known not, or unknown."""

from __future__ import annotations

import re

import attrs
import pytest

from beluga_llm._capabilities import Capabilities
from beluga_llm._errors import ConfigError
from beluga_llm._routing.composite import common_capabilities
from beluga_llm.testing import MockChatModel


@pytest.mark.row("CHAT-19")
def test_everything_is_unknown_at_first() -> None:
    assert list(attrs.asdict(Capabilities())) == [
        "tools", "tool_choice", "parallel_tool_calls", "json_object", "json_schema", "images",
        "audio", "video", "files", "reasoning", "streaming", "stream_usage", "n", "logprobs",
        "seed", "prefill", "count_tokens", "context_window", "max_output",
    ]  # fmt: skip
    assert set(attrs.asdict(Capabilities()).values()) == {None}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Capabilities().tools = True  # type: ignore[misc]  # the point


@pytest.mark.row("CHAT-19")
def test_what_is_known_is_put_over() -> None:
    base = Capabilities(tools=True, images=False)
    over = Capabilities(images=True, tool_choice=frozenset(("auto",)))
    expected = Capabilities(tools=True, images=True, tool_choice=frozenset(("auto",)))
    assert base.merged(over) == expected
    assert base.merged({"images": True, "tool_choice": frozenset(("auto",))}) == expected
    assert base.merged(None) is base
    assert base.merged({"tools": None}) == base
    assert base == Capabilities(tools=True, images=False)


@pytest.mark.row("CHAT-19")
def test_an_unknown_capability_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown capabilities: flying, magic \(known: audio, "):
        Capabilities().merged({"magic": True, "flying": True, "tools": True})


@pytest.mark.row("CHAT-19", "TOKE-07")
def test_numbers_of_tokens() -> None:
    for wrong in (0, True, 2.5, "many"):
        text = f"capability 'max_output' must be a number of tokens or None, got {wrong!r}"
        with pytest.raises(ConfigError, match=re.escape(text)):
            MockChatModel(capabilities={"max_output": wrong})
    known = {"context_window": 9000, "max_output": None}
    assert MockChatModel(capabilities=known).capabilities.context_window == 9000
    some = [
        Capabilities(context_window=size, max_output=most) for size, most in ((9, 1), (5, None))
    ]
    assert common_capabilities(some) == Capabilities(context_window=5)
