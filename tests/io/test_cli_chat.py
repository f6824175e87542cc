"""`beluga-llm chat` and `demo` against a server: what is sent, what is shown, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

import pytest
from click.testing import CliRunner, Result

import beluga_llm as llm
from beluga_llm.cli._app import app
from beluga_llm.testing import FakeServer

MODEL = "openai-compatible/tiny"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server
    assert server.errors == []


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A job in the background ignores Ctrl-C, and so would the processes that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def to(server: FakeServer, *args: str) -> list[str]:
    """The arguments of a chat with the server's model."""
    return ["chat", "-m", MODEL, "--option", f"base_url={server.base_url()}", *args]


def run(args: list[str], **kwargs: Any) -> Result:
    return CliRunner().invoke(app, args, prog_name="beluga-llm", **kwargs)


def start(args: list[str], **kwargs: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "beluga_llm", *args],
        stdout=kwargs.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def sent(server: FakeServer, number: int = -1) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = server.requests[number].json["messages"]
    return messages


# --- one answer ------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
def test_the_answer_is_plain_text_in_a_pipe(server: FakeServer):
    thinking = llm.ThinkingPart("well...")
    server.reply(llm.AIMessage([thinking, llm.TextPart("Once upon a time")], finish_reason="stop"))
    done = run(to(server, "--system", "Be brief.", "Tell me a story"))
    assert done.exit_code == 0
    assert done.stdout == "Once upon a time\n"
    assert done.stderr == ""
    assert sent(server) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tell me a story"},
    ]
    assert server.requests[0].streaming


@pytest.mark.row("CLI-04")
def test_the_prompt_comes_from_stdin_where_none_is_given(server: FakeServer):
    server.reply("4")
    assert run(to(server), input="What is\n2+2?\n").stdout == "4\n"
    assert sent(server) == [{"role": "user", "content": "What is\n2+2?"}]


@pytest.mark.row("CLI-04")
def test_options_go_into_the_request(server: FakeServer):
    server.reply("ok")
    done = run(to(server, "--option", "temperature=0.5", "--option", "stop=END", "hi"))
    assert done.exit_code == 0
    body = server.requests[0].json
    assert (body["temperature"], body["stop"]) == (0.5, ["END"])


