"""batch_jsonl: from file to file, what is read and written, and what a second run does."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import tracemalloc
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm as llm
from beluga_llm._batch import results
from beluga_llm._batch.cut import may_be_cut
from beluga_llm._batch.lines import Line, read_line
from beluga_llm.testing import MockChatModel


class Echo(llm.ChatModel):
    """Answers the last text; "bad" ones fail."""

    provider = "echo"
    model_id = "m"

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[llm.ChatRequest] = []
        self.closed = [0]

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        self.requests.append(request)
        text = request.messages[-1].text
        if text.startswith("bad"):
            raise llm.RateLimitError("slow down", status=429, retry_after=3)
        if text.startswith("odd"):
            raise ValueError("what?")
        usage = llm.Usage(1, 2)
        yield llm.StreamChunk(text, usage=usage, finish_reason=llm.FinishReason.STOP)

    async def _aclose(self) -> None:
        self.closed[0] += 1

    @property
    def asked(self) -> list[str]:
        return [request.messages[-1].text for request in self.requests]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "in.jsonl", tmp_path / "out.jsonl"


def write(path: Path, lines: Iterable[Any]) -> None:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"".join(text + b"\n" for text in texts))


def read(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.splitlines()]


def by_line(path: Path) -> dict[int, dict[str, Any]]:
    found = {one["line"]: one for one in read(path)}
    assert len(found) == len(read(path))
    return found


@pytest.mark.row("BATC-08", "CLI-08")
async def test_every_line_gets_one_result_with_its_id(files: tuple[Path, Path]):
    write(
        files[0],
        [
            {"id": "a", "prompt": "one"},
            {"id": 7, "messages": [{"role": "user", "content": "two"}]},
            b"   ",
            {"prompt": "no id"},
            {"id": "bad", "prompt": "bad"},
            {"id": "odd", "prompt": "odd"},
        ],
    )
    done = await llm.batch_jsonl(Echo(), *files)
    assert (done.done, done.failed, done.skipped, done.usage) == (5, 2, 0, llm.Usage(3, 6))
    found = by_line(files[1])
    assert {line: one["id"] for line, one in found.items()} == {
        1: "a", 2: 7, 4: None, 5: "bad", 6: "odd",
    }  # fmt: skip
    assert [found[line]["text"] for line in (1, 2, 4)] == ["one", "two", "no id"]
    message = llm.from_dict(found[1]["message"])
    assert isinstance(message, llm.AIMessage)
    assert (message.text, message.usage) == ("one", llm.Usage(1, 2))
    assert found[5]["error"] == {
        "code": "rate_limit",
        "type": "RateLimitError",
        "message": "slow down",
        "retryable": True,
        "status": 429,
        "retry_after": 3,
    }
    assert found[6]["error"] == {"code": "error", "type": "ValueError", "message": "what?"}


BAD = {
    b"no json": "no JSON",
    b"\xff\xfe": "no JSON",
    b"[1]": "must be a JSON object, not list",
    b"{}": "either a prompt or messages",
    b'{"prompt": "x", "messages": []}': "either a prompt or messages",
    b'{"prompt": 5}': "prompt must be a string",
    b'{"messages": "x"}': "messages must be a list",
    b'{"messages": []}': "no messages",
    b'{"messages": [5]}': "a message must be an object",
    b'{"messages": [{"role": "king", "content": "x"}]}': "unknown role 'king'",
    b'{"messages": [{"type": "king"}]}': "unknown message type",
    b'{"messages": [{"role": "tool", "content": "x"}]}': "needs a tool_call_id",
    b'{"messages": [{"role": "user", "content": 5}]}': "expected a list, not int",
    b'{"messages": [{"role": "user", "content": [{"type": "song"}]}]}': "of the type 'song'",
    b'{"messages": [{"role": "user", "content": [5]}]}': "of the type 'int'",
    b'{"messages": [{"role": "assistant", "tool_calls": [5]}]}': "id must be a string",
    b'{"prompt": "x", "options": 5}': "options must be an object",
    b'{"prompt": "x", "options": {"temperatur": 1}}': "did you mean 'temperature'",
    b'{"prompt": "x", "options": {"temperature": 99}}': "temperature",
    b'{"prompt": "x", "options": {"response_format": 5}}': "response_format takes",
    b'{"prompt": "x", "tools": 5}': "tools must be a list",
    b'{"prompt": "x", "more": 1}': "unknown fields more (known: id, messages, options, prompt,",
    b'{"custom_id": "x", "body": {}, "b": 1}': "unknown fields b",
    b'{"body": 5}': "body must be one of chat completions",
    b'{"body": {"input": "x"}}': "body must be one of chat completions",
    b'{"body": {"messages": [], "speed": 5}}': "unknown field 'speed' of a body",
    b'{"body": {"messages": [], "response_format": {"type": "x"}}}': "cannot read the res",
    b'{"body": {"messages": [], "tools": [5]}}': "function.name must be a string",
    b'{"body": {"messages": [], "tool_choice": {}}}': "function.name must be a string",
    b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": '
    b'"data:image/png;base64,@"}}]}]}': "not base64",
}  # fmt: skip


@pytest.mark.row("CLI-08")
@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
async def test_a_bad_line_is_a_failure_with_its_number(text: bytes, files: tuple[Path, Path]):
    write(files[0], [{"id": "a", "prompt": "one"}, text])
    done = await llm.batch_jsonl(Echo(), *files)
    assert (done.done, done.failed) == (2, 1)
    assert BAD[text] in by_line(files[1])[2]["error"]["message"]
    assert (await llm.batch_jsonl(Echo(), *files)).skipped == 2
    assert len(read(files[1])) == 2


WORDS = (
    "id", "custom_id", "body", "messages", "prompt", "options", "tools", "role", "content",
    "tool_calls", "function", "name", "type", "url", "image_url", "response_format",
    "json_schema", "schema", "user", "tool", "assistant", "text",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.row("CLI-08")
@given(st.binary(max_size=60) | JSON.map(lambda data: json.dumps(data).encode()))
def test_no_line_breaks_the_reader(text: bytes):
    line = read_line(3, text)
    assert line.number == 3
    assert line.problem is not None or isinstance(line.messages, tuple)


@pytest.mark.row("CLI-08")
async def test_lines_say_how_they_are_asked(files: tuple[Path, Path]):
    tool = {"name": "find", "input_schema": {"type": "object", "properties": {}}}
    write(
        files[0],
        [
            {"id": 1, "prompt": "x", "options": {"temperature": 0, "response_format": "json"}},
            {"id": 2, "prompt": "x", "tools": [tool]},
            {"id": 3, "prompt": "x", "options": {"response_format": {"type": "object"}}},
            {"id": 4, "messages": [llm.to_dict(llm.HumanMessage(["x", llm.ImagePart(b"GIF89a")]))]},
        ],
    )
    model = Echo()
    own = llm.ToolDefinition("own")
    options = llm.GenerateOptions(seed=3)
    await llm.batch_jsonl(
        model, *files, max_concurrency=1, temperature=1, tools=[own], options=options
    )
    first, second, third, fourth = model.requests
    assert (first.options.temperature, first.options.seed) == (0, 3)
    assert getattr(first.options.response_format, "type", None) == "json"
    assert second.options.temperature == 1
    assert [one.name for one in second.tools] == ["own", "find"]
    assert getattr(third.options.response_format, "schema", None) == {"type": "object"}
    assert fourth.messages[0].parts[1] == llm.ImagePart(b"GIF89a")
    with pytest.raises(TypeError, match="did you mean"):
        await llm.batch_jsonl(model, *files, temperatur=1)  # type: ignore[call-arg]  # on purpose


@pytest.mark.row("CLI-08")
async def test_files_for_openai_s_batches_are_read(files: tuple[Path, Path]):
    function = {"name": "find", "description": "Finds.", "parameters": {"type": "object"}}
    pixel = "data:image/gif;base64,R0lGODlh"
    schema = {"name": "n", "strict": True, "schema": {"type": "object"}}
    body = {
        "model": "gpt-4o",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "stream": True,
        "user": None,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "find"}},
        "response_format": {"type": "json_schema", "json_schema": schema},
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "name": "kim",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": pixel}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "found"},
        ],
    }
    line = {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    simple = {"messages": body["messages"][:1], "response_format": {"type": "json_object"}}  # type: ignore[index]  # a list
    plain = {"messages": simple["messages"], "response_format": {"type": "text"}}
    plain["tool_choice"] = "none"
    write(files[0], [line, {"custom_id": "2", "body": simple}, {"custom_id": "3", "body": plain}])
    model = Echo()
    done = await llm.batch_jsonl(model, *files, max_concurrency=1)
    assert done.failed == 0
    assert by_line(files[1])[1]["id"] == "r-1"
    request = model.requests[0]
    assert request.options.model == "m"  # the one that was asked for
    assert (request.options.max_tokens, request.options.temperature) == (9, 0.5)
    assert request.options.tool_choice == "find"
    assert request.options.response_format == llm.ResponseFormat.json_schema(
        {"type": "object"}, "n"
    )
    assert request.tools == (
        llm.ToolDefinition("find", description="Finds.", input_schema={"type": "object"}),
    )
    system, human, ai, result = request.messages
    assert system == llm.SystemMessage("Be brief.")
    assert human == llm.HumanMessage(
        [
            "What is it?",
            llm.ImagePart(b"GIF89a", mime_type="image/gif"),
            llm.ImagePart(url="https://example.com/a.png"),
        ],
        name="kim",
    )
    assert isinstance(ai, llm.AIMessage)
    assert ai.tool_calls == (llm.ToolCall("c", "find", "{}"),)
    assert result == llm.ToolMessage("found", tool_call_id="c")
    assert model.requests[1].options.response_format == llm.ResponseFormat.json()
    assert model.requests[2].options.response_format == llm.ResponseFormat.text()


@pytest.mark.row("CLI-08")
async def test_an_id_has_one_result_whatever_the_input_does(files: tuple[Path, Path]):
    write(
        files[0],
        [{"id": "a", "prompt": "1"}, {"id": "a", "prompt": "2"}, {"id": True, "prompt": "3"}],
    )
    for _ in range(2):
        model = Echo()
        done = await llm.batch_jsonl(model, *files)
        assert (done.done, done.failed) == (3, 2)
        found = by_line(files[1])
        assert (found[1]["id"], found[2]["id"], found[3]["id"]) == ("a", None, None)
        assert found[2]["error"]["message"] == "an earlier line has the id 'a'"
        assert "an id must be a string or an integer" in found[3]["error"]["message"]
    assert model.asked == []


@pytest.mark.row("BATC-08", "CLI-08")
async def test_a_second_run_asks_only_what_has_no_result(files: tuple[Path, Path]):
    write(files[0], [{"id": "a", "prompt": "1"}, {"prompt": "2"}])
    await llm.batch_jsonl(Echo(), *files)
    before = files[1].read_bytes()
    with files[0].open("a") as file:
        file.write('{"id": "c", "prompt": "3"}\n')
    model = Echo()
    done = await llm.batch_jsonl(model, *files)
    assert (done.done, done.skipped, model.asked) == (3, 2, ["3"])
    assert files[1].read_bytes().startswith(before)


@pytest.mark.row("CLI-08")
@pytest.mark.parametrize("kept", [0, 1, 10, -1])
async def test_half_a_line_at_the_end_is_removed(files: tuple[Path, Path], kept: int):
    write(files[0], [{"id": "a", "prompt": "1"}, {"id": "b", "prompt": "2"}])
    await llm.batch_jsonl(Echo(), *files, max_concurrency=1)
    whole, half, _ = files[1].read_bytes().split(b"\n")
    files[1].write_bytes(whole + b"\n" + half[:kept])
    model = Echo()
    done = await llm.batch_jsonl(model, *files)
    assert (done.done, model.asked) == (2, ["2"])
    assert [one["id"] for one in read(files[1])] == ["a", "b"]


@pytest.mark.row("CLI-08")
async def test_failures_are_asked_again_when_that_is_wanted(files: tuple[Path, Path]):
    write(
        files[0],
        [{"id": "a", "prompt": "good"}, {"id": "b", "prompt": "bad"}, b"broken", {"prompt": "x"}],
    )
    await llm.batch_jsonl(Echo(), *files)
    model = Echo()
    done = await llm.batch_jsonl(model, *files)
    assert (model.asked, done.failed, done.skipped) == ([], 2, 4)
    assert "bad" not in model.asked
    done = await llm.batch_jsonl(model, *files, retry_failed=True)
    assert (model.asked, done.done, done.failed, done.skipped) == (["bad"], 4, 2, 2)
    good = MockChatModel(["better"])
    done = await llm.batch_jsonl(good, *files, retry_failed=True)
    assert (done.done, done.failed) == (4, 1)
    assert by_line(files[1])[2]["text"] == "better"
    assert sorted(os.listdir(files[1].parent)) == ["in.jsonl", "out.jsonl"]
    files[0].write_bytes(files[0].read_bytes().replace(b"broken", b'{"prompt": "mended"}'))
    done = await llm.batch_jsonl(Echo(), *files, retry_failed=True)
    assert (done.done, done.failed) == (4, 0)
    before = files[1].read_bytes()
    await llm.batch_jsonl(Echo(), *files, retry_failed=True)
    assert files[1].read_bytes() == before


@pytest.mark.row("CLI-08")
@pytest.mark.parametrize(
    "text", ["precious", '{"id": "a"}', '{"id": 1.5, "line": 1, "message": {}}', "[]"]
)
async def test_a_file_of_somebody_else_is_left_as_it_is(files: tuple[Path, Path], text: str):
    write(files[0], [{"id": "a", "prompt": "good"}])
    files[1].write_text(f"{text}\nhalf")
    with pytest.raises(llm.StoreError, match="line 1 is no result of a batch"):
        await llm.batch_jsonl(Echo(), *files)
    assert files[1].read_text() == f"{text}\nhalf"


@pytest.mark.row("CLI-08")
@pytest.mark.parametrize(
    "text",
    [
        "precious",
        "[1]",
        '{"ix',
        '{"id":1,"prompt":"x"}',
        '{"id": "a", "prompt": "x"}',
        '{"id":"a","prompt":"and it was cut he',
        '{"id":"a","line":1,"total":',
        '{"id":tr',
    ],
)
async def test_a_foreign_file_without_a_newline_is_left_too(files: tuple[Path, Path], text: str):
    write(files[0], [{"id": "a", "prompt": "good"}])
    files[1].write_text(text)
    with pytest.raises(llm.StoreError, match="line 1 is no result of a batch"):
        await llm.batch_jsonl(Echo(), *files)
    assert files[1].read_text() == text


@pytest.mark.row("CLI-08")
@pytest.mark.parametrize("number_or_text", [None, -12, 'a"\\u00e9\u2028', "\ud800"])
async def test_whatever_is_left_of_a_line_is_known_as_ours(
    files: tuple[Path, Path], number_or_text: Any
):
    """Nothing that a run of ours can leave behind keeps the next one from going on."""
    output = results.Output(files[1])
    output.write(Line(3, number_or_text), llm.AIMessage("hi"))
    output.write(Line(4, number_or_text), llm.RateLimitError("no"))
    output.close()
    for line in files[1].read_bytes().splitlines():
        assert all(may_be_cut(line[:length]) for length in range(len(line) + 1))


@pytest.mark.row("CLI-08")
@pytest.mark.parametrize("retry_failed", [False, True])
async def test_a_whole_result_without_a_newline_is_kept(
    files: tuple[Path, Path], retry_failed: bool
):
    """An editor may have taken the newline, and the answer was paid for."""
    write(files[0], [{"id": "a", "prompt": "1"}])
    await llm.batch_jsonl(Echo(), *files)
    before = files[1].read_bytes()
    write(files[0], [{"id": "a", "prompt": "1"}, {"id": "b", "prompt": "2"}])
    files[1].write_bytes(before.rstrip())
    model = Echo()
    await llm.batch_jsonl(model, *files, retry_failed=retry_failed)
    assert model.asked == ["2"]
    assert [one["id"] for one in read(files[1])] == ["a", "b"]
    assert files[1].read_bytes().startswith(before)


SHARED = [
    llm.AuthenticationError("bad key"),
    llm.QuotaExceededError("no credit"),
    llm.BudgetExhaustedError("all spent"),
    llm.ConfigError("no region"),
    llm.ModelNotFoundError("no such model"),
]


class Failing(Echo):
    """Answers with the error that its text asks for."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        super().__init__()
        self.errors = errors

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        if error := self.errors.get(request.messages[-1].text):
            self.requests.append(request)
            raise error
        async for chunk in super()._stream(request):
            yield chunk


