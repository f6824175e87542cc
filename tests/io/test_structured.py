"""Values of types over real sockets: each type with each strategy, each provider's format."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.asked import TYPES, Author
from support.oracle import request_problems

import beluga_llm as llm
from beluga_llm.testing import DemoChatModel, FakeServer, Seen

STRATEGIES = ["native", "tool", "prompt"]


@pytest.fixture
async def demo() -> AsyncIterator[FakeServer]:
    async with FakeServer(DemoChatModel()) as running:
        yield running


@pytest.mark.row("STRU-03", "STRU-15", "STRU-16")
@pytest.mark.parametrize("strategy", ["native", "tool"])
@pytest.mark.parametrize("kind", TYPES, ids=str)
async def test_every_type_by_a_valid_answer(kind: Any, strategy: Any, demo: FakeServer) -> None:
    """The demo model gives some value of any schema."""
    async with llm.create("openai-compatible/m", base_url=demo.base_url()) as model:
        asked = llm.structured(model, kind, strategy=strategy, max_retries=0)
        value = await asked.generate("Invent one")
        async with asked.stream("Invent one") as stream:
            async for _ in stream:
                pass
            assert await stream.result() == value
    assert len(demo.requests) == 2


@pytest.mark.row("STRU-03", "STRU-17")
@pytest.mark.parametrize("kind", TYPES, ids=str)
async def test_every_type_by_words(kind: Any, demo: FakeServer) -> None:
    """What the tool strategy was given is written into a text."""
    async with llm.create("openai-compatible/m", base_url=demo.base_url()) as model:
        given = await llm.structured(model, kind, strategy="tool").run("Invent one")
        [call] = given.message.tool_calls
        demo.reply(f"Here:\n```json\n{call.arguments}\n```\nAnything else?", times=2)
        asked = llm.structured(model, kind, strategy="prompt", max_retries=0)
        assert await asked.generate("Invent one") == given.value
        assert await asked.stream("Invent one").result() == given.value
    system = demo.requests[1].json["messages"][0]
    assert system["role"] == "system"
    assert "JSON Schema" in system["content"]


@pytest.mark.row("STRU-15", "PAIN-02")
async def test_a_connection_that_breaks_anywhere_shows_a_growing_part(server: FakeServer) -> None:
    answer = '{"value": [{"name": "A\\u00e9 \N{SNOWMAN}", "books": null}, {"name": "B"}]}'
    async with llm.create("openai-compatible/m", base_url=server.base_url()) as model:
        asked = llm.structured(model, list[Author], strategy="native")
        server.reply(answer)
        whole = await asked.stream("Go").result()
        outcomes = set()
        for size in range(40, 3000, 67):
            server.reply(answer, cut_after=size)
            shown: list[Any] = []
            async with asked.stream("Go") as stream:
                try:
                    async for value in stream:
                        shown.append(value)  # noqa: PERF401 -- what came before the error counts
                    outcomes.add(await stream.result() == whole)
                except llm.StreamInterruptedError as error:
                    outcomes.add(error.content_started)
            names = ["".join(author.get("name", "") for author in value) for value in shown]
            assert all(map(str.startswith, names[1:], names))
            assert all("A\u00e9 \N{SNOWMAN}B".startswith(name) for name in names)
    assert outcomes == {True, False}


# --- providers -----------------------------------------------------------------------------------

PROVIDERS: dict[str, dict[str, Any]] = {
    "openai/gpt-5.4-mini": {"api": "chat", "wire": "chat"},
    "openai/gpt-5.4": {"api": "responses", "wire": "responses"},
    "anthropic/claude-sonnet-4-5": {"wire": "messages"},
    "google/gemini-3-flash": {"wire": "generate_content"},
    "mistral/mistral-small-latest": {"wire": "chat"},
    "cohere/command-a-03-2025": {"wire": "cohere"},
    "ollama/llama3.2": {"wire": "ollama"},
    "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0": {
        "wire": "converse",
        "region": "eu-west-1",
    },
}
ORACLES = {
    "openai/gpt-5.4-mini": ("openai", "chat_completions"),
    "openai/gpt-5.4": ("openai", "responses"),
    "anthropic/claude-sonnet-4-5": ("anthropic", "messages"),
    "google/gemini-3-flash": ("google", "generateContent"),
    "mistral/mistral-small-latest": ("mistral", "chat_completions"),
    "cohere/command-a-03-2025": ("cohere", "chat"),
    "ollama/llama3.2": ("ollama", "chat"),
    "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0": ("bedrock", "converse"),
}


def connect(name: str, server: FakeServer) -> llm.ChatModel:
    fields = {key: value for key, value in PROVIDERS[name].items() if key != "wire"}
    url = server.base_url(PROVIDERS[name]["wire"])
    key = {} if name.startswith("ollama") else {"api_key": "key-1"}
    return llm.create(name, base_url=url, **key, **fields)


@pytest.mark.row("STRU-01", "STRU-05", "STRU-07", "STRU-15")
@pytest.mark.parametrize("name", PROVIDERS)
async def test_every_provider(name: str, demo: FakeServer) -> None:
    async with connect(name, demo) as model:
        for strategy in ("auto", "native", "tool"):
            if strategy == "tool" and name.startswith("ollama"):
                continue  # it cannot be made to call a tool
            demo.reply("no JSON")
            asked = llm.structured(model, list[Author], strategy=strategy)  # type: ignore[arg-type]  # it is one
            result = await asked.run("Invent authors")
            assert result.attempts == 2
            stream = asked.stream("Invent authors")
            assert [author async for author in stream.items()] == result.value
            assert await stream.result() == result.value


def bodies_of(server: FakeServer) -> list[Any]:
    return [seen.json for seen in server.requests if _is_question(seen)]


def _is_question(seen: Seen) -> bool:
    return isinstance(seen.json, dict) and not seen.path.endswith("/show")


@pytest.mark.row("STRU-20", "STRU-16", "STRU-17", "STRU-07")
@pytest.mark.parametrize("name", PROVIDERS)
async def test_requests_keep_the_vendors_rules(name: str, demo: FakeServer) -> None:
    async with connect(name, demo) as model:
        for kind in TYPES:
            for strategy in STRATEGIES:
                if strategy == "tool" and name.startswith("ollama"):
                    continue  # it cannot be made to call a tool
                demo.reply("no")
                asked = llm.structured(model, kind, strategy=strategy, max_retries=1)  # type: ignore[arg-type]  # it is one
                try:
                    await asked.generate("Invent one")
                except llm.StructuredOutputError:
                    assert strategy == "prompt" or name.startswith("anthropic")
    provider, api = ORACLES[name]
    bodies = bodies_of(demo)
    assert len(bodies) > 2 * len(TYPES)
    problems = request_problems(provider, api, bodies)
    found = [(body, told) for body, told in zip(bodies, problems, strict=True) if told]
    assert found == []
