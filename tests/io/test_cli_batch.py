"""`beluga-llm batch` and `probe` in processes of their own: killed, interrupted, watched."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import beluga_llm as llm
from beluga_llm._batch.results import Output
from beluga_llm.cli._app import app
from beluga_llm.testing import FakeServer, Reply

MODEL = "openai-compatible/tiny"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(Reply("An answer")) as server:
        yield server
    assert server.errors == []


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A job in the background ignores Ctrl-C, and so would the processes that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "in.jsonl", tmp_path / "out.jsonl"


def ask(path: Path, count: int) -> None:
    path.write_text("".join(f'{{"id": {n}, "prompt": "Q {n}"}}\n' for n in range(count)))


def to(server: FakeServer, files: tuple[Path, Path], *args: str) -> list[str]:
    where = f"base_url={server.base_url()}"
    return ["batch", *map(str, files), "-m", MODEL, "--option", where, *args]


def run(args: list[str], **kwargs: Any) -> Result:
    return CliRunner().invoke(app, args, prog_name="beluga-llm", **kwargs)


def start(args: list[str], **kwargs: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "beluga_llm", *args], **kwargs)


def ids(path: Path) -> list[int]:
    return sorted(json.loads(line)["id"] for line in path.read_bytes().splitlines())


class Killer:
    """Sends a signal to a process when the server has got so many requests."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.signal = signal.SIGKILL
        self.left = 0

    def aim(self, process: subprocess.Popen[bytes], how: signal.Signals, after: int) -> None:
        self.process, self.signal, self.left = process, how, after

    def heard(self) -> None:
        self.left -= 1
        if self.left == 0 and self.process is not None:
            self.process.send_signal(self.signal)


@pytest.mark.row("CLI-08", "BATC-08")
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_and_resumed_every_id_is_there_once(
    files: tuple[Path, Path], seed: int
) -> None:
    rng, count, killer = random.Random(seed), 240, Killer()

    async def brain(seen: Any) -> Reply:
        killer.heard()
        await asyncio.sleep(rng.uniform(0, 0.005))
        return Reply("An answer " * rng.randrange(1, 300))

    ask(files[0], count)
    with FakeServer(brain) as server:
        for _ in range(4):
            how = rng.choice([signal.SIGKILL, signal.SIGINT])
            process = start(to(server, files, "-q"), stderr=subprocess.DEVNULL)
            killer.aim(process, how, rng.randrange(1, 55))
            assert process.wait(20) == (130 if how == signal.SIGINT else -how)
        process = start(to(server, files), stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=30)
    said = errors.decode().splitlines()[0]
    assert (process.returncode, said.split()[:2]) == (0, [str(count), "done,"])
    assert "of them before" in said
    assert ids(files[1]) == list(range(count))


@pytest.mark.row("CLI-08")
def test_ctrl_c_ends_it_and_says_how_to_go_on(files: tuple[Path, Path]) -> None:
    ask(files[0], 9)
    killer = Killer()

    def brain(seen: Any) -> Reply:
        killer.heard()
        return Reply("An answer") if len(server.requests) <= 3 else Reply(silent=True)

    with FakeServer(brain) as server:
        process = start(to(server, files), stderr=subprocess.PIPE)
        killer.aim(process, signal.SIGINT, 3 + 5)  # three were answered, for five there is room
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 130
        assert errors.decode().split("\n") == [
            "",
            f"interrupted: what is done is in {files[1]}",
            "the same command goes on with what is left",
            "",
        ]
        server.default = Reply("An answer")
        assert run(to(server, files)).exit_code == 0
    assert ids(files[1]) == list(range(9))


@pytest.mark.row("CLI-08")
def test_failures_are_in_the_output_and_in_the_exit_code(
    server: FakeServer, files: tuple[Path, Path]
) -> None:
    ask(files[0], 3)
    server.reply(status=400, error="no")
    result = run(to(server, files, "--max-concurrency", "1"))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "3 done, 1 failed"
    assert (
        result.stderr.splitlines()[-1] == f"the errors are in {files[1]}; --retry-failed asks again"
    )
    assert result.stdout == ""
    first = json.loads(files[1].read_text().splitlines()[0])
    assert (first["id"], first["error"]["status"]) == (0, 400)
    result = run(to(server, files))
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        1,
        "3 done, 3 of them before, 1 failed",
    )
    result = run(to(server, files, "--retry-failed"))
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        0,
        "3 done, 2 of them before, 0 failed",
    )
    assert ids(files[1]) == [0, 1, 2]
    assert len(server.requests) == 4


@pytest.mark.row("CLI-08")
def test_a_wrong_key_is_told_once_and_not_for_every_line(
    server: FakeServer, files: tuple[Path, Path]
) -> None:
    ask(files[0], 50)
    for _ in range(5):
        server.reply(status=401, error="who are you?")
    result = run(to(server, files))
    assert result.exit_code == 1
    error, advice, note = result.stderr.splitlines()
    assert "auth_error: who are you?" in error
    assert advice.startswith("check the key")
    assert note.startswith("stopped, as every line would fail like this")
    assert len(server.requests) <= 6
    result = run(to(server, files))
    assert (result.exit_code, result.stderr.splitlines()[0]) == (0, "50 done, 0 failed")
    assert ids(files[1]) == list(range(50))


