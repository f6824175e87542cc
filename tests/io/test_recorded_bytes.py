"""Answers that are recorded byte for byte, and replayed without a network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.testing import (
    FakeServer,
    ReplayError,
    Reply,
    Seen,
    forbid_requests,
    record,
    record_bytes,
    replay,
)
from beluga_llm.testing._recorded_bytes import cut_at_random

pytestmark = pytest.mark.row("TEST-02")
KEY = "sk-canary/Key+4711"
STORY = "Once upon a time there was a whale, and that was schön."


def connect(server: FakeServer, path: Path, **fields: Any) -> llm.ChatModel:
    """A model whose traffic is recorded."""
    given = {"base_url": server.base_url("chat"), "api_key": KEY, "transport": record_bytes(path)}
    return llm.create("openai-compatible/m", **{**given, **fields})


def replayed(path: Path, **settings: Any) -> llm.ChatModel:
    """A model that is answered from the file."""
    return llm.create(
        "openai-compatible/m",
        base_url="https://api.example.test/v1",
        api_key="another-key",
        transport=replay(path, **settings),
    )


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def entries(path: Path) -> list[Any]:
    found: list[Any] = json.loads(text_of(path))["entries"]
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "bytes.json"


async def test_answers_come_again_without_a_network(server: FakeServer, path: Path):
    server.reply("Hello")
    server.reply(STORY)
    async with connect(server, path) as model:
        whole = await model.generate("hi")
        streamed = await model.stream("tell").response()
    with forbid_requests():
        async with replayed(path) as model:
            assert await model.stream("tell").response() == streamed
            assert await model.generate("hi") == whole
            assert model is not None


async def test_the_pieces_are_kept_and_cut_anew(
    server: FakeServer, path: Path, capsys: pytest.CaptureFixture[str]
):
    server.reply(STORY, chunk_size=7, chunk_delay=0.001)
    async with connect(server, path) as model:
        answer = await model.stream("tell").response()
    chunks = entries(path)[0]["response"]["chunks"]
    assert len(chunks) > 20
    for seed in range(5):
        async with replayed(path, seed=seed) as model:
            assert await model.stream("tell").response() == answer
    capsys.readouterr()
    transport = replay(path)
    said = capsys.readouterr().err
    assert f"seed={transport.seed} or BELUGA_REPLAY_SEED={transport.seed}" in said
    kept = replay(path, recut=False)
    assert kept.seed is None
    assert capsys.readouterr().err == ""
    assert "1 of 1 left" in repr(kept)
    async with replayed(path, recut=False) as model:
        assert await model.stream("tell").response() == answer


def test_the_seed_says_where_the_cuts_are(path: Path, monkeypatch: pytest.MonkeyPatch):
    path.parent.mkdir()
    path.write_text('{"v": 1, "kind": "bytes", "entries": []}')
    monkeypatch.setenv("BELUGA_REPLAY_SEED", " 4711 ")
    assert replay(path).seed == 4711
    assert replay(path, seed=1).seed == 1
    monkeypatch.setenv("BELUGA_REPLAY_SEED", "x")
    with pytest.raises(llm.ConfigError, match="BELUGA_REPLAY_SEED must be a whole number"):
        replay(path)
    data = bytes(range(200))
    for seed in range(50):
        pieces = cut_at_random(data, random.Random(seed))
        assert b"".join(pieces) == data
        assert all(pieces)
        assert pieces == cut_at_random(data, random.Random(seed))
    assert cut_at_random(b"", random.Random(0)) == []
    assert cut_at_random(b"a", random.Random(0)) == [b"a"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=429, headers={"retry-after": "7"}), llm.RateLimitError),
        (Reply(status=401, error="wrong key"), llm.AuthenticationError),
        (Reply(status=500), llm.ProviderUnavailableError),
        (Reply(STORY, cut_after=400), llm.StreamInterruptedError),
        (Reply(STORY, truncate_after=400), llm.StreamInterruptedError),
        (Reply(STORY, error_after=3, error="no more"), llm.ProviderError),
        (Reply(STORY, stall_after=400), llm.StreamTimeoutError),
        (Reply(silent=True), llm.RequestTimeoutError),
        (Reply(body=b"\xff\xfe{"), llm.BelugaError),
    ],
    ids=repr,
)
async def test_failures_come_again_as_the_same_class(
    server: FakeServer, path: Path, reply: Reply, error: type[llm.BelugaError]
):
    server.reply(reply)
    limits = llm.Timeouts(first_chunk=0.2, idle=0.2)
    async with connect(server, path, timeout=limits) as model:
        with pytest.raises(error) as first:
            await model.stream("tell").response()
    async with replayed(path) as model:
        with pytest.raises(type(first.value)) as second:
            await model.stream("tell").response()
    assert type(second.value) is type(first.value)
    for name in ("code", "status", "retry_after", "partial"):
        assert getattr(second.value, name) == getattr(first.value, name)


async def test_a_refused_connection_comes_again(path: Path, unused_tcp_port: int):
    url = f"http://127.0.0.1:{unused_tcp_port}/v1"
    async with llm.create(
        "openai-compatible/m", base_url=url, transport=record_bytes(path)
    ) as model:
        with pytest.raises(llm.ConnectionFailedError):
            await model.generate("hi")
    async with replayed(path) as model:
        with pytest.raises(llm.ConnectionFailedError, match="connection failed"):
            await model.generate("hi")


async def test_a_stream_that_was_left_ends_there(server: FakeServer, path: Path):
    server.reply(STORY, chunk_delay=0.01)
    async with connect(server, path) as model, model.stream("tell") as stream:
        async for chunk in stream:
            if chunk.delta:
                break
    assert entries(path)[0]["response"]["end"] == "left"
    async with replayed(path) as model:
        with pytest.raises(llm.StreamInterruptedError) as caught:
            await model.stream("tell").response()
    assert caught.value.partial is not None
    assert caught.value.partial.text.startswith("Once")


async def test_concurrent_calls_get_their_own_answers(server: FakeServer, path: Path):
    server.default = lambda seen: f"answer to {seen.json['messages'][0]['content']}"
    async with connect(server, path) as model:
        await asyncio.gather(*(model.generate(f"q{n}") for n in range(20)))
    async with replayed(path) as model:
        answers = await asyncio.gather(*(model.generate(f"q{n}") for n in range(19, -1, -1)))
    assert [answer.text for answer in answers] == [f"answer to q{n}" for n in range(19, -1, -1)]


async def test_what_was_not_recorded_is_told(server: FakeServer, path: Path):
    server.reply("a", times=2)
    async with connect(server, path) as model:
        await model.generate("hi", temperature=0)
        await model.generate("hi", temperature=0)
    transport = replay(path)
    async with llm.create(
        "openai-compatible/m", base_url="http://x.test/v1", transport=transport
    ) as model:
        with pytest.raises(ReplayError, match=r"body\.temperature: 1, recorded was 0"):
            await model.generate("hi", temperature=1)
        await model.generate("hi", temperature=0)
        assert transport.unused == 1
        with pytest.raises(ReplayError, match="1 of 2 recorded answers were not used"):
            transport.assert_exhausted()
        await model.generate("hi", temperature=0)
        transport.assert_exhausted()
        with pytest.raises(ReplayError, match="all 2 recorded answers"):
            await model.generate("hi", temperature=0)
    async with replayed(path, strict=False) as model:
        assert (await model.generate("whatever")).text == "a"


# --- secrets -------------------------------------------------------------------------------------

BASIC = b64encode(b"me:canary-pass").decode()


def echo(seen: Seen) -> Reply:
    """Everything that came, back, as a text whose words are cut anywhere."""
    password = "canary-pass" if "Basic" in seen.headers["authorization"] else ""
    return Reply(f"You sent {seen.headers} {seen.query} {KEY} {password}", chunk_size=5)


def echo_raw(seen: Seen) -> Reply:
    text = f"{seen.headers} {seen.query} {seen.body.decode()}"
    return Reply(
        body=text.encode(),
        headers={"set-cookie": "canary=1", "x-request-id": f"id-{KEY}", "x-echo": KEY},
    )


def echo_refusal(seen: Seen) -> Reply:
    return Reply(status=401, error=f"wrong key {seen.key} {seen.query}")


def spread(seen: Seen) -> Reply:
    """The key in the deltas of several events."""
    deltas = [llm.StreamChunk(text) for text in ("it is ", KEY[:6], KEY[6:11], KEY[11:], " so")]
    return Reply([*deltas, llm.StreamChunk(finish_reason=llm.FinishReason.STOP)])


@pytest.mark.row("PAIN-15")
@pytest.mark.parametrize("answer", [echo, echo_raw, echo_refusal, spread])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("key", [KEY, None])
async def test_no_secret_is_written(
    server: FakeServer,
    path: Path,
    answer: Callable[[Seen], Reply],
    streaming: bool,
    key: str | None,
):
    server.default = answer
    base = server.base_url("chat").replace("//", "//me:canary-pass@") + "?sig=canary%20sig"
    model = connect(
        server,
        path,
        base_url=base,
        api_key=key,
        headers={"X-Mine": "canary-header ä"},
        query={"token": "canary&query"},
        transport=record_bytes(path, secrets=["canary-named", KEY]),
    )
    keywords: Any = {
        "extra_headers": {"Cookie": "session=canary-cookie", "x-amz-security-token": "canary-aws"},
        "extra_query": {"key": "canary-in-query"},
        "extra_body": {
            "api_key": "canary-in-body",
            "tools": [{"type": "mcp", "headers": {"Authorization": "Bearer canary-mcp"}}],
        },
    }
    async with model:
        try:
            if streaming:
                await model.stream("canary-named", **keywords).response()
            else:
                await model.generate("canary-named", **keywords)
        except llm.BelugaError:
            pass
    text = text_of(path)
    found = text.lower().find("canary")
    assert found < 0, text[max(found - 200, 0) : found + 100]
    assert BASIC not in text
    assert KEY[6:11] not in text
    assert "authorization" not in json.dumps(entries(path)[0]["request"]["headers"]).lower()


@pytest.mark.row("PAIN-15")
@pytest.mark.parametrize(
    ("name", "api"),
    [("anthropic/m", "messages"), ("google/m", "generate_content"), ("openai/m", "responses")],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_no_secret_is_written_of_other_vendors(
    server: FakeServer, path: Path, name: str, api: str, streaming: bool
):
    """Whole and in deltas, as it is and in base64, in an answer and in a refusal."""
    encoded = b64encode(f"Bearer {KEY}".encode()).decode()
    texts = (KEY[:6], KEY[6:11], KEY[11:], f" {KEY} ", encoded[:13], encoded[13:])
    deltas = [llm.StreamChunk(text) for text in texts]
    server.reply([*deltas, llm.StreamChunk(finish_reason=llm.FinishReason.STOP)])
    server.reply(status=401, error=f"wrong key {KEY}, {encoded}")
    fields: Any = {"api": "responses"} if api == "responses" else {}
    async with llm.create(
        name, base_url=server.base_url(api), api_key=KEY, transport=record_bytes(path), **fields
    ) as model:
        calls = model.with_options(extra_body={"api_key": "canary-in-body"})
        for _ in range(2):
            with contextlib.suppress(llm.AuthenticationError):
                if streaming:
                    await calls.stream(KEY).response()
                else:
                    await calls.generate(KEY)
    text = text_of(path)
    assert len(entries(path)) == 2
    assert "canary" not in text.lower()
    assert KEY[6:11] not in text
    assert encoded[13:30] not in text


async def test_what_a_cleaned_stream_says_is_still_a_stream(server: FakeServer, path: Path):
    server.default = spread
    async with connect(server, path) as model:
        assert (await model.stream("hi").response()).text == f"it is {KEY} so"
    async with replayed(path) as model:
        assert (await model.stream("hi").response()).text == "it is *** so"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-abcdefghijklmnop_QRST",
        "sk-proj-0123456789abcdefghij",
        "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
        "AKIAABCDEFGHIJKLMNOP",
        "gsk_abcdefghij0123456789",
        "ya29.a0AfH6SMBx-abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmn",
        "Bearer abcdefghijklmnopqrstuv",
    ],
)
async def test_what_looks_like_a_key_is_not_written(server: FakeServer, path: Path, secret: str):
    """Also where nobody knows it: a key of another service in an answer."""
    server.reply(f"the key is {secret}.")
    async with connect(server, path) as model:
        await model.stream(f"is it {secret}?").response()
    assert secret.removeprefix("Bearer ") not in text_of(path)
    assert "***" in text_of(path)


async def test_words_that_only_look_a_little_like_keys_are_kept(server: FakeServer, path: Path):
    text = "Risk-free tokens, task-sk-learning, a bearer of news; desk-top-publishing-is-fun"
    server.reply(text)
    async with connect(server, path) as model:
        answer = await model.generate(text, user="me")
    async with replayed(path) as model:
        assert await model.generate(text, user="me") == answer
    assert "***" not in text_of(path)


# --- python -m beluga_llm.testing.record ----------------------------------------------------------


def test_the_command_records(
    fake_llm_server: FakeServer, path: Path, capsys: pytest.CaptureFixture[str]
):
    fake_llm_server.reply("Hello")
    fake_llm_server.reply("Bye")
    url = fake_llm_server.base_url("chat")
    arguments = ["openai-compatible/m", "hi", "bye", "-o", str(path), "--base-url", url]
    options = ["--system", "Be kind", "--option", "temperature=0", "--option", "user=me"]
    assert record.main([*arguments, *options]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Hello\nBye\n")
    assert f"recorded in {path}" in said
    bodies = [entry["request"]["body"] for entry in entries(path)]
    assert [body["messages"][-1]["content"] for body in bodies] == ["hi", "bye"]
    assert bodies[0]["temperature"] == 0
    assert bodies[0]["user"] == "me"


def test_the_command_records_streams_and_failures(
    fake_llm_server: FakeServer, path: Path, capsys: pytest.CaptureFixture[str]
):
    fake_llm_server.reply(STORY)
    fake_llm_server.reply(status=429)
    url = fake_llm_server.base_url("chat")
    arguments = ["openai-compatible/m", "hi", "again", "-o", str(path), "--base-url", url]
    assert record.main([*arguments, "--stream"]) == 1
    said = capsys.readouterr()
    assert STORY in said.out
    assert "error: " in said.err
    assert [entry["response"]["status"] for entry in entries(path)] == [200, 429]


def test_the_command_tells_of_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert record.main(["nobody/m", "hi", "-o", str(tmp_path / "x.json")]) == 2
    assert "nobody" in capsys.readouterr().err
    url = ["--base-url", "http://127.0.0.1:1/v1"]
    wrong = ["openai-compatible/m", "hi", "-o", str(tmp_path / "x.json"), "--option", "nothing=1"]
    assert record.main([*wrong, *url]) == 2
    assert "nothing" in capsys.readouterr().err


def test_the_command_tells_that_nothing_was_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path, url = tmp_path / "x.json", "http://127.0.0.1:1/v1"
    asked = ["openai-compatible/m", "hi", "-o", str(path), "--base-url", url]
    assert record.main([*asked, "--option", 'tool_choice="weather"']) == 2  # there is no such tool
    assert "weather" in capsys.readouterr().err
    assert not path.exists()


def test_the_command_has_a_help():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "beluga_llm.testing.record", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert "python -m beluga_llm.testing.record" in done.stdout
    assert "--stream" in done.stdout
