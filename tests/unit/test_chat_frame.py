"""The typed way through a chat-completions stream gives what the patient way gives."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm._dialects import chat_quick, openai_chat_decoder
from beluga_llm._dialects.chat_frame import read_strictly
from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import BelugaError
from beluga_llm._fold import Fold
from beluga_llm._http.dialect import PING, Decoder, Frame, InBandError
from beluga_llm._json import JsonError
from beluga_llm._messages import AIMessage, HumanMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest
from beluga_llm._usage import Usage

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
END_FRAME = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {
                    "index": st.just(0),
                    "delta": st.sampled_from([{}, {"content": ""}]) | DELTA | THOUGHT,
                    "finish_reason": st.sampled_from(["stop", "tool_calls", "odd", "", None]),
                }
            ),
            min_size=1,
            max_size=1,
        )
    }
)
COUNTS = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
USAGE_FRAME = st.fixed_dictionaries(
    {
        "choices": st.just([]),
        "usage": st.sampled_from(
            [
                COUNTS,
                {**COUNTS, "prompt_tokens_details": {"cached_tokens": 2, "odd": 1}},
                {**COUNTS, "completion_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 5},
                {**COUNTS, "cost": 1.5},
                {},
            ]
        )
        | ODD,
    },
    optional={"model": st.just("n"), "created": st.just(2), "object": st.just("error")},
)
EVENT = st.sampled_from(["", "", "", "", "", "message"])
ENDS = st.sampled_from([b"[DONE]", b"", b"null", b"{"])


def written(found: dict[str, Any]) -> bytes:
    return json.dumps({**USUAL, **found}).encode()


@st.composite
def streams(draw: st.DrawFn) -> list[Frame]:
    """A stream that begins as usual, and in which odd frames come between runs of usual ones."""
    begun = draw(st.sampled_from(["a", ""]))
    first = st.just({"choices": [{"index": 0, "delta": {"role": "x", "content": begun}}]})
    lines = [written(draw(first | OTHER_FRAME | END_FRAME | ODD_FRAME | USAGE_FRAME))]
    lines += [written({"choices": [{"index": 0, "delta": {"content": begun}}]})] * 2
    for _ in range(draw(st.integers(1, 3))):
        lines += map(written, draw(st.lists(FRAME, min_size=1, max_size=4)))
        other = st.one_of(OTHER_FRAME, END_FRAME, USAGE_FRAME, ODD_FRAME).map(written)
        odd = draw(other | ENDS | st.none())
        lines += [odd] if odd is not None else []
    return [(draw(EVENT), line) for line in lines]


QUIRKS = st.sampled_from(
    [
        ChatQuirks(),
        ChatQuirks(reasoning_fields=("reasoning",)),
        ChatQuirks(end_marker=False),
        ChatQuirks(usage_path=("x.usage",)),
    ]
)


def decoder_of(quirks: ChatQuirks) -> Decoder:
    numbers = iter(range(1000))
    dialect = OpenAIChatDialect("acme", quirks=quirks, new_id=lambda: f"made{next(numbers)}")
    return dialect.decoder(REQUEST)


def seen(lines: list[Frame], quirks: ChatQuirks) -> list[Any]:
    """After each frame: the answer, whether it was a ping, complete and at its end; the error."""
    decoder, state, found = decoder_of(quirks), Fold(), []
    try:
        for event, line in lines:
            chunks = decoder.feed(event, line)
            for chunk in chunks:
                state.add(chunk)
            found.append((state.message(), chunks is PING, decoder.complete, decoder.ended))
        for chunk in decoder.finish():
            state.add(chunk)
    except (BelugaError, InBandError, JsonError) as error:
        return [*found, repr(error)]
    return [*found, state.message()]


def seen_together(lines: list[Frame], quirks: ChatQuirks) -> Any:
    """The answer, or the error, where the frames come all at once, as a reader hands them over."""
    decoder, state, left = decoder_of(quirks), Fold(), iter(lines)
    try:
        while True:
            frame, chunks = decoder.feed_on(left)
            state.extend(chunks)
            if frame is None:
                break
            state.extend(decoder.feed(*frame))
        state.extend(decoder.finish())
    except (BelugaError, InBandError, JsonError) as error:
        return repr(error)
    return state.message()


def refused(data: bytes) -> NoReturn:
    raise JsonError("refused")


@given(streams(), QUIRKS)
def test_both_ways_read_the_same(lines: list[Frame], quirks: ChatQuirks) -> None:
    quick = seen(lines, quirks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_quick, "read_strictly", refused)
        patch.setattr(openai_chat_decoder, "read_usage_strictly", refused)
        assert seen(lines, quirks) == quick
    assert seen_together(lines, quirks) == quick[-1]


def read(lines: list[bytes]) -> AIMessage:
    """The answer of unnamed frames."""
    message = seen([("", line) for line in lines], ChatQuirks())[-1]
    assert isinstance(message, AIMessage)
    return message


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
    read([*text, *calls, *[frame({"tool_calls": more})] * 3])
    assert slow == []


def test_a_frame_that_says_something_else_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, or any other fact, that changes amid a stream is told."""
    slow = patient(monkeypatch)
    other = frame({"content": "b"}, model="n", provider="p")
    last = read([frame({"content": "a"})] * 3 + [other] * 2)
    assert slow == [other]
    assert (last.text, last.model_id, last.provider_metadata["provider"]) == ("aaabb", "n", "p")