@pytest.mark.row("CLI-08")
def test_what_is_wrong_is_said_in_one_line(server: FakeServer, files: tuple[Path, Path]) -> None:
    def said(args: list[str]) -> list[str]:
        result = run(args, env={"BELUGA_MODEL": ""})
        assert result.exit_code in (1, 2)
        assert "Traceback" not in result.output
        return result.stderr.splitlines()

    assert said(to(server, files)) == [f"error: {files[0]}: No such file or directory"]
    assert said(to(server, (files[0].parent, files[1]))) == [
        f"error: {files[0].parent} is no file",
        "see beluga-llm batch --help",
    ]
    ask(files[0], 1)
    assert "input and output at once" in said(to(server, (files[0], files[0])))[0]
    out = files[1].parent / "nowhere" / "out"
    assert said(to(server, (files[0], out))) == [f"error: {out}: No such file or directory"]
    held = Output(files[1])
    assert said(to(server, files)) == [
        f"error: store_error: {files[1]} is being written by another process"
    ]
    held.close()
    assert "Missing option" in said(["batch", *map(str, files)])[0]
    assert "--max-concurrency" in said(to(server, files, "--max-concurrency", "0"))[0]


@pytest.mark.row("CLI-08", "BATC-08")
def test_a_bar_on_a_terminal_and_none_in_a_pipe(
    server: FakeServer, files: tuple[Path, Path]
) -> None:
    ask(files[0], 20)
    with FakeServer(Reply(llm.AIMessage("An answer", usage=llm.Usage(2, 3)))) as told:
        mine, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        process = start(to(told, files), stderr=theirs, env=environment)
        os.close(theirs)
        shown = b""
        while process.poll() is None or select.select([mine], [], [], 0)[0]:
            try:
                shown += os.read(mine, 4096)
            except OSError:  # the terminal was closed
                break
        os.close(mine)
        assert process.wait(20) == 0
    assert b"20/20" in shown
    assert b"100 tokens" in shown
    assert b"/s" in shown
    files[1].unlink()
    process = start(to(server, files), stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=20)
    assert errors.decode().splitlines()[0] == "20 done, 0 failed"
    assert b"\x1b" not in errors


@pytest.mark.row("CLI-03", "HEAL-03")
def test_probe_shows_state_and_latency(server: FakeServer) -> None:
    where = ["--option", f"base_url={server.base_url()}"]
    result = run(["probe", MODEL, *where])
    assert result.exit_code == 0
    heading, row = result.stdout.splitlines()
    assert heading.split() == ["model", "state", "latency", "detail"]
    assert row.split()[:2] == [MODEL, "healthy"]
    assert row.split()[3] == "ms"
    assert server.requests[0].path == "/v1/models"
    server.reply(status=401, error="who?", path="/models")
    server.reply(status=429, error="slow", path="/models")
    result = run(["probe", MODEL, "openai-compatible/other", *where, "--json"])
    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(one["state"] for one in found) == ["degraded", "unhealthy"]
    assert [one["model"] for one in found] == ["tiny", "other"]
    assert run(["probe", "demo"]).exit_code == 0
    result = run(["probe", "nobody/x"])
    assert (result.exit_code, "nobody" in result.stderr) == (2, True)
    assert run(["probe"]).exit_code == 2


def no_key(config: llm.ProviderConfig) -> llm.ChatModel:
    raise llm.AuthenticationError("api_key is required: set ACME_API_KEY or pass api_key=")


def fails(config: llm.ProviderConfig) -> llm.ChatModel:
    raise ZeroDivisionError("in the plugin")


@pytest.mark.row("CLI-03")
def test_each_model_is_told_of_where_one_cannot_be_made(
    server: FakeServer, beluga_registry: Any
) -> None:
    llm.register("acme", no_key)
    llm.register("broken", fails)
    where = ["--option", f"base_url={server.base_url()}"]
    names = ["acme/a-1", MODEL, "nobody/x", "broken/b", "acme/a-1"]
    result = run(["probe", *names, *where])
    assert (result.exit_code, result.stderr) == (1, "")
    first, second, third, fourth = result.stdout.splitlines()[1:]
    keyless = "auth_error: api_key is required: set ACME_API_KEY or pass --option api_key="
    assert first.split(maxsplit=3) == ["acme/a-1", "unhealthy", "-", keyless]
    assert second.split()[:2] == [MODEL, "healthy"]
    assert third.split(maxsplit=3)[3].startswith("unknown provider 'nobody'")
    assert fourth.endswith("ZeroDivisionError: in the plugin")
    found = json.loads(run(["probe", "acme/a-1", "--json"]).stdout)
    assert (found["provider"], found["model"], found["state"]) == ("acme", "a-1", "unhealthy")
    assert (found["api_key_set"], found["detail"]) == (False, keyless)
    result = run(["probe", "acme/a-1", MODEL, "--option", "base_url"])
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.row("CLI-03")
def test_one_model_that_cannot_be_made_is_told_with_what_to_do(beluga_registry: Any) -> None:
    llm.register("acme", no_key)
    result = run(["probe", "acme/a-1"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "check the key" in result.stderr


@pytest.mark.row("CLI-03", "HEAL-03")
def test_a_model_that_cannot_be_closed_does_not_hide_what_was_found(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, closed = llm.ChatModel.aclose, []

    async def aclose(self: llm.ChatModel) -> None:
        await real(self)
        closed.append(self.model_id)
        raise OSError("cannot be closed")

    monkeypatch.setattr(llm.ChatModel, "aclose", aclose)
    where = f"base_url={server.base_url()}"
    names = [MODEL, "openai-compatible/other"]
    result = run(["probe", *names, "--option", where, "--json"])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert sorted(closed) == ["other", "tiny"]
