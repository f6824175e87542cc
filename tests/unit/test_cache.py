"""The cache: what is kept, under what, for how long, and who waits for whom."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import MemoryCache, ResponseFormat, SQLiteCache, StreamChunk, cache_key, with_cache
from beluga_llm._events import Event
from beluga_llm.testing import MockChatModel, VirtualClock

END = StreamChunk(finish_reason=llm.FinishReason.STOP)
both = pytest.mark.parametrize("streaming", [False, True])


def cached(model: llm.ChatModel, **settings: Any) -> tuple[llm.ChatModel, Any, VirtualClock]:
    clock = VirtualClock(start=1_700_000_000)
    layer = with_cache(clock=clock, **settings)
    return model.with_middleware(layer), layer, clock


def request_of(*messages: llm.Message, **changes: Any) -> llm.ChatRequest:
    return llm.ChatRequest(messages or (llm.HumanMessage("hi"),), **changes)


# --- hits ----------------------------------------------------------------------------------------


@pytest.mark.row("CACH-01", "CACH-08", "CACH-17")
async def test_the_same_question_is_asked_once():
    inner = Flaky(answer("a", tokens=3), answer("b"))
    model, layer, clock = cached(inner)
    first = await model.generate("hi")
    clock.advance(60)
    second = await model.generate("hi")
    assert (first.text, second.text) == ("a", "a")
    assert first.provider_metadata == {}
    assert second.provider_metadata["cache"] == {
        "hit": True, "cached_at": "2023-11-14T22:13:20+00:00", "age": 60.0,
    }  # fmt: skip
    assert second.usage == first.usage
    assert (await model.generate("something else")).text == "b"
    stats = layer.stats()
    assert (stats.hits, stats.misses, stats.writes, stats.errors) == (1, 2, 2, 0)
    stats.hits = 99
    assert layer.stats().hits == 1


@pytest.mark.row("CACH-01", "CACH-13", "RATE-16")
async def test_an_answer_is_good_for_its_time():
    inner = Flaky(answer("a"), answer("b"))
    model, _, clock = cached(inner, ttl=10)
    await model.generate("hi")
    clock.advance(9.5)
    assert (await model.generate("hi")).text == "a"
    clock.advance(0.5)
    assert (await model.generate("hi")).text == "b"


@pytest.mark.row("CACH-01")
async def test_the_age_is_checked_even_where_the_store_does_not():
    class Forgetful(MemoryCache):
        async def set(self, key: str, value: bytes, ttl: float | None) -> None:
            await super().set(key, value, None)

    model, _, clock = cached(Flaky(answer("a"), answer("b")), store=Forgetful(), ttl=10)
    await model.generate("hi")
    clock.advance(10)
    assert (await model.generate("hi")).text == "b"


@pytest.mark.row("CACH-01")
async def test_settings():
    model, layer, clock = cached(Flaky(answer("a"), answer("b")), ttl=None)
    await model.generate("hi")
    clock.advance(1e9)
    assert (await model.generate("hi")).text == "a"
    assert repr(layer) == "with_cache(<MemoryCache 1 of 1000>, ttl=None)"
    with pytest.raises(llm.ConfigError, match="ttl must be >= 0, got -1"):
        with_cache(ttl=-1)
    with pytest.raises(llm.ConfigError, match="ignore: unknown options: usre"):
        with_cache(ignore=["usre"])
    with pytest.raises(llm.ConfigError, match="max_size must be at least 1"):
        MemoryCache(0)


@pytest.mark.row("CACH-06")
@pytest.mark.parametrize(
    ("only", "kept"),
    [
        ("f1", True),
        (["x", "f*"], True),
        ("x*", False),
        (lambda request: request.options.temperature == 0, False),
        (lambda request: True, True),
    ],
)
async def test_only_some_calls_are_kept(only: Any, kept: bool):
    inner = Flaky(answer("a"), answer("b"))
    model, _, _ = cached(inner, only=only)
    await model.generate("hi")
    await model.generate("hi")
    assert len(inner.requests) == (1 if kept else 2)


@pytest.mark.row("CACH-06")
async def test_the_model_of_the_call_counts():
    inner = Flaky(answer("a"), answer("b"))
    model, _, _ = cached(inner, only="other")
    await model.generate("hi", model="other")
    await model.generate("hi", model="other")
    assert len(inner.requests) == 1


@pytest.mark.row("CACH-09")
@pytest.mark.parametrize("reason", ["length", "content_filter", "error"])
async def test_bad_ends_are_not_kept(reason: str):
    bad = [*text("a"), StreamChunk(finish_reason=llm.FinishReason(reason))]
    model, layer, _ = cached(Flaky(bad, answer("b")))
    await model.generate("hi")
    assert (await model.generate("hi")).text == "b"
    assert layer.stats().writes == 1


@pytest.mark.row("CACH-09")
async def test_errors_and_several_answers_are_not_kept():
    inner = Flaky([llm.OverloadedError("x")], answer("b"))
    model, _, _ = cached(inner)
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    assert (await model.generate("hi")).text == "b"
    inner = Flaky(answer("a"), answer("b"))
    model, layer, _ = cached(inner)
    await model.generate("hi", n=2)
    await model.generate("hi", n=2)
    assert (len(inner.requests), layer.stats().misses) == (2, 0)
    two = [*text("a"), StreamChunk("b", choice=1), END]
    model, layer, _ = cached(Flaky(two))
    await model.generate("hi")
    assert layer.stats().writes == 0


@pytest.mark.row("CACH-09", "HOOK-10")
@both
async def test_what_a_hook_says_instead_of_an_error_is_not_kept(streaming: bool):
    suppress = llm.Suppress(llm.AIMessage("sorry", finish_reason="stop"))
    hooks = llm.with_hooks(llm.Hooks.from_callables(on_error=lambda call, error: suppress))
    inner = Flaky([llm.OverloadedError("x")], answer("b"))
    model, layer, _ = cached(inner.with_middleware(hooks), cache_streams=True)

    async def said() -> str:
        asked = model.stream("hi").response() if streaming else model.generate("hi")
        return (await asked).text

    assert [await said(), await said(), await said()] == ["sorry", "b", "b"]
    assert layer.stats().writes == 1


@pytest.mark.row("CACH-19")
async def test_a_kept_answer_cannot_be_changed():
    model, _, _ = cached(MockChatModel([llm.AIMessage("a", provider_metadata={"k": [1]})]))
    first = await model.generate("hi")
    with pytest.raises(TypeError):
        first.provider_metadata["k"].append(2)
    assert (await model.generate("hi")).provider_metadata["k"] == [1]


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.row("CACH-07")
async def test_streams_are_passed_on_by_default():
    inner = Flaky(answer("a"), answer("b"))
    model, layer, _ = cached(inner)
    await model.stream("hi").response()
    assert (await model.stream("hi").response()).text == "b"
    assert layer.stats().misses == 0


@pytest.mark.row("CACH-07")
async def test_a_kept_stream_is_replayed():
    inner = Flaky(answer("a", "b"), answer("c"))
    model, _, _ = cached(inner, cache_streams=True)
    await model.stream("hi").response()
    again = await model.stream("hi").response()
    assert (again.text, again.provider_metadata["cache"]["hit"]) == ("ab", True)
    assert (await model.generate("hi")).text == "ab"
    assert len(inner.requests) == 1


@pytest.mark.row("CACH-07")
async def test_a_stream_that_is_left_is_not_kept():
    inner = Flaky(answer("a", "b"), answer("c"))
    model, layer, _ = cached(inner, cache_streams=True)
    async with model.stream("hi") as stream:
        async for _ in stream:
            break
    assert layer.stats().writes == 0
    assert (await model.stream("hi").response()).text == "c"


# --- the key -------------------------------------------------------------------------------------


@pytest.mark.row("CACH-02")
def test_the_form_of_a_key():
    key = cache_key(request_of())
    prefix, _, digits = key.rpartition(":")
    assert prefix == "beluga_llm:cache"
    assert len(digits) == 32
    assert int(digits, 16) >= 0
    assert cache_key(request_of(), prefix="p").startswith("p:")
    assert cache_key(request_of()) == key


OPTIONS: dict[str, Any] = {
    "temperature": 0.5, "max_tokens": 5, "top_p": 0.5, "top_k": 5, "stop": ("x",), "seed": 5,
    "frequency_penalty": 0.5, "presence_penalty": 0.5, "logprobs": True, "top_logprobs": 2,
    "logit_bias": {"1": 2}, "response_format": ResponseFormat.json(), "tool_choice": "none",
    "parallel_tool_calls": False, "reasoning": llm.ReasoningConfig("low"), "timeout": 5.0,
    "provider_options": {"x": {"y": 1}}, "extra_query": {"a": "b"}, "extra_body": {"a": 1},
    "raw": True, "model": "other", "n": 2, "validate_history": False,
}  # fmt: skip


@pytest.mark.row("CACH-02")
def test_every_option_changes_the_key():
    keys = {
        cache_key(request_of(options=llm.GenerateOptions(**{name: value})))
        for name, value in OPTIONS.items()
    }
    assert len(keys | {cache_key(request_of())}) == len(OPTIONS) + 1
    ignored = {"user", "metadata", "extra_headers"}
    assert set(llm.GenerateOptions.__struct_fields__) == OPTIONS.keys() | ignored


@pytest.mark.row("CACH-01", "CACH-02")
def test_who_asks_does_not_change_the_key():
    options = llm.GenerateOptions(user="u", metadata={"a": 1}, extra_headers={"X-Key": "k"})
    assert cache_key(request_of(options=options)) == cache_key(request_of())
    assert cache_key(request_of(options=options), ignore=()) != cache_key(request_of())
    hot = llm.GenerateOptions(temperature=1)
    assert cache_key(request_of(options=hot), ignore=("temperature",)) == cache_key(request_of())


@pytest.mark.row("CACH-02")
def test_messages_tools_and_place_change_the_key():
    from beluga_llm._request import ModelInfo

    call = llm.ToolCall("c1", "f", "{}")
    signed = llm.ToolCall("c1", "f", "{}", "sig", "p")
    requests = [
        request_of(),
        request_of(llm.HumanMessage("ho")),
        request_of(llm.SystemMessage("hi")),
        request_of(llm.HumanMessage([llm.ImagePart(b"1")])),
        request_of(llm.HumanMessage([llm.ImagePart(b"2")])),
        request_of(llm.AIMessage("", tool_calls=[call])),
        request_of(llm.AIMessage("", tool_calls=[signed])),
        request_of(llm.AIMessage([llm.ThinkingPart("t", "s", provider="p")])),
        request_of(tools=(llm.ToolDefinition("f"),)),
        request_of(tools=(llm.ToolDefinition("f", "described"),)),
        request_of(model=ModelInfo("p")),
        request_of(model=ModelInfo("p", "m")),
        request_of(model=ModelInfo("p", "m", base_url="https://x")),
    ]
    assert len({cache_key(request) for request in requests}) == len(requests)
    where = ModelInfo("p", "m", base_url="https://x", credential="another")
    assert cache_key(request_of(model=where)) == cache_key(requests[-1])


@pytest.mark.row("CACH-02")
def test_what_is_not_sent_does_not_change_the_key():
    told = llm.AIMessage("a", usage=llm.Usage(1), response_id="r", metadata={"pin": True})
    assert cache_key(request_of(told)) == cache_key(request_of(llm.AIMessage("a")))
    odd = llm.GenerateOptions(extra_body={"x": {1: [None, 2.5]}, "set": {5}})
    assert cache_key(request_of(options=odd)) == cache_key(request_of(options=odd))


@pytest.mark.row("CACH-02")
@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_different_conversations_have_different_keys(texts: list[str]):
    joined = request_of(llm.HumanMessage("".join(texts)))
    parts = request_of(*(llm.HumanMessage(one) for one in texts))
    assert (cache_key(joined) == cache_key(parts)) is (len(texts) == 1)


class Wrapper(llm.DelegatingChatModel):
    """A wrapper that changes nothing."""


class Another(llm.DelegatingChatModel):
    """One that may change anything."""


@pytest.mark.row("CACH-02", "TOOL-04", "CHAT-20")
async def test_what_a_wrapper_or_router_hands_on_to_is_in_the_key():
    """They share one store, and no two of them may get the other's answer."""

    def model(name: str = "f1") -> Flaky:
        return Flaky(answer("x"), name=name)

    tool = llm.ToolDefinition("t")
    different: list[llm.ChatModel] = [
        model(),
        Wrapper(model()),
        Wrapper(model()).bind_tools([tool]),
        Wrapper(model().with_options(temperature=0)),
        Wrapper(model().with_options(temperature=1)),
        Another(model()),
        Wrapper(Another(model())),
        Wrapper(Wrapper(model())),
        llm.Router([model()]),
        llm.Router([model("other")]),
        llm.Router([model(), model("other")]),
        llm.Router([model("other"), model()]),
        llm.Router([model().with_options(seed=1)]),
        llm.Router([model().bind_tools([tool])]),
        llm.Router([llm.Router([model()])]),
        llm.Router([Wrapper(model("other"))]),
        llm.FailoverRouter(model()),
    ]
    layer = with_cache()
    for one in different:
        assert "cache" not in (await one.with_middleware(layer).generate("hi")).provider_metadata
    for one in (Wrapper(model()), llm.Router([model(), model("other")])):
        assert "cache" in (await one.with_middleware(layer).generate("hi")).provider_metadata
    assert layer.stats().writes == len(different)