@pytest.mark.parametrize("name", ["content", "reasoning_content", "reasoning"])
def test_frames_that_are_alike_are_not_read_whole(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole: list[bytes] = []

    def reading(data: bytes) -> Any:
        whole.append(data)
        return read_strictly(data)

    monkeypatch.setattr(chat_quick, "read_strictly", reading)
    last = read([frame({name: text}) for text in ("a", "b", "c", 'd"', "")])
    assert (last.text or last.thinking) == 'abcd"'
    assert len(whole) == (2 if name == "content" else 3)  # the first thought is read with patience


def test_reasoning_in_two_fields_is_read_whole() -> None:
    """The same text stands in both at first, and then it does not."""
    lines = [frame({"reasoning_content": "a", "reasoning": "a"})] * 4
    lines += [frame({"reasoning_content": "b", "reasoning": "a"})]
    lines += [frame({"reasoning_content": "b", "reasoning": "c"})]
    last = read(lines)
    assert last.thinking == "aaaabb"


def test_a_stream_of_other_frames_is_no_longer_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []

    def trying(data: bytes) -> NoReturn:
        tried.append(data)
        raise JsonError("refused")

    monkeypatch.setattr(chat_quick, "read_strictly", trying)
    read([frame({"content": "a"})] * 9)
    assert len(tried) == 4


@pytest.mark.parametrize("event", ["", "message"])
def test_a_frame_is_compared_with_the_one_before_it(event: str) -> None:
    """Not with one that was read before a frame that took another way."""
    one, other = frame({"content": "a"}), frame({"content": "b"}, model="n")
    last = seen([("", one)] * 3 + [(event, other)] + [("", one)] * 2, ChatQuirks())[-1]
    assert (last.text, last.model_id) == ("aaabaa", "m")


def test_an_answer_that_goes_on_after_its_end() -> None:
    end = {"choices": [{"index": 0, "delta": {"reasoning": "t"}, "finish_reason": "stop"}]}
    text = [frame({"content": text}, id="c2") for text in "bc"]
    last = read([*[frame({"content": "a"})] * 3, written(end), *text, frame({"content": "d"})])
    assert (last.text, last.thinking, last.response_id) == ("aaabcd", "t", "c1")


@pytest.mark.row("STRE-30")
def test_the_usual_end_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = patient(monkeypatch)
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    lines = [frame({"role": "assistant", "content": ""}), *[frame({"content": "a"})] * 3]
    last = read([*lines, written(end), written({"choices": [], "usage": COUNTS})])
    assert slow == []
    assert (last.text, last.finish_reason, last.usage) == ("aaa", "stop", Usage(3, 1, 4))


def test_reasoning_in_a_field_that_is_not_read_is_left_to_the_patient_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = patient(monkeypatch)
    lines = [frame({"reasoning": "a"})] * 3 + [frame({"reasoning": "b", "reasoning_content": "c"})]
    found = seen([("", line) for line in lines], ChatQuirks(reasoning_fields=("reasoning",)))
    assert found[-1].thinking == "aaab"
    assert lines[-1] in slow


def test_tokens_that_stand_elsewhere_are_left_to_the_patient_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = patient(monkeypatch)
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = written({"choices": [], "usage": COUNTS})
    lines = [*[frame({"content": "a"})] * 2, written(end), usage]
    seen([("", line) for line in lines], ChatQuirks(usage_path=("x.usage",)))
    assert slow == [usage]
