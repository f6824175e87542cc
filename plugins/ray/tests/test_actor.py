"""The object in an actor, without Ray: an event loop in a thread, a model, and rows."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import ChatModel, StreamChunk, Usage
from beluga_llm.testing import FakeServer, MockChatModel
from beluga_llm_ray._actor import Answers
from beluga_llm_ray._settings import Settings

pytestmark = pytest.mark.row("DIST-03")


@dataclass
class City:
    name: str


class Meeting(ChatModel):
    """A model that answers three calls at a time, and counts."""

    provider = "meeting"
    closed = False

    def __init__(self) -> None:
        super().__init__()
        self.together = asyncio.Barrier(3)
        self.running = self.most = 0

    async def _stream(self, request: Any) -> AsyncGenerator[StreamChunk, None]:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.together.wait()
        self.running -= 1
        yield StreamChunk(delta=request.messages[-1].text.upper(), finish_reason="stop")

    async def aclose(self) -> None:
        self.closed = True


def answers(model: Callable[[], ChatModel] | Any, **more: Any) -> Answers:
    return Answers(Settings(model=model, prompt="q", **more))


def test_outcomes_are_in_the_order_of_the_rows_and_failures_among_them():
    actor = answers(lambda: MockChatModel(["one", llm.RateLimitError("slow down"), "three"]))
    found = actor.answer(["a", "b", None, ZeroDivisionError("row"), "c"])
    actor.close()
    assert [row["text"] for row in found] == ["one", None, None, None, "three"]
    codes = [row["error_code"] for row in found]
    assert codes == [None, "rate_limit", "invalid_input", "error", None]
    assert found[3]["error"] == "ZeroDivisionError: row"


def test_calls_under_way_are_bounded_for_all_blocks_together():
    actor = answers(Meeting, max_concurrency=3)
    found: dict[str, list[Any]] = {}

    def block(name: str) -> None:
        found[name] = [row["text"] for row in actor.answer([f"{name}{i}" for i in range(6)])]

    threads = [threading.Thread(target=block, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert actor._asker._model.most == 3
    actor.close()
    assert found == {name: [f"{name.upper()}{i}" for i in range(6)] for name in "ab"}


def test_the_model_is_closed_when_the_actor_is_dropped():
    actor = answers(Meeting)
    model, thread, gone = actor._asker._model, actor._thread, weakref.ref(actor)
    del actor
    gc.collect()
    assert gone() is None
    assert model.closed
    assert not thread.is_alive()


def test_closing_twice_is_once():
    actor = answers(Meeting)
    actor.close()
    actor.close()


def test_a_store_is_closed_with_the_model():
    closed = []

    class Store(llm.plugin.LocalLimits):
        async def aclose(self) -> None:
            closed.append(True)

    actor = answers("demo", store=Store, limits={"rps": 100})
    assert actor.answer(["Hi"])[0]["error"] is None
    actor.close()
    assert closed == [True]


def test_a_model_that_cannot_be_made_leaves_no_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    before = threading.active_count()
    with pytest.raises(llm.ProviderNotFoundError):
        answers("no-such-provider/x")
    gc.collect()
    assert threading.active_count() == before


def test_options_reach_the_model():
    model = MockChatModel(["a"])
    options = llm.GenerateOptions(max_tokens=7)
    actor = answers(lambda: model, options=options, keywords={"temperature": 0.5})
    actor.answer(["Hi"])
    actor.close()
    sent = model.calls[0].options
    assert (sent.max_tokens, sent.temperature) == (7, 0.5)


def test_a_type_gives_json_and_the_tokens_of_all_attempts():
    replies = [
        llm.AIMessage("Lisbon", usage=Usage(5, 1)),
        llm.AIMessage('{"name": "Lisbon"}', usage=Usage(9, 3)),
    ]
    actor = answers(lambda: MockChatModel(replies), schema=City)
    (row,) = actor.answer(["Where?"])
    actor.close()
    assert row["json"] == '{"name":"Lisbon"}'
    assert row["usage"]["total_tokens"] == 18


def test_a_json_schema_gives_json_or_a_failure():
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    model = MockChatModel(['{"name":  "Lisbon"}', "Lisbon"])
    actor = answers(lambda: model, schema=schema)
    good, bad = actor.answer(["Where?", "Where?"])
    actor.close()
    assert good["json"] == '{"name":"Lisbon"}'
    assert model.calls[0].options.response_format.schema == schema
    assert bad["error_code"] == "invalid_output"
    assert bad["error"].startswith("invalid_output: the answer is no JSON")


def test_limits_are_those_of_one_actor():
    actor = answers({"provider": "demo"}, limits=llm.ProviderLimits(rpm=1, on_limit="raise"))
    found = actor.answer(["a", "b"])
    actor.close()
    assert sorted(str(row["error_code"]) for row in found) == ["None", "rate_limit"]


def test_no_key_is_in_a_failure():
    with FakeServer(key="sk-other") as server:
        config = {
            "provider": "openai-compatible",
            "model": "m",
            "base_url": server.base_url("chat"),
            "api_key": "sk-secret",
        }
        actor = answers(config)
        (row,) = actor.answer(["Hi"])
        actor.close()
    assert row["error_code"] == "auth_error"
    assert "sk-secret" not in json.dumps(row)