@pytest.mark.row("BATC-08", "CLI-08")
@pytest.mark.parametrize("error", SHARED, ids=lambda error: error.code)
async def test_what_would_fail_every_line_is_raised_and_costs_no_line(
    files: tuple[Path, Path], error: llm.BelugaError
):
    prompts = ["good", "x", "bad", "x", "x", "x", "x"]
    write(files[0], [{"id": place, "prompt": text} for place, text in enumerate(prompts)])
    model = Failing({"x": type(error)(error.message)})
    with pytest.raises(type(error), match=error.message) as caught:
        await llm.batch_jsonl(model, *files, max_concurrency=1)
    assert "run it again" in caught.value.__notes__[0]
    assert model.asked == ["good", "x", "bad", "x", "x"]
    assert [one["id"] for one in read(files[1])] == [0, 2]
    mended = Echo()
    done = await llm.batch_jsonl(mended, *files)
    assert (done.done, done.failed, mended.asked) == (7, 1, ["x"] * 5)


@pytest.mark.row("CLI-08")
async def test_a_refusal_now_and_then_is_the_failure_of_its_line(files: tuple[Path, Path]):
    prompts = ["x", "x", "good", "x", "x", "good", "x"]
    write(files[0], [{"id": place, "prompt": text} for place, text in enumerate(prompts)])
    model = Failing({"x": llm.AuthenticationError("bad key")})
    done = await llm.batch_jsonl(model, *files, max_concurrency=1)
    assert (done.done, done.failed) == (7, 5)
    assert sorted(one["id"] for one in read(files[1]) if "error" in one) == [0, 1, 3, 4, 6]