@pytest.mark.row("CACH-02")
async def test_what_a_configuration_changes_is_in_the_key_but_no_secret():
    from beluga_llm.plugin import HttpModel, OpenAIChatDialect, ProviderConfig

    seen: list[llm.ChatRequest] = []

    async def look(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        seen.append(request)
        yield END

    fields: list[dict[str, Any]] = [
        {}, {"parse_think_tags": True}, {"unsupported_content": "drop"}, {"region": "eu"},
        {"base_url": "http://b"}, {"model": "n"},
    ]  # fmt: skip
    same: list[dict[str, Any]] = [
        {"access_token": "canary-1"}, {"access_token": "canary-2", "api_key": "canary-3"},
    ]  # fmt: skip
    for changes in (*fields, *same):
        config = ProviderConfig.of(**{"model": "m", "base_url": "http://a", **changes})
        await HttpModel(OpenAIChatDialect("p"), config).with_middleware(look).generate("hi")
    keys = [cache_key(request) for request in seen]
    assert len(set(keys)) == len(fields) + 1
    assert keys[-1] == keys[-2]
    assert "canary" not in repr(seen)


@pytest.mark.row("CACH-02")
async def test_a_conversation_is_found_again_from_its_first_answer_on():
    """An answer from the cache says so, and when; that does not make it another one."""
    inner = Flaky(answer("a"), answer("b"), answer("c"))
    model, _, clock = cached(inner)
    for _ in range(3):
        first = await model.generate("hi")
        second = await model.generate(["hi", first, "and?"])
        assert (first.text, second.text) == ("a", "b")
        clock.advance(10)
    assert len(inner.requests) == 2
    kept = llm.AIMessage("a", provider_metadata={"cache": {"age": 1}, "content_blocks": [1]})
    other = llm.AIMessage("a", provider_metadata={"content_blocks": [2]})
    assert cache_key(request_of(kept)) != cache_key(request_of(other))


# --- single flight -------------------------------------------------------------------------------


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.row("CACH-16")
async def test_concurrent_identical_calls_make_one_request():
    gate = asyncio.Event()
    inner = Flaky([gate, *answer("a")])
    model, layer, _ = cached(inner)
    tasks = [asyncio.create_task(model.generate("hi")) for _ in range(20)]
    await until(lambda: inner.open)
    gate.set()
    replies = await asyncio.gather(*tasks)
    assert {reply.text for reply in replies} == {"a"}
    assert len(inner.requests) == 1
    assert sum("cache" in reply.provider_metadata for reply in replies) == 19
    assert (layer.stats().hits, layer.stats().misses) == (19, 1)
    assert layer._leaders == {}


@pytest.mark.row("CACH-16")
async def test_an_answer_that_is_not_kept_serves_those_who_wait():
    gate = asyncio.Event()
    inner = Flaky([gate, *text("a"), StreamChunk(finish_reason=llm.FinishReason.LENGTH)])
    model, _, _ = cached(inner)
    tasks = [asyncio.create_task(model.generate("hi")) for _ in range(5)]
    await until(lambda: inner.open)
    gate.set()
    assert [reply.text for reply in await asyncio.gather(*tasks)] == ["a"] * 5
    assert len(inner.requests) == 1


@pytest.mark.row("CACH-16")
async def test_a_leader_that_fails_hands_over():
    gate = asyncio.Event()
    inner = Flaky([gate, llm.OverloadedError("x")], answer("b"))
    model, _, _ = cached(inner)
    tasks = [asyncio.create_task(model.generate("hi")) for _ in range(5)]
    await until(lambda: inner.open)
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], llm.OverloadedError)
    assert [reply.text for reply in results[1:]] == ["b"] * 4  # type: ignore[union-attr]  # messages
    assert len(inner.requests) == 2


