"""What a model over HTTP sends: address, headers, body, key; and what it leaves out."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm._options import KEYWORDS
from beluga_llm.plugin import HttpModel, OpenAIChatDialect, ProviderConfig, WireRequest
from beluga_llm.testing import FakeServer, Seen

KEY = "key-12345678"
CITY = llm.ToolDefinition("find_city", "Finds a city.")
APIS = ["openai-compatible", "openai", "openai-responses", "anthropic"]
Ask = Callable[..., Awaitable[Any]]


def connect(server: FakeServer, api: str = "openai-compatible", **fields: Any) -> Any:
    """A model of one of the wire formats."""
    name, _, responses = api.partition("-responses")
    if responses or api == "openai-responses":
        name, fields["api"] = "openai", "responses"
    url = server.base_url("messages" if name == "anthropic" else "chat")
    given = {"model": "m", "api_key": KEY, "base_url": url, **fields}
    return llm.create(name, **given)


@pytest.fixture(autouse=True)
def answers(server: FakeServer) -> None:
    server.default = "Hello"


async def generate(model: llm.ChatModel, /, *args: Any, **keywords: Any) -> llm.AIMessage:
    return await model.generate(*args, **keywords)


async def stream(model: llm.ChatModel, /, *args: Any, **keywords: Any) -> llm.AIMessage:
    return await model.stream(*args, **keywords).response()


async def sent(server: FakeServer, call: Ask = generate, /, **fields: Any) -> Seen:
    """What the server sees of one call; the fields are the configuration's."""
    keywords = fields.pop("call", {})
    async with connect(server, **fields) as model:
        await call(model, "hi", **keywords)
    return server.requests[-1]


# --- the same for both calls --------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
SAMPLES: dict[str, Any] = {
    "model": "another-model",
    "temperature": 0.5,
    "max_tokens": 9000,
    "top_p": 0.9,
    "top_k": 3,
    "stop": ["END"],
    "seed": 7,
    "n": 2,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"50256": -100},
    "user": "user-1",
    "response_format": llm.ResponseFormat.json_schema(SCHEMA),
    "tool_choice": "find_city",
    "parallel_tool_calls": False,
    "reasoning": llm.ReasoningConfig("high"),
    "reasoning_effort": "low",
    "reasoning_budget": 2048,
    "timeout": 30,
    "provider_options": {name: {"service_tier": "flex"} for name in ("openai", "anthropic")},
    "extra_headers": {"X-Extra": "1"},
    "extra_query": {"extra": "1"},
    "extra_body": {"extra": {"deep": 1}},
    "raw": True,
    "metadata": {"team": "blue-team"},
    "validate_history": False,
    "tools": [CITY],
}
_OF_STREAMS = {"stream", "stream_options"}


def test_every_option_has_a_sample() -> None:
    assert set(SAMPLES) == {*KEYWORDS, "tools"}


def comparable(seen: Seen) -> tuple[Any, ...]:
    body = {name: value for name, value in seen.json.items() if name not in _OF_STREAMS}
    headers = {k: v for k, v in seen.headers.items() if k not in ("accept", "content-length")}
    return seen.path, seen.query, headers, body


@pytest.mark.row("OPTI-02")
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("option", SAMPLES)
async def test_an_option_does_the_same_in_both_calls(
    server: FakeServer, api: str, option: str
) -> None:
    async with connect(server, api, unsupported_options="ignore") as model:
        bound = (
            model.bind_tools([CITY]) if option in ("tool_choice", "parallel_tool_calls") else model
        )
        for call in (generate, stream):
            reply = await call(bound, "hi", **{option: SAMPLES[option]})
            assert reply.text == "Hello"
    whole, streamed = server.requests
    assert streamed.streaming
    assert not whole.streaming
    assert comparable(whole) == comparable(streamed)


