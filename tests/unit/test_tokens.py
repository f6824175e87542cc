"""Estimates of tokens: everything that is sent counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import messages

from beluga_llm._errors import ConfigError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._parts import AudioPart, FilePart, ImagePart, ThinkingPart, UnknownPart, VideoPart
from beluga_llm._tokens import SimpleTokenizer, TokenCount, Tokenizer, count_request
from beluga_llm._tool_types import ToolCall, ToolDefinition

tokenizer = SimpleTokenizer()
bare = SimpleTokenizer(per_message=0)


@pytest.mark.row("TOKE-01")
def test_it_is_a_tokenizer() -> None:
    assert isinstance(tokenizer, Tokenizer)


@pytest.mark.row("CHAT-24")
def test_a_count_says_whether_it_is_exact() -> None:
    count = TokenCount(3, exact=False)
    assert (count.tokens, count.exact) == (3, False)
    with pytest.raises(AttributeError):
        count.tokens = 4  # type: ignore[misc]  # the point


@pytest.mark.row("TOKE-02")
@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("😀é", 1)]
)
def test_four_characters_are_a_token(text: str, tokens: int) -> None:
    assert tokenizer.count(text) == tokens


@pytest.mark.row("TOKE-02")
def test_what_is_added_can_be_set() -> None:
    assert tokenizer.count_messages([]) == 0
    assert tokenizer.count_messages([HumanMessage("abcd")]) == 5
    assert tokenizer.count_messages([SystemMessage(""), HumanMessage("abcde")]) == 4 + 4 + 2
    own = SimpleTokenizer(chars_per_token=2, per_message=1, priming=3)
    assert own.count_messages([HumanMessage("abcd")]) == 3 + 1 + 2


@pytest.mark.row("TOKE-04")
@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        (HumanMessage("abcd", name="ann1"), 2),
        (AIMessage([ThinkingPart("abcd"), "abcd"]), 2),
        (AIMessage("abcd", name="bot1"), 2),
        (AIMessage(refusal="abcd"), 1),
        (AIMessage(tool_calls=[ToolCall("id_1", "name", '{"a":12}')]), 1 + 1 + 2),
        (ToolMessage("abcd", tool_call_id="id_1", name="name"), 3),
        (HumanMessage(ImagePart(b"x" * 5000)), 85),
        (HumanMessage(AudioPart(b"x")), 258),
        (HumanMessage(VideoPart(b"x")), 258),
        (HumanMessage(FilePart(b"x")), 258),
        (HumanMessage(UnknownPart("x", {"ab": 1})), 2),
    ],
)
def test_everything_counts(message: Message, tokens: int) -> None:
    assert bare.count_messages([message]) == tokens


@pytest.mark.row("TOKE-04")
def test_media_can_be_weighed_otherwise() -> None:
    own = SimpleTokenizer(per_message=0, image=1, audio=2, video=3, file=4)
    parts = [ImagePart(b""), AudioPart(b""), VideoPart(b""), FilePart(b"")]
    assert own.count_messages([HumanMessage(parts)]) == 10


@pytest.mark.row("TOKE-04")
def test_tools_count_as_json() -> None:
    tool = ToolDefinition("f", "d", {"type": "object"})
    text = '{"name":"f","description":"d","input_schema":{"type":"object"}}'
    assert tokenizer.count_messages([], [tool, tool]) == 2 * tokenizer.count(text)


@pytest.mark.row("TOKE-02")
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"chars_per_token": 0}, "chars_per_token must be > 0, got 0"),
        ({"chars_per_token": "4"}, "chars_per_token must be > 0, got '4'"),
        ({"per_message": -1}, "per_message must be an integer of at least 0, got -1"),
        ({"image": True}, "image must be an integer of at least 0, got True"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SimpleTokenizer(**settings)
    assert caught.value.message == text


@given(st.lists(messages, max_size=3))
def test_any_messages_can_be_counted_one_by_one(several: list[Message]) -> None:
    assert tokenizer.count_messages(several) == sum(tokenizer.count_messages([m]) for m in several)


@pytest.mark.row("CHAT-24", "TOKE-09")
@pytest.mark.parametrize("count", [0, 1, 256, 257, 3000])
async def test_other_tasks_run_while_many_messages_are_counted(count: int) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    primed, tool = SimpleTokenizer(priming=3), ToolDefinition("f")
    said = [HumanMessage("x" * size) for size in range(count)]
    assert await count_request(primed, said, [tool]) == primed.count_messages(said, [tool])
    assert await count_request(primed, said) == primed.count_messages(said)
    task.cancel()
    assert turns >= 2 * (count // 257)