@pytest.mark.row("CACH-16", "PAIN-04")
async def test_a_leader_that_is_cancelled_hands_over_and_waiters_stop_nobody():
    gate = asyncio.Event()
    inner = Flaky([gate], [gate, *answer("b")])
    model, _, _ = cached(inner)
    tasks = [asyncio.create_task(model.generate("hi")) for _ in range(4)]
    await until(lambda: inner.open)
    tasks[1].cancel()
    await asyncio.sleep(0)
    tasks[0].cancel()
    await until(lambda: len(inner.requests) == 2)
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results[:2]] == [asyncio.CancelledError] * 2
    assert [reply.text for reply in results[2:]] == ["b", "b"]  # type: ignore[union-attr]  # messages


# --- stores that fail ----------------------------------------------------------------------------


class Broken(MemoryCache):
    async def get(self, key: str) -> bytes | None:
        raise OSError("disk")

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        raise OSError("disk")


@pytest.mark.row("CACH-10")
async def test_a_store_that_fails_costs_no_answer(caplog: pytest.LogCaptureFixture):
    model, layer, _ = cached(Flaky(answer("a"), answer("b")), store=Broken())
    with caplog.at_level(logging.DEBUG, "beluga_llm.cache"):
        assert (await model.generate("hi")).text == "a"
        assert (await model.generate("hi")).text == "b"
    assert layer.stats().errors == 4
    warned = [logging.WARNING, logging.WARNING, logging.DEBUG, logging.DEBUG]
    assert [record.levelno for record in caplog.records] == warned, "reading and writing, once each"


