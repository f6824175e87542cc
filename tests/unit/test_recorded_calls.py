"""Calls that are written to a file, and the model that answers from it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.strategies import chunks

import beluga_llm as llm
from beluga_llm import AIMessage, StreamChunk, ToolCall, ToolCallDelta
from beluga_llm.testing import MockChatModel, ReplayError, ReplayModel, with_recording
from beluga_llm.testing._cleaning import Cleaner
from beluga_llm.testing._plain import plain
from beluga_llm.testing._recorded_calls import chunk_data, chunk_of

pytestmark = pytest.mark.row("TEST-20")
KEY = "sk-canary/Key+4711"
PLAIN = "canary/Key ä 4711"


def recorded(path: Path, *responses: Any, **fields: Any) -> llm.ChatModel:
    return MockChatModel(responses, **fields).with_middleware(with_recording(path))


def pieces(*texts: str) -> list[StreamChunk]:
    return [*map(StreamChunk, texts), StreamChunk(finish_reason=llm.FinishReason.STOP)]


async def test_a_call_is_answered_again(tmp_path: Path):
    path = tmp_path / "new folder" / "calls.json"
    model = recorded(path, "Hello, you", "Bye").bind_tools([llm.ToolDefinition("look")])
    asked = [llm.SystemMessage("Be kind"), llm.HumanMessage("hi")]
    first = await model.generate(asked, temperature=0.5)
    second = await model.generate("bye")
    again = ReplayModel(path).bind_tools([llm.ToolDefinition("look")])
    assert await again.generate("bye") == second
    assert await again.generate(asked, temperature=0.5) == first
    again.assert_exhausted()
    assert again.qualified_id == "mock/mock-fixture"


async def test_the_file_can_be_read_by_people(tmp_path: Path):
    path = tmp_path / "calls.json"
    await recorded(path, "Schön").generate("hi", temperature=0)
    text = path.read_text("utf-8")
    assert "Schön" in text
    whole = json.loads(text)
    assert (whole["v"], whole["kind"]) == (1, "calls")
    assert whole["about"]["model_id"] == "mock-fixture"
    (entry,) = whole["entries"]
    assert entry["request"]["options"] == {"temperature": 0}
    assert entry["end"] == "complete"
    assert entry["chunks"][0] == {"delta": "Schön", "part_index": 0}


async def test_a_stream_keeps_its_chunks(tmp_path: Path):
    path = tmp_path / "calls.json"
    model = recorded(path, pieces("a", "bc", "d"))
    heard = [chunk async for chunk in model.stream("hi")]
    again = [chunk async for chunk in ReplayModel(path).stream("hi")]
    assert again == heard
    assert (await ReplayModel(path).generate("hi")).text == "abcd"


@pytest.mark.parametrize(
    "error",
    [
        llm.RateLimitError("slow", retry_after=2.5, status=429, request_id="r1"),
        llm.ContextLengthError("too long", status=400, provider_code="ctx"),
        llm.ConnectionFailedError("no"),
        llm.StreamInterruptedError("cut"),
        llm.TokenLimitError("too long", estimated=10, window=5, model="m"),
    ],
)
async def test_an_error_is_raised_again(tmp_path: Path, error: llm.BelugaError):
    path = tmp_path / "calls.json"
    with pytest.raises(type(error)):
        await recorded(path, error).generate("hi")
    with pytest.raises(type(error)) as caught:
        await ReplayModel(path).generate("hi")
    kept = {k: v for k, v in vars(error).items() if k not in ("op", "partial")}
    assert {name: vars(caught.value)[name] for name in kept} == kept
    assert type(caught.value) is type(error)
    assert caught.value.retryable == error.retryable


async def test_foreign_errors_are_raised_again(tmp_path: Path):
    path = tmp_path / "calls.json"

    class StrangeError(Exception):
        pass

    class OurOwn(llm.RateLimitError):
        pass

    model = recorded(path, KeyError("k"), StrangeError("s"), OurOwn("o"))
    for kind in (KeyError, StrangeError, OurOwn):
        with pytest.raises(kind):
            await model.generate("hi")
    again = ReplayModel(path)
    for kind, text in (
        (KeyError, "k"),
        (RuntimeError, "StrangeError: s"),
        (llm.RateLimitError, "o"),
    ):
        with pytest.raises(kind, match=text):
            await again.generate("hi")


async def test_a_stream_that_failed_fails_at_the_same_place(tmp_path: Path):
    path = tmp_path / "calls.json"

    async def broken(request: llm.ChatRequest, call_next: Any) -> Any:
        async for chunk in call_next(request):
            yield chunk
            if chunk.delta == "b":
                raise llm.StreamInterruptedError("cut")

    mock = MockChatModel([pieces("a", "b", "c")])
    with pytest.raises(llm.StreamInterruptedError):
        await mock.with_middleware(with_recording(path), broken).stream("hi").response()
    with pytest.raises(llm.StreamInterruptedError, match="cut") as caught:
        await ReplayModel(path).stream("hi").response()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "ab"


async def test_a_stream_that_was_left_ends_there(tmp_path: Path):
    path = tmp_path / "calls.json"
    async with recorded(path, pieces("a", "b", "c")).stream("hi") as stream:
        async for _ in stream:
            break
    assert json.loads(path.read_text())["entries"][0]["end"] == "left"
    async with ReplayModel(path).stream("hi") as stream:
        assert (await anext(stream)).delta == "a"
        with pytest.raises(llm.StreamInterruptedError, match="its consumer had left"):
            await anext(stream)


async def test_a_cancelled_call_is_recorded_as_left(tmp_path: Path):
    path = tmp_path / "calls.json"
    waiting = asyncio.Event()

    async def never(request: llm.ChatRequest) -> str:
        waiting.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    task = asyncio.create_task(recorded(path, never).generate("hi"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert json.loads(path.read_text())["entries"][0]["end"] == "left"


async def test_concurrent_calls_stand_in_the_order_of_their_begin(tmp_path: Path):
    path = tmp_path / "calls.json"
    late = asyncio.Event()

    async def slowly(request: llm.ChatRequest) -> str:
        await late.wait()
        return "first"

    model = recorded(path, slowly, "second")
    first = asyncio.create_task(model.generate("1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await model.generate("2")).text == "second"
    late.set()
    assert (await first).text == "first"
    again = ReplayModel(path)
    answers = await asyncio.gather(again.generate("2"), again.generate("1"))
    assert [answer.text for answer in answers] == ["second", "first"]
    in_order = ReplayModel(path, strict=False)
    assert [(await in_order.generate("x")).text for _ in range(2)] == ["first", "second"]


async def test_equal_questions_get_their_answers_in_order(tmp_path: Path):
    path = tmp_path / "calls.json"
    model = recorded(path, "a", "b")
    for _ in range(2):
        await model.generate("hi")
    again = ReplayModel(path)
    copy = again.with_options()
    assert [(await one.generate("hi")).text for one in (again, copy)] == ["a", "b"]
    with pytest.raises(ReplayError, match="all 2 recorded answers to this request were used"):
        await again.generate("hi")
    again.reset()
    assert (await again.generate("hi")).text == "a"
    assert again.unused == 1
    with pytest.raises(ReplayError, match=r"1 of 2 recorded answers were not used \(numbers 1\)"):
        again.assert_exhausted()


async def test_another_question_is_told_apart(tmp_path: Path):
    path = tmp_path / "calls.json"
    model = recorded(path, "a", "b")
    await model.generate("something long " * 20, temperature=0)
    await model.generate("hi", temperature=0)
    again = ReplayModel(path)
    with pytest.raises(ReplayError) as caught:
        await again.generate("hi", temperature=1)
    assert "the nearest of 2 differs in options.temperature: 1, recorded was 0" in str(caught.value)
    with pytest.raises(ReplayError, match=r"messages\[0\].*recorded was"):
        await again.generate("ho", temperature=0)
    with pytest.raises(ReplayError, match="messages"):
        await again.generate([llm.SystemMessage("s"), llm.HumanMessage("hi")], temperature=0)
    assert (await again.generate("hi", temperature=0, timeout=5)).text == "b"


async def test_tools_and_images_come_again(tmp_path: Path):
    path = tmp_path / "calls.json"
    call = ToolCall("c1", "look", '{"at": "sky"}')
    image = llm.ImagePart(data=b"\x89PNG\r\n\x1a\n\x00\xff")
    said = AIMessage(
        [llm.ThinkingPart("hm", signature="s", provider="mock"), image], tool_calls=[call]
    )
    question = llm.HumanMessage(["what is this?", image])
    first = await recorded(path, said).generate([question])
    assert await ReplayModel(path).generate([question]) == first


async def test_capabilities_are_the_recorded_ones(tmp_path: Path):
    path = tmp_path / "calls.json"
    facts = llm.Capabilities(json_schema=True, tool_choice=frozenset(("auto", "named")))
    model = recorded(path, "x", capabilities=facts)
    await model.generate("hi")
    assert ReplayModel(path).capabilities == model.capabilities


# --- secrets -------------------------------------------------------------------------------------


async def test_no_key_is_written(tmp_path: Path):
    path = tmp_path / "calls.json"
    split = [
        StreamChunk(f"your key is {KEY[:7]}"),
        StreamChunk(f"{KEY[7:]}, yes"),
        StreamChunk(reasoning_delta=KEY[:3]),
        StreamChunk(reasoning_delta=KEY[3:]),
        StreamChunk(tool_calls=(ToolCallDelta(0, "c", "f", '{"k": "' + KEY[:9]),)),
        StreamChunk(tool_calls=(ToolCallDelta(0, arguments=KEY[9:] + '"}'),)),
        StreamChunk(metadata={"echo": [KEY, {KEY: 1}]}),
        StreamChunk(finish_reason=llm.FinishReason.STOP),
    ]
    fail = llm.InvalidRequestError(f"bad key {KEY}", body={"k": KEY})
    inner = MockChatModel([split, fail], api_key=KEY, headers={"X-Mine": "canary-header"})
    model = inner.with_middleware(with_recording(path, secrets=["canary-named"]))
    await model.stream(
        "canary-named",
        extra_headers={"X-Call": "canary-of-call"},
        extra_query={"token": "canary-in-query"},
        extra_body={"mcp": {"authorization_token": "canary-in-body", "headers": {"A": "canary"}}},
    ).response()
    with pytest.raises(llm.InvalidRequestError):
        await model.generate("canary-of-call canary-header", extra_headers={"a": "canary-of-call"})
    text = path.read_text()
    assert "canary" not in text.lower()
    assert KEY[7:] not in text
    assert "your key is ***" in text


@pytest.mark.parametrize("before", ["", "x", "xx", "Bearer "])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
async def test_no_key_is_written_in_base64(
    tmp_path: Path, before: str, encode: Callable[[bytes], bytes]
):
    path = tmp_path / "calls.json"
    key = "canary-?>~\u00ff-of-twenty"
    said = encode(f"{before}{key} and more".encode()).decode()
    chunks = [StreamChunk(said[:9]), StreamChunk(said[9:])]
    end = StreamChunk(finish_reason=llm.FinishReason.STOP)
    inner = MockChatModel([[*chunks, end]], api_key=key)
    await inner.with_middleware(with_recording(path)).stream("hi").response()
    [entry] = json.loads(path.read_text())["entries"]
    found = "".join(chunk.get("delta", "") for chunk in entry["chunks"])
    assert "***" in found
    assert len(found) < len(said) - 20
    assert found.endswith(said[-8:])


async def test_the_keys_of_models_inside_are_known(tmp_path: Path):
    path = tmp_path / "calls.json"
    one = MockChatModel([f"1 {KEY}-one"], api_key=f"{KEY}-one")
    two = MockChatModel([f"2 {KEY}-two"], api_key=f"{KEY}-two")
    three = MockChatModel([], api_key=f"{KEY}-three").with_middleware(llm.with_fallback(two))
    router = llm.Router([one, llm.DelegatingChatModel(three)]).with_middleware(with_recording(path))
    await router.generate(f"{KEY}-two and {KEY}-one")
    assert "canary" not in path.read_text()


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "recording"),
        ("[]", "it holds no recording"),
        ('{"v": 1, "kind": "calls"}', "it holds no recording"),
        ('{"v": 2, "kind": "calls", "entries": []}', r"version 2 is not known \(known: 1\)"),
        ('{"v": 1, "kind": "bytes", "entries": []}', "it holds 'bytes', not 'calls'"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "calls.json"
    path.write_text(text)
    with pytest.raises(llm.ConfigError, match=problem):
        ReplayModel(path)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(llm.ConfigError, match=r"no\.json"):
        ReplayModel(tmp_path / "no.json")


async def test_an_empty_recording_answers_nothing(tmp_path: Path):
    path = tmp_path / "calls.json"
    path.write_text('{"v": 1, "kind": "calls", "entries": []}')
    model = ReplayModel(path)
    assert model.qualified_id == "replay/replay"
    with pytest.raises(ReplayError, match="all 0 recorded answers"):
        await model.generate("hi")


async def test_it_replaces_an_older_file_at_the_first_call(tmp_path: Path):
    path = tmp_path / "calls.json"
    path.write_text("old")
    model = recorded(path, "a")
    assert repr(with_recording(path)) == "with_recording('calls.json')"
    assert path.read_text() == "old"
    await model.generate("hi")
    assert (await ReplayModel(path).generate("hi")).text == "a"
    assert os.listdir(tmp_path) == ["calls.json"]


# --- laws ----------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(chunks)
def test_chunks_survive_a_file(chunk: StreamChunk):
    assert chunk_of(json.loads(json.dumps(chunk_data(chunk)))) == chunk


@given(st.lists(st.sampled_from(["a", PLAIN, PLAIN[:5], PLAIN[5:], "é", ""])), st.data())
def test_a_key_is_found_however_it_is_cut(texts: list[str], data: st.DataObject):
    whole = "".join(texts)
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=6)) if whole else []
    borders = [0, *sorted(places), len(whole)]
    cut = [whole[a:b] for a, b in itertools.pairwise(borders)]
    cleaned = Cleaner([PLAIN]).pieces(cut)
    assert len(cleaned) == len(cut)
    assert "".join(cleaned) == whole.replace(PLAIN, "***")


def test_short_secrets_and_broken_tokens_are_no_trouble():
    headers = {"Authorization": "Basic abc"}  # no base64
    cleaner = Cleaner.of_request("http://h.test/", headers, ["abcd"])
    assert cleaner.text("abcd and abc, xYWJjZ") == "*** and abc, xYWJjZ"


def test_values_of_ours_become_data():
    assert plain(b"a") == {"base64": "YQ=="}
    assert plain(llm.FinishReason.STOP) == "stop"
    assert plain(frozenset(("b", "a"))) == ["a", "b"]
    assert plain(llm.Usage(input_tokens=1))["input_tokens"] == 1
    assert plain(1j) == "1j"
