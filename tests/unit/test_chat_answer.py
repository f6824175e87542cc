"""The typed way through a whole chat-completions answer gives what the patient way gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.chat_answer import read_answer
from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import BelugaError
from beluga_llm._fold import fold
from beluga_llm._http.dialect import InBandError
from beluga_llm._json import JsonError
from beluga_llm._messages import AIMessage, HumanMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest
from beluga_llm._usage import FinishReason, Usage

REQUEST = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="asked"), streaming=False)
ODD = st.sampled_from([None, "", "x", 0, 7, 1.5, True, [], ["x"], {}, {"a": None}, {"a": 1}])
WORDS = st.sampled_from(["stop", "length", "content_filter", "tool_calls", "odd", "", None, 3])
COUNTS = st.none() | st.integers(0, 9) | st.sampled_from(["3", 2.0, True])
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


MESSAGE_USUAL = {"role": "assistant", "content": "4", "refusal": None, "annotations": []}
CHOICE_USUAL = {"index": 0, "message": MESSAGE_USUAL, "logprobs": None, "finish_reason": "stop"}
USUAL = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [CHOICE_USUAL],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


@st.composite
def changed(
    draw: st.DrawFn, usual: dict[str, Any], known: dict[str, st.SearchStrategy[Any]]
) -> dict[str, Any]:
    """The usual value with up to two fields changed."""
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=2, unique=True))
    return {**usual, **{name: draw(known[name]) for name in names}}


def optional(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=known)


USAGE = optional(
    {
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "total_tokens": COUNTS,
        "cost": ODD,
        "prompt_cache_hit_tokens": COUNTS,
        "completion_tokens_details": optional(
            {"reasoning_tokens": COUNTS, "audio_tokens": COUNTS, "odd": ODD}
        )
        | ODD,
        "prompt_tokens_details": optional(
            {"cached_tokens": COUNTS, "cache_write_tokens": COUNTS, "audio_tokens": COUNTS}
        )
        | ODD,
    }
)
MESSAGE = changed(
    MESSAGE_USUAL,
    {
        "role": st.just("assistant") | ODD,
        "content": st.text(max_size=3) | st.just("caf\u00e9 \U0001f40b") | ODD,
        "refusal": st.none() | ODD,
        "annotations": st.just([]) | ODD,
        "tool_calls": st.just([]) | st.just([CALL]) | ODD,
        "reasoning_content": st.none() | ODD,
        "audio": st.none() | ODD,
        "odd": ODD,
    },
)
CHOICE = changed(
    CHOICE_USUAL,
    {
        "index": st.just(0) | ODD,
        "message": MESSAGE,
        "finish_reason": WORDS,
        "logprobs": st.none() | ODD,
        "odd": ODD,
    },
)
BODY = changed(
    USUAL,
    {
        "id": st.just("c1") | ODD,
        "object": st.sampled_from(["chat.completion", "error", None]) | ODD,
        "created": st.integers(0, 9) | ODD,
        "model": st.just("m") | ODD,
        "choices": st.lists(CHOICE, min_size=1, max_size=1) | st.lists(CHOICE, max_size=2) | ODD,
        "usage": USAGE | ODD,
        "service_tier": st.just("default") | ODD,
        "system_fingerprint": ODD,
        "provider": ODD,
        "error": st.none() | ODD,
        "odd": ODD,
    },
)
QUIRKS = st.sampled_from(
    [
        ChatQuirks(),
        ChatQuirks(usage_path=("x.usage",)),
        ChatQuirks(finish_reasons={"odd": "length"}),
        ChatQuirks(end_marker=False),
    ]
)


def dialect(quirks: ChatQuirks) -> OpenAIChatDialect:
    return OpenAIChatDialect("acme", quirks=quirks, new_id=lambda: "made")


def read(data: bytes, quirks: ChatQuirks) -> tuple[AIMessage, str, bool, bool]:
    """The message, the error, and whether the answer is complete and at its end, by the decoder."""
    decoder = dialect(quirks).decoder(REQUEST)
    chunks: list[StreamChunk] = []
    try:
        chunks += decoder.feed("", data)
        chunks += decoder.finish()
    except (BelugaError, InBandError, JsonError) as error:
        return fold(chunks), repr(error), decoder.complete, decoder.ended
    return fold(chunks), "", decoder.complete, decoder.ended


@given(BODY, QUIRKS)
def test_both_ways_read_the_same(body: dict[str, Any], quirks: ChatQuirks) -> None:
    data = json.dumps(body).encode()
    quick = dialect(quirks).read_usual(REQUEST, data)
    if quick is not None:
        assert read(data, quirks) == (fold([quick]), "", True, True)


def answer(**changes: Any) -> bytes:
    return json.dumps({**USUAL, "service_tier": "default", **changes}).encode()


def test_the_usual_answer_is_read_the_typed_way() -> None:
    assert read_answer(answer(), ChatQuirks(), "asked") == StreamChunk(
        "4",
        finish_reason=FinishReason.STOP,
        raw_finish_reason="stop",
        usage=Usage(3, 1, 4),
        model_id="m",
        response_id="c1",
        metadata={"created": 1, "service_tier": "default"},
    )


@pytest.mark.parametrize(
    "changes", [{"x": 1}, {"choices": []}, {"error": "no"}, {"id": 3}, {"usage": "x"}]
)
def test_what_holds_more_is_refused(changes: dict[str, Any]) -> None:
    assert read_answer(answer(**changes), ChatQuirks(), "asked") is None


@pytest.mark.row("SCHE-23")
def test_the_model_that_was_asked_stands_in() -> None:
    quick = read_answer(answer(model=None), ChatQuirks(), "asked")
    assert quick is not None
    assert quick.model_id == "asked"
    message, problem, complete, ended = read(answer(model=None), ChatQuirks())
    assert (message.model_id, problem, complete, ended) == ("asked", "", True, True)


def test_damaged_counts_are_left_to_the_decoder() -> None:
    data = answer().replace(b'"usage": {', b'"usage": {"x": "\xff", ')
    assert b"\xff" in data
    assert read_answer(data, ChatQuirks(), "asked") is None
    assert (
        "JsonError" in read(data, ChatQuirks())[1] or "DecodeError" in read(data, ChatQuirks())[1]
    )