@pytest.mark.row("OPTI-31", "SCHE-02")
@pytest.mark.parametrize("api", APIS)
async def test_metadata_is_never_sent(server: FakeServer, api: str) -> None:
    mine = {"team": "blue-team"}
    async with connect(server, api) as model:
        said = llm.HumanMessage("hi", metadata=mine)
        await model.with_options(metadata=mine).generate([said], metadata={"more": "blue-team"})
    (seen,) = server.requests
    assert b"blue-team" not in seen.body
    assert "blue-team" not in f"{seen.headers} {seen.query}"


@pytest.mark.row("OPTI-20")
@pytest.mark.parametrize("api", APIS)
async def test_the_end_user_is_sent_in_the_body_only(server: FakeServer, api: str) -> None:
    seen = await sent(server, api=api, call={"user": "user-4711"})
    assert b"user-4711" in seen.body
    assert "user-4711" not in f"{seen.headers} {seen.query}"
    assert b"user" not in (await sent(server, api=api)).body.replace(b'"role":"user"', b"")


@pytest.mark.row("CHAT-18")
async def test_another_model_for_one_call(server: FakeServer) -> None:
    async with connect(server) as model:
        await model.generate("hi", model="other")
        await model.generate("hi")
        assert model.model_id == "m"
    assert [seen.json["model"] for seen in server.requests] == ["other", "m"]


# --- address ------------------------------------------------------------------------------------


@pytest.mark.row("CONF-04", "OPTI-24", "CONF-01")
@pytest.mark.parametrize(
    ("base", "fields", "path", "query"),
    [
        ("/v1", {}, "/v1/chat/completions", ""),
        ("/v1/", {}, "/v1/chat/completions", ""),
        ("", {}, "/chat/completions", ""),
        ("/a/deployments/b%20c", {}, "/a/deployments/b%20c/chat/completions", ""),
        ("/v1?version=1", {}, "/v1/chat/completions", "version=1"),
        ("/v1/?a=1&a=%2F", {}, "/v1/chat/completions", "a=1&a=%2F"),
        ("/v1", {"query": {"a b": "ü&="}}, "/v1/chat/completions", "a%20b=%C3%BC%26%3D"),
        (
            "/v1?a=0&b=0&c=0&d=0",
            {"query": {"b": "1", "c": "1"}, "call": {"extra_query": {"c": "2", "d": "2"}}},
            "/v1/chat/completions",
            "a=0&b=1&c=2&d=2",
        ),
    ],
)
async def test_the_address_of_a_request(
    server: FakeServer, base: str, fields: dict[str, Any], path: str, query: str
) -> None:
    seen = await sent(server, base_url=f"{server.url}{base}", **fields)
    assert (seen.method, seen.path, seen.query) == ("POST", path, query)


@pytest.mark.row("CONF-04")
async def test_credentials_in_the_address_become_a_header(server: FakeServer) -> None:
    """aiohttp would refuse them beside a key."""
    url = server.base_url().replace("//", "//me:p%40ss@")
    seen = await sent(server, base_url=url, api_key=None)
    assert seen.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert seen.headers["host"] in server.url
    assert (await sent(server, base_url=url)).headers["authorization"] == f"Bearer {KEY}"


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.row("DIAL-03")
@pytest.mark.parametrize(
    ("call", "accept"), [(generate, "application/json"), (stream, "text/event-stream")]
)
async def test_the_headers_that_every_request_has(
    server: FakeServer, call: Ask, accept: str
) -> None:
    headers = (await sent(server, call)).headers
    assert headers["accept"] == accept
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"beluga-llm/{llm.__version__}"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "cookie" not in headers


@pytest.mark.row("OPTI-24", "CONF-01")
@pytest.mark.parametrize("name", ["authorization", "User-Agent", "ACCEPT", "content-Type", "X-New"])
async def test_a_header_goes_over_ours_whatever_its_case(server: FakeServer, name: str) -> None:
    seen = await sent(server, headers={name: "of-config"})
    assert seen.headers[name.lower()] == "of-config"
    call = {"extra_headers": {name.swapcase(): "of-call"}}
    seen = await sent(server, headers={name: "of-config"}, call=call)
    assert seen.headers[name.lower()] == "of-call"


