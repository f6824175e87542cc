"""`python -m beluga_llm.testing`: the fake server as a program."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.testing import __main__ as program

pytestmark = pytest.mark.row("TEST-01")
COMMAND = [sys.executable, "-u", "-W", "error", "-m", "beluga_llm.testing"]


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)


async def test_it_serves_its_script_and_tells_what_it_saw():
    arguments = ["--rate-limit", "2", "--reply", "Hello", "--key", "test-key"]
    with started(*arguments) as process:
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert found is not None
        url = f"{found[0]}/v1"
        async with llm.create("openai-compatible/m", base_url=url, api_key="test-key") as model:
            with pytest.raises(llm.RateLimitError) as caught:
                await model.generate("hi")
            assert caught.value.retry_after == 2
            assert (await model.stream("hi").response()).text == "Hello"
            assert (await model.generate("hi")).text  # the demo model's
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 0
    assert "base_url=" in said
    assert "2  POST /v1/chat/completions  stream" in said


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("reply", "Hi", "answer"),
        ("status", 500, "status"),
        ("cut", 3, "cut_after"),
        ("reset", 3, "reset_after"),
        ("stall", 3, "stall_after"),
        ("trickle", 0.5, "chunk_delay"),
    ],
)
def test_what_arguments_stand_for(name: str, value: Any, field: str):
    assert getattr(program.scripted(name, value), field) == value


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert program.main(["--port", str(taken.getsockname()[1])]) == 1
    assert "error: " in capsys.readouterr().err


def test_the_help_shows_examples(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    assert "--rate-limit 2 --reply Hello" in capsys.readouterr().out