class Sometimes(MemoryCache):
    broken = True

    async def get(self, key: str) -> bytes | None:
        if self.broken:
            raise OSError("disk")
        return await super().get(key)

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        if self.broken:
            raise OSError("disk")
        await super().set(key, value, ttl)


@pytest.mark.row("CACH-10", "DIST-01")
async def test_a_store_that_was_back_is_warned_of_again(caplog: pytest.LogCaptureFixture):
    store = Sometimes()
    model, _, _ = cached(Flaky(answer("a"), answer("b"), answer("c")), store=store)
    with caplog.at_level(logging.WARNING, "beluga_llm.cache"):
        for prompt, broken in (("one", True), ("two", False), ("three", True)):
            store.broken = broken
            await model.generate(prompt)
    assert len(caplog.records) == 4


@pytest.mark.row("CACH-10")
@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        b'{"v": 2, "cached_at": 1, "message": {}}',
        b'{"v": 1, "cached_at": 1}',
        b'{"v": 1, "cached_at": "x", "message": {"v": 1, "type": "ai", "parts": []}}',
        b'{"v": 1, "cached_at": 1, "message": {"v": 9, "type": "ai", "parts": []}}',
        b'{"v": 1, "cached_at": 1, "message": {"v": 1, "type": "human", "parts": []}}',
        b'{"v": 1, "cached_at": 1e12, "message": {"v": 1, "type": "ai", "parts": []}}',
        b'{"v": 1, "cached_at": 1e300, "message": {"v": 1, "type": "ai", "parts": []}}',
    ],
)
async def test_an_entry_that_cannot_be_read_is_a_miss(
    data: bytes, caplog: pytest.LogCaptureFixture
):
    store = MemoryCache()
    inner = Flaky(answer("a"))
    model, layer, _ = cached(inner, store=store)
    await model.generate("hi")
    (key,) = store._values
    await store.set(key, data, None)
    with caplog.at_level(logging.WARNING, "beluga_llm.cache"):
        assert (await model.generate("hi")).text == "a"
    assert len(inner.requests) == 2
    assert layer.stats().errors == 1
    assert len(caplog.records) == 1