@pytest.mark.row("CLI-08")
async def test_a_model_that_a_line_names_is_the_line_s_own_fault(files: tuple[Path, Path]):
    line = {"prompt": "x", "options": {"model": "typo"}}
    write(files[0], [line] * 5)
    model = Failing({"x": llm.ModelNotFoundError("no such model")})
    done = await llm.batch_jsonl(model, *files)
    assert (done.done, done.failed) == (5, 5)


@pytest.mark.row("CLI-08")
@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there are no devices")
async def test_a_device_is_no_output(files: tuple[Path, Path]):
    write(files[0], [{"prompt": "1"}])
    for device in ("/dev/zero", "/dev/full"):
        with pytest.raises(llm.InvalidRequestError, match="is no regular file"):
            await llm.batch_jsonl(Echo(), files[0], device)


@pytest.mark.row("CLI-08")
@pytest.mark.skipif(os.name == "nt", reason="links and modes are those of POSIX")
async def test_asking_again_keeps_links_modes_and_other_files(files: tuple[Path, Path]):
    write(files[0], [{"id": "b", "prompt": "bad"}])
    real, other = files[1].with_name("real"), files[1].with_name("real.part")
    real.touch()
    real.chmod(0o640)
    other.write_text("precious")
    files[1].symlink_to(real)
    await llm.batch_jsonl(Echo(), *files)
    await llm.batch_jsonl(MockChatModel(["good"]), *files, retry_failed=True)
    assert files[1].is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert other.read_text() == "precious"
    assert [one["text"] for one in read(real)] == ["good"]


