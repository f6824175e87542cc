"""The typed way through a chat-completions stream gives what the patient way gives."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm._dialects import openai_chat_decoder
from beluga_llm._dialects.chat_frame import read_strictly
from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import BelugaError
from beluga_llm._fold import Fold
from beluga_llm._http.dialect import PING, Decoder, InBandError
from beluga_llm._json import JsonError
from beluga_llm._messages import HumanMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest

REQUEST = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="asked"), streaming=True)
ODD = st.sampled_from([None, "", "x", 0, 1, 1.5, True, [], ["x"], {}, {"a": None}, {"a": 1}])
TEXT = st.sampled_from(["", "a", "é", "\U0001f40b", "{"]) | st.none()
USUAL = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CALL = st.fixed_dictionaries(
    {"index": st.integers(0, 1), "function": st.fixed_dictionaries({"arguments": TEXT})}
)
ODD_CALL = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 1) | ODD,
        "id": st.sampled_from(["a", "b", "", None, 3]),
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {}, optional={"name": st.sampled_from(["f", "g", "", None]), "arguments": TEXT | ODD}
        )
        | ODD,
    },
)
CALLS = st.lists(CALL, min_size=1, max_size=1) | st.lists(CALL | ODD_CALL, max_size=3)
DELTA = st.fixed_dictionaries({"content": TEXT}) | st.fixed_dictionaries({"tool_calls": CALLS})
THOUGHT = st.fixed_dictionaries(
    {"reasoning_content": TEXT}, optional={"content": TEXT, "reasoning": TEXT, "tool_calls": CALLS}
)
ODD_DELTA = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": TEXT | ODD | st.just([{"type": "text", "text": "t"}]),
        "reasoning_content": TEXT | ODD,
        "reasoning": TEXT,
        "tool_calls": CALLS | ODD,
        "refusal": st.none() | st.just("no"),
        "function_call": st.none() | st.just({"name": "f", "arguments": "{}"}),
        "odd": ODD,
    },
)
ODD_CHOICE = st.fixed_dictionaries(
    {"delta": DELTA | ODD_DELTA | ODD},
    optional={
        "index": st.integers(0, 1) | ODD,
        "finish_reason": st.sampled_from([None, "stop", "length", "", 3]),
        "logprobs": st.none() | ODD,
        "content_filter_results": st.sampled_from([{}, {"hate": {"filtered": False}}, None]),
        "message": st.sampled_from([{"content": "m"}, None]),
        "odd": ODD,
    },
)
CHOICE = st.fixed_dictionaries({"index": st.just(0), "delta": DELTA | THOUGHT})
ODD_FRAME = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE | ODD_CHOICE, max_size=2) | ODD},
    optional={
        "id": st.just("c2") | ODD,
        "model": st.just("n") | ODD,
        "created": st.just(2) | ODD,
        "service_tier": st.just("flex") | ODD,
        "provider": st.sampled_from(["p", "q", None]),
        "system_fingerprint": ODD,
        "obfuscation": st.just("pad") | ODD,
        "usage": st.none() | st.just({"prompt_tokens": 3}) | ODD,
        "error": st.none() | st.just("no"),
        "odd": ODD,
    },
)
FRAME = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, min_size=1, max_size=1)},
    optional={"obfuscation": st.sampled_from(["pad", "padding"])},
)
OTHER_FRAME = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, min_size=1, max_size=1)},
    optional={
        "id": st.just("c2"),
        "model": st.just("n"),
        "created": st.just(2),
        "provider": st.sampled_from(["p", "q"]),
    },
)
ENDS = st.sampled_from([b"[DONE]", b"", b"null", b"{"])


def written(found: dict[str, Any]) -> bytes:
    return json.dumps({**USUAL, **found}).encode()


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """A stream that begins as usual, and in which odd frames come between runs of usual ones."""
    begun = draw(st.sampled_from(["a", ""]))
    lines = [written({"choices": [{"index": 0, "delta": {"content": begun}}]})] * 2
    for _ in range(draw(st.integers(1, 3))):
        lines += map(written, draw(st.lists(FRAME, min_size=1, max_size=4)))
        odd = draw(OTHER_FRAME.map(written) | ODD_FRAME.map(written) | ENDS | st.none())
        lines += [odd] if odd is not None else []
    return lines


QUIRKS = st.sampled_from(
    [ChatQuirks(), ChatQuirks(reasoning_fields=("reasoning",)), ChatQuirks(end_marker=False)]
)


def decoder_of(quirks: ChatQuirks) -> Decoder:
    numbers = iter(range(1000))
    dialect = OpenAIChatDialect("acme", quirks=quirks, new_id=lambda: f"made{next(numbers)}")
    return dialect.decoder(REQUEST)


def seen(lines: list[bytes], quirks: ChatQuirks) -> list[Any]:
    """After each frame: the answer, whether it was a ping, complete and at its end; the error."""
    decoder, state, found = decoder_of(quirks), Fold(), []
    try:
        for line in lines:
            chunks = decoder.feed("", line)
            for chunk in chunks:
                state.add(chunk)
            found.append((state.message(), chunks is PING, decoder.complete, decoder.ended))
        for chunk in decoder.finish():
            state.add(chunk)
    except (BelugaError, InBandError, JsonError) as error:
        return [*found, repr(error)]
    return [*found, state.message()]


def refused(data: bytes) -> NoReturn:
    raise JsonError("refused")


@given(streams(), QUIRKS)
def test_both_ways_read_the_same(lines: list[bytes], quirks: ChatQuirks) -> None:
    quick = seen(lines, quirks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_chat_decoder, "read_strictly", refused)
        assert seen(lines, quirks) == quick


def frame(delta: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({**USUAL, "choices": [{"index": 0, "delta": delta}], **more}).encode()


def patient(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What takes the patient way."""
    slow: list[bytes] = []
    feed = openai_chat_decoder.ChatDecoder._feed

    def fed(self: Any, event: str, data: bytes) -> Any:
        slow.append(data)
        return feed(self, event, data)

    monkeypatch.setattr(openai_chat_decoder.ChatDecoder, "_feed", fed)
    return slow