# --- removing ------------------------------------------------------------------------------------


@pytest.mark.row("CACH-14")
async def test_one_answer_is_removed():
    inner = Flaky(answer("a"), answer("b"), answer("c"))
    model, layer, _ = cached(inner)
    await model.generate("hi", temperature=0)
    await model.generate("ho")
    await layer.invalidate(model, "hi", temperature=0)
    assert (await model.generate("ho")).text == "b"
    assert (await model.generate("hi", temperature=0)).text == "c"
    await layer.store.clear()
    assert len(inner.requests) == 3
    await model.generate("ho")
    assert len(inner.requests) == 4


@pytest.mark.row("CACH-14")
async def test_an_answer_is_removed_from_all_caches_around_a_model():
    inner = Flaky(answer("a"), answer("b"))
    model = inner.with_middleware(with_cache(), with_cache())
    await model.generate("hi", temperature=0)
    await llm.invalidate(model, "hi", options=llm.GenerateOptions(temperature=0))
    assert (await model.generate("hi", temperature=0)).text == "b"
    with pytest.raises(llm.ConfigError, match=r"flaky/f1 has no cache: put with_cache\(\)"):
        await llm.invalidate(inner, "hi")


# --- stores --------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path):
    clock = VirtualClock(start=100)
    made: Any = (
        MemoryCache(clock=clock)
        if request.param == "memory"
        else SQLiteCache(tmp_path / "deep" / "cache.db", clock=clock)
    )
    made.test_clock = clock
    yield made
    await made.aclose()