@pytest.mark.row("CLI-08")
async def test_long_lines_are_put_together_from_pieces(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(results, "STEP", 3)
    files[1].write_bytes(b"0123456789\n\nab\nlast one")
    with files[1].open("rb") as file:
        found = [text async for _, text in results.lines_of(file.fileno())]
    assert found == [b"0123456789\n", b"\n", b"ab\n", b"last one"]


@pytest.mark.row("BATC-08")
async def test_no_more_are_done_than_there_are(files: tuple[Path, Path]):
    write(files[0], [{"id": "a", "prompt": "1"}, {"id": "b", "prompt": "2"}])
    await llm.batch_jsonl(Echo(), *files)
    write(files[0], [{"id": "b", "prompt": "2"}, {"id": "c", "prompt": "3"}])
    told: list[llm.BatchProgress] = []
    await llm.batch_jsonl(Echo(), *files, progress=told.append)
    assert [(one.done, one.total) for one in told] == [(2, 3), (3, 3)]


@pytest.mark.row("CLI-08")
async def test_files_that_cannot_be_used_are_named(tmp_path: Path, files: tuple[Path, Path]):
    model = Echo()
    with pytest.raises(FileNotFoundError, match=r"in\.jsonl"):
        await llm.batch_jsonl(model, *files)
    assert not files[1].exists()
    write(files[0], [{"prompt": "1"}])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await llm.batch_jsonl(model, files[0], tmp_path / "nowhere" / "out")
    with pytest.raises(IsADirectoryError):
        await llm.batch_jsonl(model, files[0], tmp_path)
    with pytest.raises(llm.InvalidRequestError, match="is no file"):
        await llm.batch_jsonl(model, tmp_path, files[1])
    with pytest.raises(llm.InvalidRequestError, match="input and output at once"):
        await llm.batch_jsonl(model, files[0], files[0])
    with pytest.raises(llm.InvalidRequestError, match="max_concurrency"):
        await llm.batch_jsonl(model, *files, max_concurrency=0)
    assert model.asked == []


@pytest.mark.row("CLI-08")
async def test_a_full_disk_is_told_and_nothing_is_lost(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    write(files[0], [{"id": name, "prompt": name} for name in "abcd"])
    real, left = os.write, 250

    def full(file: int, data: Any) -> int:
        """Takes a few bytes at a time, until none are left."""
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(file, data[: min(left, 90)])
        left -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(results.os, "write", full)
        with pytest.raises(OSError, match=r"No space left.*out\.jsonl"):
            await llm.batch_jsonl(Echo(), *files, max_concurrency=2)
    assert len(read(files[1])) == 1
    model = Echo()
    assert (await llm.batch_jsonl(model, *files)).done == 4
    assert sorted(one["id"] for one in read(files[1])) == list("abcd")
    files[1].write_bytes(files[1].read_bytes().replace(b'"message"', b'"error"'))
    before, left = files[1].read_bytes(), 0
    with monkeypatch.context() as patched:
        patched.setattr(results.os, "replace", full)
        with pytest.raises(OSError, match=r"No space left.*out\.jsonl"):
            await llm.batch_jsonl(model, *files, retry_failed=True)
    assert files[1].read_bytes() == before
    assert sorted(os.listdir(files[1].parent)) == ["in.jsonl", "out.jsonl"]


@pytest.mark.row("CLI-08")
async def test_one_output_has_one_writer(files: tuple[Path, Path]):
    write(files[0], [{"id": "a", "prompt": "1"}])
    held = results.Output(files[1])
    with pytest.raises(llm.StoreError, match="is being written by another process"):
        await llm.batch_jsonl(Echo(), *files)
    held.close()
    assert (await llm.batch_jsonl(Echo(), *files)).done == 1


@pytest.mark.row("CLI-08")
def test_a_file_that_was_put_in_place_meanwhile_is_taken(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    files[1].write_text("old")
    real, times = results._lock, 0

    def lock(file: int, path: Path) -> None:
        nonlocal times
        times += 1
        if times == 1:
            files[0].write_text("new")
            os.replace(files[0], path)
        if times == 2:
            path.unlink()
        real(file, path)

    monkeypatch.setattr(results, "_lock", lock)
    file = results._locked(files[1])
    assert times == 3
    assert os.path.samestat(os.fstat(file), files[1].stat())
    os.close(file)


@pytest.mark.row("CLI-08", "BATC-04")
async def test_an_interrupted_run_leaves_whole_lines(files: tuple[Path, Path]):
    write(files[0], [{"id": place, "prompt": str(place)} for place in range(20)])

    class Slow(Echo):
        async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
            if int(request.messages[-1].text) >= 7:
                await asyncio.Event().wait()
            async for chunk in super()._stream(request):
                yield chunk

    task = asyncio.create_task(llm.batch_jsonl(Slow(), *files))
    while not files[1].exists() or files[1].read_bytes().count(b"\n") < 7:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(one["id"] for one in read(files[1])) == list(range(7))
    model = Echo()
    await llm.batch_jsonl(model, *files)
    assert len(model.asked) == 13
    assert sorted(one["id"] for one in read(files[1])) == list(range(20))


@pytest.mark.row("BATC-08")
async def test_progress_tells_what_earlier_runs_did(files: tuple[Path, Path]):
    files[0].write_bytes(b'\xef\xbb\xbf{"id": 1, "prompt": "bad"}\n\n{"id": 2, "prompt": "x"}')
    told: list[llm.BatchProgress] = []
    await llm.batch_jsonl(Echo(), *files, progress=told.append, max_concurrency=1)
    assert [(one.total, one.done, one.failed) for one in told] == [(2, 0, 0), (2, 1, 1), (2, 2, 1)]
    del told[:]
    last = await llm.batch_jsonl(Echo(), *files, progress=told.append)
    assert [(one.done, one.failed, one.skipped) for one in told] == [(2, 1, 2)]
    assert (last.done, last.total) == (2, 2)


@pytest.mark.row("BATC-08")
async def test_a_model_given_by_name_is_closed(files: tuple[Path, Path]):
    model = Echo()
    llm.register("echo-of-batches", lambda config: model)
    try:
        write(files[0], [{"id": "a", "prompt": "1"}])
        await llm.batch_jsonl("echo-of-batches/m", *files)
        assert model.closed == [1]
        await llm.batch_jsonl(model, *files)
        assert model.closed == [1]
    finally:
        llm.unregister("echo-of-batches")


@pytest.mark.row("BATC-08")
async def test_an_answer_that_is_no_data_is_a_failure(files: tuple[Path, Path]):
    output = results.Output(files[1])
    odd = llm.AIMessage("x", provider_metadata={"odd": object()})
    output.write(Line(1, "a"), odd)
    output.close()
    (only,) = read(files[1])
    assert (only["id"], only["error"]["type"]) == ("a", "TypeError")


@pytest.mark.row("BATC-08")
@pytest.mark.parametrize("error", [OverflowError, RecursionError])
@pytest.mark.parametrize("line_id", ["a", 1 << 70])
async def test_an_answer_that_json_cannot_hold_is_a_failure(
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    line_id: Any,
):
    def too_much(_: Any) -> Any:
        raise error("too much")

    monkeypatch.setattr(results, "to_dict", too_much)
    output = results.Output(files[1])
    output.write(Line(1, line_id), llm.AIMessage("x"))
    await output.read(retry_failed=False)
    output.close()
    assert output.finished.ids == {line_id}
    assert read(files[1])[0]["error"]["type"] == error.__name__


@pytest.mark.row("BATC-08")
async def test_memory_holds_the_ids_and_nothing_else(files: tuple[Path, Path]):
    asyncio.get_running_loop().set_debug(False)  # it remembers where everything was made
    peaks = []
    for count in (500, 2000):
        long = "x" * 2000
        write(files[0], ({"id": place, "prompt": long} for place in range(count)))
        files[1].unlink(missing_ok=True)
        tracemalloc.start()
        try:
            await llm.batch_jsonl(Forgetful(), *files)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1500 * 250  # the lines themselves have more than 4000 bytes each


class Forgetful(llm.ChatModel):
    provider = model_id = "forgetful"

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        yield llm.StreamChunk(request.messages[-1].text)