def test_frames_that_only_go_on_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = patient(monkeypatch)
    text = [frame({"content": "a"}, obfuscation=pad) for pad in ("x", "xx", "", "y")]
    more = [{"index": 0, "function": {"arguments": "1"}}]
    calls = [frame({"tool_calls": [{**more[0], "id": "c", "type": "function"}]})]
    seen([*text, *calls, *[frame({"tool_calls": more})] * 3], ChatQuirks())
    assert slow == text[:2]


def test_a_frame_that_says_something_else_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, or any other fact, that changes amid a stream is told."""
    slow = patient(monkeypatch)
    other = frame({"content": "b"}, model="n", provider="p")
    *_, last = seen([frame({"content": "a"})] * 3 + [other] * 2, ChatQuirks())
    assert slow == [frame({"content": "a"})] * 2 + [other]
    assert (last.text, last.model_id, last.provider_metadata["provider"]) == ("aaabb", "n", "p")


@pytest.mark.parametrize("name", ["content", "reasoning_content", "reasoning"])
def test_frames_that_are_alike_are_not_read_whole(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read: list[bytes] = []

    def reading(data: bytes) -> Any:
        read.append(data)
        return read_strictly(data)

    monkeypatch.setattr(openai_chat_decoder, "read_strictly", reading)
    *_, last = seen([frame({name: text}) for text in ("a", "b", "c", 'd"', "")], ChatQuirks())
    assert (last.text or last.thinking) == 'abcd"'
    assert len(read) == 2


def test_reasoning_in_two_fields_is_read_whole() -> None:
    """The same text stands in both at first, and then it does not."""
    lines = [frame({"reasoning_content": "a", "reasoning": "a"})] * 4
    lines += [frame({"reasoning_content": "b", "reasoning": "a"})]
    lines += [frame({"reasoning_content": "b", "reasoning": "c"})]
    *_, last = seen(lines, ChatQuirks())
    assert last.thinking == "aaaabb"


def test_a_stream_of_other_frames_is_no_longer_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []

    def trying(data: bytes) -> NoReturn:
        tried.append(data)
        raise JsonError("refused")

    monkeypatch.setattr(openai_chat_decoder, "read_strictly", trying)
    seen([frame({"content": "a"})] * 9, ChatQuirks())
    assert len(tried) == 4