@pytest.mark.row("OPTI-24", "CONF-09")
async def test_line_breaks_in_headers_and_keys_are_refused(server: FakeServer) -> None:
    evil = "ok\r\nX-Evil: 1"
    for fields in ({"headers": {"X-A": evil}}, {"query": {"a": evil}}, {"api_key": evil}):
        with pytest.raises(llm.ConfigError, match="must not contain a line break") as caught:
            connect(server, **fields)
        assert "Evil" not in str(caught.value)
    async with connect(server) as model:
        for option in ("extra_headers", "extra_query"):
            with pytest.raises(llm.InvalidRequestError, match="must not contain a line break"):
                await model.generate("hi", **{option: {"X-A": evil}})
    async with connect(server, api_key=lambda: evil) as model:
        with pytest.raises(llm.AuthenticationError, match="gave a key with a line break"):
            await model.generate("hi")
    async with connect(server, api_key=lambda: "sk-\udcff") as model:
        with pytest.raises(llm.AuthenticationError, match="gave a key with bytes that are no UTF"):
            await model.generate("hi")
    assert server.requests == []


# --- body ---------------------------------------------------------------------------------------


@pytest.mark.row("OPTI-24")
async def test_extra_body_is_merged_deeply_and_none_deletes(server: FakeServer) -> None:
    extra = {
        "model": None,
        "absent": None,
        "messages": "replaced",
        "response_format": {"json_schema": {"strict": None, "more": {"deep": [1, None]}}},
        "new": {"gone": None, "kept": False},
    }
    form = llm.ResponseFormat.json_schema(SCHEMA)
    seen = await sent(server, call={"extra_body": extra, "response_format": form})
    assert seen.json == {
        "messages": "replaced",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "response", "schema": SCHEMA, "more": {"deep": [1, None]}},
        },
        "new": {"kept": False},
    }
    assert extra["new"] == {"gone": None, "kept": False}


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.row("CONF-19")
async def test_without_a_key_there_is_no_authorization(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_COMPATIBLE_API_KEY", raising=False)
    assert "authorization" not in (await sent(server, api_key=None)).headers


@pytest.mark.row("CONF-19")
@pytest.mark.parametrize("kind", ["sync", "async", "secret"])
async def test_a_key_source_is_asked_for_every_request(server: FakeServer, kind: str) -> None:
    keys = iter(["first-key", " second-key\n"])

    async def later() -> str:
        await asyncio.sleep(0)
        return next(keys)

    sources = {
        "sync": lambda: next(keys),
        "async": later,
        "secret": lambda: llm.Secret(next(keys)),
    }
    async with connect(server, api_key=sources[kind]) as model:
        await model.generate("hi")
        await stream(model, "hi")
    assert [seen.key for seen in server.requests] == ["first-key", "second-key"]


@pytest.mark.row("CONF-19")
async def test_a_key_source_that_gives_no_text_is_told(server: FakeServer) -> None:
    async with connect(server, api_key=lambda: 3) as model:
        with pytest.raises(llm.AuthenticationError, match="must give a str, got int"):
            await model.generate("hi")
    assert server.requests == []


class Stamp:
    """Signs the request as it would be sent."""

    def __init__(self) -> None:
        self.seen: list[WireRequest] = []

    async def sign(self, request: WireRequest) -> WireRequest:
        self.seen.append(request)
        await asyncio.sleep(0)
        signed = f"{request.method} {len(request.body or b'')}"
        headers = {**request.headers, "Authorization": f"SIG {signed}", "X-Date": "today"}
        return llm.replace(request, headers=headers, url=f"{request.url}&sig=1")


@pytest.mark.row("DIAL-06")
async def test_a_signer_sees_and_changes_the_whole_request(server: FakeServer) -> None:
    signer = Stamp()
    config = ProviderConfig(
        provider="signed", model="m", base_url=server.base_url(), query={"a": "1"}
    )
    async with HttpModel(OpenAIChatDialect("signed"), config, signer=signer) as model:
        await model.generate("hi", extra_headers={"X-Mine": "1"})
    (seen,) = server.requests
    (unsigned,) = signer.seen
    assert unsigned.url == f"{server.base_url()}/chat/completions?a=1"
    assert unsigned.headers["X-Mine"] == "1"
    assert unsigned.body == seen.body
    assert seen.headers["authorization"] == f"SIG POST {len(seen.body)}"
    assert (seen.headers["x-date"], seen.query) == ("today", "a=1&sig=1")


# --- what a provider cannot take ----------------------------------------------------------------


@pytest.fixture
async def told() -> AsyncIterator[list[warnings.WarningMessage]]:
    """The warnings of the test."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        yield found


@pytest.mark.row("OPTI-27")
async def test_an_unsupported_option_warns_once_for_each_model(
    server: FakeServer, told: list[warnings.WarningMessage]
) -> None:
    async with connect(server, "anthropic") as model:
        for _ in range(2):
            await model.generate("hi", seed=7)
            await model.bind_tools([CITY]).generate("hi", seed=7)
        await model.generate("hi", seed=7, frequency_penalty=1, model="other")
    assert [warning.category for warning in told] == [llm.UnsupportedOptionWarning] * 3
    assert sorted("seed" in str(warning.message) for warning in told) == [False, True, True]
    assert "[anthropic]" in str(told[0].message)
    assert not [seen for seen in server.requests if "seed" in seen.json]


@pytest.mark.row("OPTI-27")
async def test_an_unsupported_option_may_be_an_error_or_nothing(server: FakeServer) -> None:
    async with connect(server, "anthropic", unsupported_options="error") as model:
        with pytest.raises(llm.UnsupportedOptionError, match=r"^\[anthropic\] unsupported: .*seed"):
            await model.generate("hi", seed=7)
        assert server.requests == []
    async with connect(server, "anthropic", unsupported_options="ignore") as model:
        await model.generate("hi", seed=7)
    assert "seed" not in server.requests[0].json


VIDEO = llm.HumanMessage(["look", llm.VideoPart(url="https://example.com/a.mp4")])


@pytest.mark.row("SCHE-15")
@pytest.mark.parametrize("api", APIS)
async def test_an_unsupported_part_is_an_error_before_any_request(
    server: FakeServer, api: str
) -> None:
    async with connect(server, api) as model:
        for call in (generate, stream):
            with pytest.raises(llm.UnsupportedContentError, match="video") as caught:
                await call(model, [VIDEO])
            assert model.provider in str(caught.value)
    assert server.requests == []


@pytest.mark.row("SCHE-15")
async def test_an_unsupported_part_may_be_dropped_with_a_warning(
    server: FakeServer, told: list[warnings.WarningMessage]
) -> None:
    async with connect(server, "anthropic", unsupported_content="drop") as model:
        await model.generate([VIDEO])
        await model.generate([VIDEO])
    assert [warning.category for warning in told] == [llm.DroppedContentWarning]
    assert b"a.mp4" not in server.requests[0].body
    assert b"look" in server.requests[0].body


@pytest.mark.row("REAS-15")
@pytest.mark.parametrize("api", APIS)
async def test_anothers_signature_is_not_sent_and_told_once(
    server: FakeServer, told: list[warnings.WarningMessage], api: str
) -> None:
    thought = llm.ThinkingPart("deep thought", signature="c2lnbmVk", provider="elsewhere")
    history = ["a", llm.AIMessage([thought, llm.TextPart("b")]), "c"]
    async with connect(server, api) as model:
        await model.generate(history)
        await model.generate(history)
    assert [warning.category for warning in told] == [llm.DroppedContentWarning]
    assert "elsewhere" in str(told[0].message)
    for seen in server.requests:
        assert b"c2lnbmVk" not in seen.body
        assert b"deep thought" not in seen.body