@pytest.mark.row("CACH-12", "CACH-13", "CACH-20")
async def test_stores_keep_replace_forget_and_clear(store: Any):
    assert await store.get("k") is None
    await store.set("k", '{"a": "ä\\ud800"}'.encode(), 10)
    await store.set("for ever", b"{}", None)
    assert await store.get("k") == '{"a": "ä\\ud800"}'.encode()
    await store.set("k", b"2", 10)
    assert await store.get("k") == b"2"
    store.test_clock.advance(10)
    assert await store.get("k") is None
    assert await store.get("for ever") == b"{}"
    await store.set("k", b"3", 1)
    await store.delete("k")
    await store.delete("k")
    assert await store.get("k") is None
    await store.clear()
    assert await store.get("for ever") is None


@pytest.mark.row("CACH-13")
async def test_the_memory_store_drops_what_was_not_asked_for_longest():
    store = MemoryCache(max_size=2)
    await store.set("a", b"1", None)
    await store.set("b", b"2", None)
    await store.get("a")
    await store.set("c", b"3", None)
    assert [await store.get(key) for key in "abc"] == [b"1", None, b"3"]
    assert repr(store) == "<MemoryCache 2 of 2>"


@pytest.mark.row("CACH-20", "CACH-01")
async def test_answers_outlive_the_process_as_json(tmp_path: Path):
    path = tmp_path / "answers.db"
    inner = Flaky(answer("ä"))
    async with inner.with_middleware(with_cache(SQLiteCache(path))) as model:
        await model.generate("hi")
    async with inner.with_middleware(with_cache(SQLiteCache(path))) as model:
        assert (await model.generate("hi")).text == "ä"
    assert len(inner.requests) == 1
    with sqlite3.connect(path) as base:
        ((value,),) = base.execute("SELECT value FROM answers").fetchall()
    base.close()
    assert json.loads(value)["message"]["parts"][0]["text"] == "ä"
    assert repr(SQLiteCache(path)) == "<SQLiteCache answers.db>"