@pytest.mark.row("CLI-04")
def test_attachments_stand_before_the_prompt(server: FakeServer, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("remember")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    server.reply("ok")
    files = ["--attach", str(tmp_path / "notes.txt"), "--attach", str(tmp_path / "dot.png")]
    assert run(to(server, *files, "What is it?")).exit_code == 0
    kinds = [part["type"] for part in sent(server)[0]["content"]]
    assert kinds == ["text", "image_url", "text"]


@pytest.mark.row("CLI-04")
def test_json_is_the_whole_answer_on_one_line(server: FakeServer):
    server.reply("Grüße")
    done = run(to(server, "--json", "hi"))
    assert done.stdout.count("\n") == 1
    assert "Grüße" in done.stdout
    answer = llm.from_dict(json.loads(done.stdout))
    assert isinstance(answer, llm.AIMessage)
    assert answer.text == "Grüße"
    assert answer.finish_reason is llm.FinishReason.STOP


@pytest.mark.row("CLI-04")
def test_usage_is_told_on_stderr(server: FakeServer):
    usage = llm.Usage(input_tokens=12, output_tokens=3, reasoning_tokens=0)
    server.reply(llm.AIMessage("ok", usage=usage, finish_reason="length"))
    done = run(to(server, "--usage", "hi"))
    assert done.stdout == "ok\n"
    assert "tokens: 12 input, 3 output, 0 of them reasoning" in done.stderr
    assert "note: the answer was cut at its limit of tokens" in done.stderr


@pytest.mark.row("CLI-04")
def test_what_is_not_sent_is_a_warning_without_a_place(server: FakeServer):
    server.reply("ok")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.filters", [])
        done = run(to(server, "--option", 'unsupported=["seed"]', "--option", "seed=1", "hi"))
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: ")
    assert ".py" not in done.stderr


# --- failures --------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
def test_an_error_of_the_provider_is_two_lines_and_exit_code_1(server: FakeServer):
    server.reply(status=429, headers={"retry-after": "7"})
    done = run(to(server, "hi"))
    assert (done.exit_code, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("error: [openai-compatible] rate_limit: ")
    assert second == "wait 7 s"


@pytest.mark.row("CLI-04")
def test_an_answer_that_breaks_off_keeps_its_text_and_fails(server: FakeServer):
    server.reply("one two three", finish=False, end_marker=False)
    done = run(to(server, "hi"))
    assert (done.exit_code, done.stdout) == (1, "one two three\n")
    assert "stream_interrupted" in done.stderr


@pytest.mark.row("CLI-04")
def test_nobody_at_the_address(server: FakeServer):
    done = run(["chat", "-m", MODEL, "--option", "base_url=http://127.0.0.1:9/v1", "hi"])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("check the network")


@pytest.mark.row("CLI-04", "PAIN-03")
async def test_ctrl_c_exits_with_130_and_disconnects(server: FakeServer):
    server.reply("one two three", stall_after=600)
    process = start(to(server, "hi"))
    try:
        assert process.stdout is not None
        assert process.stdout.read(1) == "o"
        process.send_signal(signal.SIGINT)
        await server.disconnected(within=20.0)
        assert process.wait(10) == 130
        _, errors = process.communicate()
        assert "Traceback" not in errors
        assert errors.strip() == ""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.row("CLI-04")
async def test_a_closed_pipe_ends_it_quietly(server: FakeServer):
    server.reply("one two three " * 20_000)
    process = start(to(server, "hi"))
    try:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        await server.disconnected(within=20.0)
        assert process.wait(10) == 1
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


# --- a conversation --------------------------------------------------------------------------


class Terminal:
    """A terminal with a command running in it."""

    def __init__(self, args: list[str]) -> None:
        ours, theirs = os.openpty()
        self._ours: IO[bytes] = os.fdopen(ours, "r+b", buffering=0)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "beluga_llm", *args],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "", "PYTHONUTF8": "1"},
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Reads until a text appears after what was read before."""
        seen = ""
        while text not in seen:
            seen += self._ours.read(1).decode("utf-8", "replace")
        self.shown += seen

    def type(self, text: str) -> None:
        self._ours.write(text.encode())

    def interrupt(self) -> None:
        """Ctrl-C; once more where it came right before a read, which Python does not notice."""
        for _ in range(10):
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)
                return

    def end(self) -> int:
        """The exit code, once the command has ended."""
        try:
            while data := self._ours.read(1000):
                self.shown += data.decode("utf-8", "replace")
        except OSError:  # how Linux says that the other side is closed
            pass
        return self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait()
        self._ours.close()


needs_terminals = pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")


@pytest.mark.row("CLI-04")
@needs_terminals
def test_a_conversation_remembers_and_ends_with_quit(server: FakeServer):
    server.reply("first answer")
    server.reply(status=500)
    server.reply("second answer")
    with Terminal(to(server)) as terminal:
        terminal.wait_for("> ")
        terminal.type("one\n")
        terminal.wait_for("first answer\r\n")
        terminal.wait_for("> ")
        terminal.type("lost\n")
        terminal.wait_for("error: ")
        terminal.wait_for("> ")
        terminal.type("\n")
        terminal.wait_for("> ")
        terminal.type("two\n")
        terminal.wait_for("second answer\r\n")
        terminal.wait_for("> ")
        terminal.type("/quit\n")
        assert terminal.end() == 0
    texts = [message["content"] for message in sent(server)]
    assert texts == ["one", "first answer", "two"]
    assert server.open_connections == 0


@pytest.mark.row("CLI-04")
@needs_terminals
@pytest.mark.parametrize(("keys", "code"), [("\x04", 0), ("\x03", 130)], ids=["ctrl-d", "ctrl-c"])
def test_a_conversation_ends_at_the_prompt(server: FakeServer, keys: str, code: int):
    with Terminal(to(server)) as terminal:
        terminal.wait_for("> ")
        if keys == "\x03":
            terminal.interrupt()
        else:
            terminal.type(keys)
        assert terminal.end() == code
        assert "Traceback" not in terminal.shown


@pytest.mark.row("CLI-04")
@needs_terminals
def test_reasoning_is_shown_on_a_terminal(server: FakeServer):
    thinking = llm.ThinkingPart("let me think")
    server.reply(llm.AIMessage([thinking, llm.TextPart("done")], finish_reason="stop"))
    with Terminal(to(server, "hi")) as terminal:
        assert terminal.end() == 0
        assert "\x1b[2mlet" in terminal.shown
        plain = re.sub(r"\x1b\[\d+m", "", terminal.shown)
        assert plain == "let me think\r\n\r\ndone\r\n"


@pytest.mark.row("CLI-04")
@needs_terminals
def test_markdown_has_styles_on_a_terminal(server: FakeServer):
    server.reply("a **strong** `word`\x07")
    with Terminal(to(server, "hi")) as terminal:
        assert terminal.end() == 0
        assert terminal.shown == (
            "a \x1b[1m**strong**\x1b[0m \x1b[36m`word`\x1b[0m\N{REPLACEMENT CHARACTER}\r\n"
        )


@pytest.mark.row("CLI-04")
@needs_terminals
def test_answers_go_into_a_pipe_while_a_conversation_is_typed(server: FakeServer):
    server.reply("the answer")
    ours, theirs = os.openpty()
    process = start(to(server), stdin=theirs)
    try:
        os.write(ours, b"hi\n/quit\n")
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert output == "the answer\n"
    assert errors.splitlines()[-1] == "> > "


@pytest.mark.row("CLI-04")
def test_it_says_which_model_was_chosen_and_why(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BELUGA_MODEL", MODEL)
    server.reply("ok")
    done = run(["chat", "--option", f"base_url={server.base_url()}", "hi"])
    assert done.stdout == "ok\n"
    assert done.stderr == f"using {MODEL}: BELUGA_MODEL is set\n"


# --- the embedded demo -----------------------------------------------------------------------


@pytest.mark.row("CLI-04", "CLI-07")
def test_the_demo_answers_over_http_without_key_or_network():
    done = run(["chat", "-m", "demo", "--usage", "Tell me a story"])
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.split()) > 3
    assert done.stdout == run(["chat", "-m", "demo", "Tell me a story"]).stdout
    assert "output" in done.stderr


@pytest.mark.row("CLI-07")
def test_the_demo_command_shows_every_scene():
    done = run(["demo"])
    assert done.exit_code == 0, done.stderr
    assert "chunks of text" in done.stdout
    assert 'weather({"city":"Lisbon","unit":"C"})\nclock({"zone":"UTC"})\n' in done.stdout
    assert "weather says: 18 C and sunny in Lisbon clock says: " in done.stdout
    assert 'weather {"city": "Lisbon"}\nweather {"city": "Lisbon", "unit": "C"}\n' in done.stdout
    values, _, retry = done.stdout.partition("a value of a type")[2].partition("\n\n")
    assert "rate_limit: " in retry
    assert "again in 0.2 s" in retry
    assert "You said: Are you there?\n" in retry
    assert "\nexecute_tool weather  " in retry
    *growing, book = values.splitlines()[1:]
    assert len(growing) > 3
    assert json.loads(growing[-1]).keys() == {"title", "pages", "genre"}
    assert book.startswith("Book(title='The Voyage of the Beagle', pages=")
    assert "\x1b[" not in done.stdout
