"""The contract kit passes what keeps the contract, and catches what breaks it."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from support.broken_providers import BROKEN
from support.suites import run_pytest

import beluga_llm as llm
from beluga_llm.plugin import (
    ChatQuirks,
    HttpRequest,
    OpenAIChatDialect,
    OpenAIResponsesDialect,
    ProviderModel,
    ProviderSpec,
)
from beluga_llm.testing import ChatModelConformance, DialectConformance, FakeServer
from beluga_llm.testing._conformance._compare import judged, spelled_alike
from beluga_llm.testing._conformance._fuzz import ODD, Chance, bent
from beluga_llm.testing._conformance._samples import conversation, words
from beluga_llm.testing._conformance._tools import lacking

ROOT = Path(__file__).parents[2]


@pytest.mark.row("TEST-06", "TEST-13", "NONE-05", "PROV-02")
class TestChat(ChatModelConformance):
    entry = "openai-compatible"
    api = "chat"
    fields = {"model": "m"}


@pytest.mark.row("TEST-06", "PROV-31")
class TestResponses(ChatModelConformance):
    entry = "openai-compatible"
    api = "responses"
    fields = {"model": "m", "api": "responses"}


class TestPlainServer(ChatModelConformance):
    """A server that tells usage unasked, shows no end, and answers in text only."""

    entry = "openai-compatible"
    api = "chat"
    fields = {
        "model": "m",
        "terminal": "optional",
        "stream_usage": "never",
        "response_formats": ("json_object",),
        "capabilities": {"count_tokens": True},
    }
    carries = ("model_id", "cached_tokens")
    usage_unasked = True


class Particular(ProviderModel):
    """Refuses empty questions, and writes arguments its own way where it has them as objects.

    Its dialect leaves tools out rather than saying that none is wanted.
    """

    spec = ProviderSpec(name="particular", dialect=lambda config: Restrained("particular"))

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        if not request.messages[-1].parts or request.messages[-1].text == "":
            raise llm.InvalidRequestError("say something")
        chunks = super()._stream(request)
        try:
            async for chunk in chunks:
                calls = [
                    llm.replace(call, arguments=json.dumps(json.loads(call.arguments)))
                    for call in chunk.tool_calls
                    if not request.streaming
                ]
                yield llm.replace(chunk, tool_calls=tuple(calls)) if calls else chunk
        finally:
            await chunks.aclose()


class Restrained(OpenAIChatDialect):
    """A dialect that refuses empty messages."""

    def encode(self, request: llm.ChatRequest) -> HttpRequest:
        if not any(message.parts for message in request.messages):
            raise llm.InvalidRequestError("say something")
        choice = request.options.tool_choice
        if choice in (None, "auto", "required"):
            return super().encode(request)
        tools = [tool for tool in request.tools if tool.name == choice]
        options = llm.replace(request.options, tool_choice=None)
        return super().encode(llm.replace(request, tools=tuple(tools), options=options))


class TestParticular(ChatModelConformance):
    api = "chat"

    def make(self, server: FakeServer, **fields: Any) -> llm.ChatModel:
        given = {"model": "m", "base_url": server.base_url(), "api_key": self.api_key}
        known = {"tool_choice": {"auto", "none", "required", "named"}, "json_schema": True}
        return Particular(**{**given, "capabilities": known, **fields})


class TestGivenModel(ChatModelConformance):
    """A class that only gives a model."""

    @pytest.fixture
    def model(self, base_url: str) -> llm.ChatModel:
        return llm.create("openai-compatible/m", base_url=base_url, api_key="test-key")


@pytest.mark.row("TEST-06", "STRE-10", "STRE-11", "PROV-12")
class TestMock(ChatModelConformance):
    entry = "mock"
    fields = {"fallback": "Hello"}


@pytest.mark.row("TEST-06")
class TestDemo(ChatModelConformance):
    entry = "demo"


CHUNK = '{"id":"1","model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}'
HELLO = [
    CHUNK % ('{"role":"assistant","content":"Hel"}', "null"),
    CHUNK % ('{"content":"lo"}', '"stop"'),
    "[DONE]",
]
SSE_HELLO = "".join(f"data: {line}\n\n" for line in HELLO).encode()
BODY = (
    b'{"id":"1","model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Hello"}}]}'
)


@pytest.mark.row("TEST-06", "DIAL-07")
class TestChatDialect(DialectConformance):
    dialect = OpenAIChatDialect("kit")
    streams = dict.fromkeys(("hello", "hello again"), SSE_HELLO)
    bodies = {"hello": BODY}
    api = "chat"


@pytest.mark.row("TEST-06", "DIAL-07")
class TestResponsesDialect(DialectConformance):
    dialect = OpenAIResponsesDialect("kit")
    api = "responses"


class TestOptionalDialect(DialectConformance):
    """Streams that are longer than what is cut at every byte, and have no evidence."""

    dialect = OpenAIChatDialect("kit", quirks=ChatQuirks(terminal="optional"))
    streams = {"long": f"data: {HELLO[0]}\n\n".encode() * 150 + f"data: {HELLO[1]}\n\n".encode()}


RECORDED = f"data: {HELLO[0]}\n\n".encode() + SSE_HELLO
"""With text in its first half."""


@pytest.mark.row("TEST-06")
class TestRecorded(ChatModelConformance):
    """A wire format that the fake server is not asked for: two recorded answers are enough."""

    entry = "openai-compatible"
    fields = {"model": "m"}
    recorded_stream = RECORDED
    recorded_body = BODY


class TestRecordedStream(TestRecorded):
    """A service that only streams."""

    recorded_body = None

    @pytest.fixture(autouse=True)
    def streams_only(self, request: pytest.FixtureRequest) -> None:
        if "[stream" not in request.node.name:
            pytest.skip("this check asks for a whole body")


IN_BAND = b'data: {"error": {"code": "overloaded", "message": "busy"}}\n\n'


@pytest.mark.row("TEST-06")
class TestGivenErrors(DialectConformance):
    """Errors inside streams, one and several of a code."""

    dialect = OpenAIChatDialect("kit")
    errors = {"overloaded": (IN_BAND, f"data: {HELLO[0]}\n\n".encode() + IN_BAND)} | {
        "rate_limit": IN_BAND.replace(b"overloaded", b"rate_limit_exceeded")
    }


class TestRestrainedDialect(DialectConformance):
    dialect = Restrained("kit")


class TestBodiesOnly(DialectConformance):
    dialect = OpenAIChatDialect("kit")
    bodies = {"hello": BODY}


# --- broken providers ---------------------------------------------------------------------------


@pytest.mark.row("TEST-33", "PAIN-14")
def test_every_broken_provider_is_caught() -> None:
    """Each named check fails; it passes for the same provider before that was broken."""
    path = Path("tests", "support", "broken_providers.py")
    chosen = [f"{name}::{check}" for name, one in BROKEN.items() for check in one.caught_by]
    output = run_pytest(ROOT, "-n0", "--tb=no", "-rA", *(f"{path}::{check}" for check in chosen))
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    missed = [check for check in chosen if not any(f"::{check}" in line for line in failed)]
    assert missed == [], output


def test_the_mutation_list_is_long() -> None:
    assert len(BROKEN) >= 25


# --- when nothing is there to check -------------------------------------------------------------


def outcome(act: Any, *arguments: Any) -> str:
    """Why a check was skipped."""
    with pytest.raises(pytest.skip.Exception) as caught:
        act(*arguments)
    return str(caught.value)


def test_what_does_not_apply_is_skipped_and_says_why() -> None:
    kit = TestGivenModel()
    assert "set `entry` or override `make`" in outcome(kit.make, FakeServer())
    assert "`entry` is not set" in outcome(kit.test_it_is_registered)
    assert "no HTTP service" in outcome(TestDemo().wire)
    assert "hold no refusal" in outcome(TestPlainServer().needs, "refusal")
    model = llm.create("openai-compatible/m", base_url="http://x", capabilities={"tools": False})
    assert "capabilities.tools is False" in outcome(kit.able, model, "tools")


@pytest.mark.row("TEST-06")
def test_what_was_random_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BELUGA_SEED", raising=False)
    first = Chance()
    assert str(first) == f"repeat with BELUGA_SEED={first.number}"
    monkeypatch.setenv("BELUGA_SEED", str(first.number))
    again = Chance()
    assert [again.random() for _ in range(3)] == [first.random() for _ in range(3)]


# --- how things are compared --------------------------------------------------------------------

WHOLE = llm.AIMessage("Hello there", finish_reason="stop", usage=llm.Usage(1, 2))
CUT = llm.StreamInterruptedError("cut")


def with_partial(text: str) -> llm.StreamInterruptedError:
    return llm.StreamInterruptedError("cut", partial=llm.AIMessage(text))


@pytest.mark.row("PAIN-02")
@pytest.mark.parametrize(
    ("got", "optional", "problem"),
    [
        (WHOLE, False, None),
        (llm.replace(WHOLE, usage=None), False, None),
        (CUT, False, None),
        (with_partial("Hello"), False, None),
        (with_partial("Bye"), False, "no beginning of the whole one"),
        (llm.AIMessage("Hello", finish_reason="other"), True, None),
        (llm.AIMessage("Hello", finish_reason="other"), False, "taken for a whole answer"),
        (llm.AIMessage("Hello", finish_reason="stop"), True, "taken for a whole answer"),
        (llm.AIMessage("Bye", finish_reason="other"), True, "taken for a whole answer"),
        (llm.AIMessage("Hello there", tool_calls=[llm.ToolCall("1", "f")]), False, "taken for"),
    ],
)
def test_a_cut_answer_is_judged(got: Any, optional: bool, problem: str | None) -> None:
    found = judged(got, WHOLE, optional=optional)
    assert (problem is None and found is None) or (problem is not None and problem in str(found))


@pytest.mark.row("TOOL-22")
@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ({"type": "OBJECT", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}, []),
        ({"type": "array", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}, ["/type"]),
        (
            {"type": "object", "properties": {"a": {"enum": ["y"]}}},
            ["/properties/a/enum", "/required"],
        ),
        ({"type": "object", "properties": None, "required": ["a"]}, ["/properties/a"]),
    ],
)
def test_what_a_schema_lacks_is_named(sent: Any, missing: list[str]) -> None:
    given = {
        "type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"],
        "additionalProperties": False,
    }  # fmt: skip
    assert [*lacking(given, sent)] == missing


def test_arguments_are_compared_by_what_they_mean() -> None:
    """An API that gives an object leaves it to its decoder how the text is written."""
    ours, theirs = (llm.ToolCall("1", "f", text) for text in ('{"a":"ü"}', '{ "a": "\\u00fc" }'))
    assert spelled_alike(ours) == spelled_alike(theirs)
    cut = llm.ToolCall("1", "f", '{"a": ')
    assert spelled_alike(cut) is cut


def test_the_words_of_a_conversation_stand_for_themselves() -> None:
    for tools, count in ((False, 7), (True, 10)):
        found = words(conversation(tools=tools))
        assert len(found) == count
        assert not [word for word in found if sum(word in other for other in found) > 1]


def test_odd_data_are_odd_in_any_shape() -> None:
    chance = random.Random(7)
    made = [bent(value, chance) for value in (3, [], {"a": [1]}, [{"b": 2}]) for _ in range(20)]
    assert all(value in ODD for value in made[:40])
    assert not any(value == {"a": [1]} for value in made[40:60])


def test_nothing_is_read_after_an_error() -> None:
    error, end = b'data: {"error": {"message": "no"}}\n\n', b"data: [DONE]\n\n"
    got = TestChatDialect().read(b"", pieces=[error, end])
    assert isinstance(got, llm.ProviderError)
    assert got.message == "no"
