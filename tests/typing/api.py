"""The public API as a user writes it. Never run: mypy --strict and pyright strict check it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict, assert_type

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import beluga_llm as llm
from beluga_llm import blocking, plugin, streams
from beluga_llm.testing import (
    ChatModelConformance,
    DialectConformance,
    FakeServer,
    MockChatModel,
    ReplayModel,
    ReplayTransport,
    Reply,
    Seen,
    assert_chunks_valid,
    assert_error,
    assert_health,
    assert_registered,
    assert_stream_ok,
    forbid_requests,
    record_bytes,
    replay,
    with_recording,
)
from beluga_llm_redis import RedisCache, RedisLimiter, RedisSessionStore


async def ask(model: llm.ChatModel) -> str:
    reply = await model.generate("What is 2+2?", temperature=0.2, max_tokens=100)
    assert_type(reply, llm.AIMessage)
    assert_type(reply.text, str)
    assert_type(reply.thinking, str)
    assert_type(reply.tool_calls, tuple[llm.ToolCall, ...])
    assert_type(reply.usage, llm.Usage)
    assert_type(reply.usage.input_tokens, int | None)
    assert_type(reply.finish_reason, llm.FinishReason | None)
    assert_type(reply.model_id, str | None)
    assert_type(reply.provider_metadata, Mapping[str, Any])
    return reply.text


async def converse(model: llm.ChatModel) -> None:
    messages: list[llm.Message] = [
        llm.SystemMessage("Be brief."),
        llm.HumanMessage(["What is this?", llm.ImagePart(url="https://example.com/a.png")]),
    ]
    messages.append(await model.generate(messages))
    await model.generate([*messages, "and now?"])
    await model.generate(llm.HumanMessage("hi"), options=llm.GenerateOptions(seed=1))
    await model.generate("hi", max_tokens=llm.UNSET, reasoning_effort="low")
    await model.generate("hi", timeout=llm.Timeouts(idle=30.0))
    await model.generate("hi", response_format=llm.ResponseFormat.json_schema({"type": "object"}))


async def stream(model: llm.ChatModel) -> None:
    async with model.stream("Tell me a story", stop=["END"]) as answer:
        assert_type(answer, llm.ChatStream)
        async for chunk in answer:
            assert_type(chunk, llm.StreamChunk)
            assert_type(chunk.delta, str)
            assert_type(chunk.tool_calls, tuple[llm.ToolCallDelta, ...])
    assert_type(answer.message, llm.AIMessage)
    assert_type(answer.usage, llm.Usage)
    assert_type(answer.time_to_first_chunk, float | None)
    assert_type(await model.stream("hi").response(), llm.AIMessage)
    assert_type(model.stream("hi").text(), AsyncIterator[str])
    async for bare in model.stream("hi"):
        assert_type(bare, llm.StreamChunk)


async def many(model: llm.ChatModel) -> None:
    assert_type(await model.batch(["a", llm.HumanMessage("b")]), list[llm.AIMessage])
    both = await model.batch(["a"], return_exceptions=True, timeout=5.0, temperature=0)
    assert_type(both, list[llm.AIMessage | Exception])
    async for result in model.batch_as_completed(["a"], max_concurrency=2):
        assert_type(result, llm.BatchResult)
        assert_type(result.message, llm.AIMessage | None)
        assert_type(result.error, Exception | None)

    def tell(progress: llm.BatchProgress) -> None:
        assert_type(progress.remaining, float | None)

    done = await llm.batch_jsonl(model, "in", "out", progress=tell, seed=1)
    assert_type(done, llm.BatchProgress)
    health = await model.check_health(probe=True)
    assert_type(health, llm.Health)
    assert_type(health.state, llm.HealthState)
    assert_type(health.as_dict(), dict[str, Any])
    assert_type(await llm.check_all({"a": model}), dict[str, llm.Health])


async def share(model: llm.ChatModel) -> None:
    async with streams.tee(model.stream("hi"), 2) as branches:
        async for chunk in branches[0]:
            assert_type(chunk, llm.StreamChunk)
    async with streams.buffer(model.stream("hi"), 16) as ahead:
        async for chunk in ahead:
            assert_type(chunk, llm.StreamChunk)


def weather(city: str, unit: str = "C") -> str:
    """The weather in a city right now."""
    return f"18 {unit} and sunny in {city}"


async def use_tools(model: llm.ChatModel) -> llm.AIMessage:
    definition = llm.ToolDefinition("add", "Adds.", {"type": "object"})
    bound = model.bind_tools([weather, definition], replace=True)
    question = llm.HumanMessage("What is the weather?")
    reply = await bound.generate(question, tool_choice="required")
    results = [
        llm.ToolMessage(weather(**call.args), tool_call_id=call.id, name=call.name)
        for call in reply.tool_calls
    ]
    return await bound.generate([question, reply, *results], tools=[weather])


@llm.tool
def add(a: int, b: int = 1) -> int:
    """Adds."""
    return a + b


@llm.tool(name="look_up", strict=True)
async def find(key: str) -> list[str]:
    """Finds."""
    return [key]


class Shop:
    @llm.tool
    def sell(self, count: int) -> str:
        """Sells."""
        return str(count)


class Clock:
    """A tool that is no function."""

    definition = llm.ToolDefinition("clock", "The time of day.")

    async def run(self, arguments: Mapping[str, Any], /) -> str:
        return "noon"


async def log(call: llm.ToolCall, result: llm.ToolMessage) -> None:
    print(call.name, result.text, result.is_error)


async def loop(model: llm.ChatModel, shop: Shop) -> llm.AIMessage:
    assert_type(add(1, b=2), int)
    assert_type(await find("a"), list[str])
    assert_type(shop.sell(3), str)
    assert_type(add.definition, llm.ToolDefinition)
    tools = llm.ToolSet([add, find, shop.sell, Clock()])
    assert_type(tools.names, list[str])
    tool: llm.Tool = tools.get("add")
    await tool.run({"a": 1})
    model.bind_tools(tools).bind_tools([add, Clock(), weather], replace=False)
    run = await llm.run_tools(
        model,
        "1+2?",
        [*tools, weather],
        max_rounds=5,
        tool_timeout=10,
        tool_retries=1,
        on_error="report",
        before_tool=lambda call: None,
        after_tool=log,
        temperature=0,
        timeout=30,
    )
    assert_type(run, llm.ToolRun)
    assert_type(run.messages, tuple[llm.Message, ...])
    assert_type(run.usage, llm.Usage)
    assert_type(run.rounds, int)
    async with llm.stream_tools("openai/gpt-4o-mini", run.messages, [add]) as stream:
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                assert_type(item.result, llm.ToolMessage)
                assert_type(item.error, Exception | None)
            else:
                assert_type(item, llm.StreamChunk)
                for call in stream.message.tool_calls:
                    assert_type(llm.partial_args(call.arguments), dict[str, Any])
    assert_type(stream.run.response, llm.AIMessage)
    return run.response


@dataclass
class Person:
    name: str
    age: int = 0


class Page(TypedDict):
    number: int


def adult(person: Person) -> Person:
    if person.age < 18:
        raise ValueError("too young")
    return person


async def values(model: llm.ChatModel) -> None:
    people = llm.structured(
        model,
        Person,
        max_retries=1,
        strategy="tool",
        name="person",
        strict=True,
        validators=[adult],
    )
    assert_type(people, llm.StructuredModel[Person])
    assert_type(await people.generate("Who?", temperature=0.0), Person)
    assert_type(
        await llm.structured("openai/gpt-4o-mini", list[Person]).generate("Who?"), list[Person]
    )
    assert_type(await llm.structured(model, Page).generate("Which?"), Page)
    assert_type(await llm.structured(model, int, retry_prompt="Again: {error}").generate("?"), int)
    await llm.structured(model, int | None).generate("?")
    result = await people.run([llm.HumanMessage("Who?")], options=llm.GenerateOptions(seed=1))
    assert_type(result, llm.StructuredResult[Person])
    assert_type(result.value, Person)
    assert_type(result.usage, llm.Usage)
    assert_type(result.attempts, int)
    assert_type(people.schema, dict[str, Any])
    async with people, people.stream("Who?") as growing:
        assert_type(growing, llm.StructuredStream[Person])
        async for value in growing:
            print(value)
        assert_type(await growing.result(), Person)
    async for one in llm.structured(model, list[Person]).stream("Who?").items():
        assert_type(one, Person)


async def layer(
    request: llm.ChatRequest, call_next: llm.CallNext
) -> AsyncGenerator[llm.StreamChunk, None]:
    async for chunk in call_next(request):
        yield chunk


class Loud(llm.DelegatingChatModel):
    volume = 11


def copies(model: MockChatModel, loud: Loud) -> None:
    assert_type(model.bind_tools([weather]), MockChatModel)
    assert_type(model.with_options(temperature=0), MockChatModel)
    assert_type(model.with_middleware(layer), MockChatModel)
    assert_type(loud.with_options(seed=7).volume, int)
    assert_type(llm.apply_middleware(model, layer), llm.ChatModel)


def make() -> llm.ChatModel:
    model = llm.create("openai", model="gpt-4o-mini", api_key=llm.Secret("k"), timeout=30)
    assert_type(model, llm.ChatModel)
    assert_type(llm.create(llm.ProviderConfig(provider="openai")), llm.ChatModel)
    assert_type(llm.list_providers(), list[str])
    assert_type(llm.provider_info("openai").status in ("ok", "broken"), bool)
    return model


async def handle(model: llm.ChatModel) -> float | None:
    try:
        async with model:
            await model.generate("hi")
    except llm.RateLimitError as error:
        return error.retry_after
    except llm.StreamInterruptedError as error:
        assert_type(error.partial, llm.AIMessage | None)
    except llm.BelugaError as error:
        assert_type(error.code, str)
        assert_type(error.retryable, bool)
    return None


def observed(model: llm.ChatModel) -> llm.ChatModel:
    logging.getLogger("beluga_llm").addFilter(llm.ContextFilter())
    return model.with_middleware(
        llm.with_logging("calls", level=logging.DEBUG),
        llm.with_tracing(TracerProvider(), True),
        llm.with_tracing(capture_content="SPAN_AND_EVENT"),
        llm.with_metrics(MeterProvider(), prices=True),
    )


def guarded(model: llm.ChatModel) -> llm.CircuitBreaker:
    breaker = llm.with_circuit_breaker(failure_threshold=3, reset_timeout=20)
    limits = llm.with_limits(llm.ProviderLimits(rpm=600), max_concurrent=20)
    assert_type(model.with_middleware(breaker, limits, llm.with_timeout(total=30)), llm.ChatModel)
    assert_type(breaker.state, llm.BreakerState)
    assert_type(breaker.stats().failure_rate, float)
    return breaker


def store(message: llm.Message) -> llm.Message:
    data = llm.to_dict(message)
    assert_type(data, dict[str, Any])
    return llm.from_dict(data)


async def keep(model: llm.ChatModel, store: llm.SessionStore) -> None:
    def note(error: llm.StoreError) -> None:
        assert_type(error.unsaved, tuple[llm.Message, ...])

    chat = llm.Conversation(model, store, "ada", system="Be brief.", on_save_error=note, ttl=60)
    assert_type(await chat.send("hi", temperature=0.5), llm.AIMessage)
    assert_type(chat.stream("hi", save_partial=True), llm.ChatStream)
    assert_type(await chat.messages(), list[llm.Message])
    await chat.append(llm.HumanMessage("hi"))
    await chat.set_metadata(user="ada")
    assert_type(chat.created_at, datetime | None)
    kept: list[llm.SessionStore] = [llm.MemoryStore(), llm.SQLiteStore("chats.db")]
    llm.Conversation("openai/gpt-4o-mini", kept[0], context=llm.ContextManager())
    with llm.request_context(session_id="s", tenant="acme"):
        await model.generate("hi")


async def spend(model: llm.ChatModel, reply: llm.AIMessage) -> None:
    prices = llm.PriceTable({"acme/large": llm.Price("2.50", 10, cached=0.25)})
    assert_type(llm.cost_of(reply, prices, provider="acme"), Decimal | None)
    budget = llm.Budget(5, UTC, prices=prices)
    assert_type(budget.left, Decimal)
    model.with_middleware(llm.with_budget(budget))
    router = llm.CostAware({"small": "mock/a", "large": [model]}, lambda messages: "small", budget)
    assert_type(await router.generate("hi"), llm.AIMessage)
    llm.CostAware({"medium": model}, llm.HeuristicClassifier(), fallback_tier="medium")


class Echo(llm.ChatModel):
    """A provider that is no HTTP service: one async generator."""

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        yield llm.StreamChunk(delta=request.messages[-1].text)
        yield llm.StreamChunk(finish_reason=llm.FinishReason.STOP)


def create(config: llm.ProviderConfig) -> llm.ChatModel:
    return Echo(config)


factory: llm.ProviderFactory = create
llm.register("echo", create)


@llm.register("echo-too", replace=True)
def create_too(config: llm.ProviderConfig) -> llm.ChatModel:
    return Echo(config)


class AcmeDialect(plugin.OpenAIChatDialect):
    provider = "acme"


def acme(config: llm.ProviderConfig) -> plugin.Dialect:
    return AcmeDialect(quirks=plugin.ChatQuirks(max_tokens_field="max_tokens"))


spec = plugin.ProviderSpec(
    name="acme", dialect=acme, env=("ACME_API_KEY",), base_url="https://api.acme.example/v1"
)


async def test_with_a_server() -> None:
    with FakeServer() as server:
        server.reply("Hello")
        model = llm.create("openai-compatible", model="m", base_url=server.base_url("chat"))
        assert_type((await model.generate("hi")).text, str)


class TestAcme(ChatModelConformance):
    entry = "acme"
    api = "chat"
    fields = {"model": "m", "region": "eu"}
    recorded_stream = b"data: {}"


class TestAcmeDialect(DialectConformance):
    dialect = plugin.OpenAIChatDialect("acme")
    streams = {"hello": b"data: {}"}
    errors = {"overloaded": b"data: {}", "rate_limit": [b"data: {}"]}


async def check_health_in_a_test(model: llm.ChatModel) -> None:
    assert_health(await model.check_health(probe=True), "degraded", provider="acme")


async def fit_a_conversation(model: llm.ChatModel, history: list[llm.Message]) -> None:
    manager = llm.ContextManager(llm.SlidingWindow(max_messages=9), reserve_output=100)
    assert_type(await manager.fit(history, "auto", model=model), list[llm.Message])
    llm.ContextManager(llm.Summarize("openai/gpt-4o", keep_last=2), keep_system=False)
    assert_type(await manager.fit("hello", 100), list[llm.Message])
    assert_type(await manager.fit(iter([llm.HumanMessage("a")]), "auto"), list[llm.Message])
    assert_type(llm.check_tokens(history, model, 100), llm.TokenCheck)
    assert_type(llm.context_window("gpt-4o", windows={"gpt": 9}), int | None)
    tokenizer = await llm.get_tokenizer("simple")
    assert_type(tokenizer, llm.Tokenizer)
    checked = llm.with_token_check(output="error", tokenizer=tokenizer)
    model.with_middleware(llm.with_context(manager), llm.with_context("sliding", 100), checked)


async def kit(server: FakeServer, model: llm.ChatModel) -> None:
    server.reply(Reply("Hello", chunk_size=3, exact_usage=True), times=2)
    server.reply(status=429, headers={"retry-after": "1"})
    assert_type(server.requests[0], Seen)
    assert_type(server.requests[0].key, str | None)
    mock = MockChatModel(["Hello", llm.RateLimitError("slow down")], delay=0.1)
    assert_type(mock.calls, list[llm.ChatRequest])
    assert_type(mock.bound_tools, tuple[llm.ToolDefinition, ...])
    with assert_error("rate_limit", retry_after=7.0) as caught:
        await model.generate("hi")
    assert_type(caught.error, llm.BelugaError)
    assert_type(await assert_stream_ok(model.stream("hi")), llm.AIMessage)
    assert_type(assert_chunks_valid([llm.StreamChunk("a")]), llm.AIMessage)
    assert_type(assert_registered("mock"), llm.ProviderInfo)
    with forbid_requests():
        await model.with_middleware(with_recording("calls.json", secrets=["s"])).generate("hi")
    ReplayModel("calls.json", strict=False).assert_exhausted()
    assert_type(replay("bytes.json", seed=1), ReplayTransport)
    llm.create("openai/gpt-5.4-mini", transport=record_bytes("bytes.json"))


async def share_between_processes(model: llm.ChatModel) -> None:
    url = "rediss://ann:secret@localhost:6380/0?ssl_ca_certs=ca.pem"
    async with RedisLimiter(url, name="acme", on_error="raise", processes=8, lease=5) as limiter:
        assert_type(limiter, RedisLimiter)
        assert_type(limiter.name, str | None)
        assert_type(limiter.running, int)
        limits: plugin.LimitStore = limiter
        model.with_middleware(llm.with_limits(rpm=600, store=limits))
    async with RedisCache(url, prefix="acme:", timeout=0.5) as cache:
        assert_type(await cache.get("key"), bytes | None)
        await cache.set("key", b"value", None)
        await cache.delete("key")
        await cache.clear()
        answers: llm.CacheStore = cache
        model.with_middleware(llm.with_cache(answers, ttl=60))
    async with RedisSessionStore(url) as store:
        assert_type(await store.load("id"), bytes | None)
        await store.save("id", b"data", 60.0, expected=None)
        sessions: llm.SessionStore = store
        await llm.Conversation(model, sessions, session_id="id").send("hi")


def without_a_loop(model: llm.ChatModel) -> None:
    assert_type(blocking.generate("openai/gpt-4o-mini", "hi", temperature=0), llm.AIMessage)
    with blocking.stream(model, "hi", tools=[]) as stream:
        assert_type(stream, blocking.BlockingStream)
        for chunk in stream:
            assert_type(chunk, llm.StreamChunk)
        assert_type(stream.response(), llm.AIMessage)
    for text in blocking.stream(model, "hi").text():
        assert_type(text, str)
    assert_type(blocking.run(model.count_tokens("hi")), llm.TokenCount)
    assert_type(blocking.run(llm.run_tools(model, "hi", [])), llm.ToolRun)
    blocking.close()