async def test_a_file_that_is_no_database_is_a_failure_of_the_store(tmp_path: Path):
    path = tmp_path / "x.db"
    path.write_bytes(b"no database at all, but long enough to be looked at as one" * 10)
    store = SQLiteCache(path)
    with pytest.raises(sqlite3.DatabaseError):
        await store.get("k")
    await store.aclose()


WRITER = """
import asyncio, sys
from beluga_llm import SQLiteCache

async def main():
    store = SQLiteCache(sys.argv[1])
    number = 0
    while True:
        number += 1
        await store.set("k", b'"' + str(number).encode() * 20000 + b'"', None)
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.row("CACH-20")
def test_a_writer_that_is_killed_leaves_a_good_file(tmp_path: Path):
    path = tmp_path / "killed.db"

    async def read() -> bytes | None:
        store = SQLiteCache(path)
        try:
            return await store.get("k")
        finally:
            await store.aclose()

    for _ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            assert writer.stdout is not None
            for _ in range(10):
                writer.stdout.readline()
            writer.kill()
        value = asyncio.run(read())
        assert value is not None
        text = json.loads(value)
        assert text == text[: len(text) // 20000] * 20000


# --- who hears of it -----------------------------------------------------------------------------


@pytest.mark.row("CACH-17")
async def test_hits_and_misses_are_told():
    events: list[Event] = []

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        request.call.listeners.append(events.append)  # type: ignore[union-attr]  # it is set
        async for chunk in call_next(request):
            yield chunk

    layer = with_cache()
    model = Flaky(answer("a")).with_middleware(listening, layer)
    await model.generate("hi")
    await model.generate("hi")
    assert [event.facts["hit"] for event in events] == [False, True]
    gate = asyncio.Event()
    model = Flaky([gate, *answer("a")]).with_middleware(listening, with_cache())
    tasks = [asyncio.create_task(model.generate("hi")) for _ in range(2)]
    await until(lambda: model.unwrap().open)
    gate.set()
    await asyncio.gather(*tasks)
    assert [event.facts["hit"] for event in events[2:]] == [False, True]


@pytest.mark.row("CACH-08")
async def test_hooks_outside_of_the_cache_hear_of_hits():
    lines: list[str] = []
    hooks = llm.Hooks.from_callables(after_generate=lambda call, r, e: lines.append(r.text))
    model = Flaky(answer("a")).with_middleware(llm.with_hooks(hooks), with_cache())
    await model.generate("hi")
    await model.generate("hi")
    assert lines == ["a", "a"]
