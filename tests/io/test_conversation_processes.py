"""Several processes talk in one conversation, and some of them are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beluga_llm import Conversation, SQLiteStore
from beluga_llm.testing import MockChatModel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")

PROGRAM = '''
import asyncio, sys
from beluga_llm import Conversation, SQLiteStore, StoreError
from beluga_llm.testing import MockChatModel

path, name, count, moment = sys.argv[1:]

class Told(SQLiteStore):
    """Says when it begins to save, and waits there where it is told to."""

    async def save(self, *args):
        if moment == "before":
            print("saving", flush=True)
            await asyncio.sleep(60)
        await super().save(*args)
        if moment == "after":
            print("saved", flush=True)
            await asyncio.sleep(60)

async def main():
    store = Told(path)
    lost = 0
    for n in range(int(count)):
        said = f"{name}{n}"
        chat = Conversation(MockChatModel(fallback="answer to " + said), store, "s")
        while True:
            try:
                await chat.send(said)
            except StoreError as error:
                if not error.conflict:
                    raise
                lost += 1
            else:
                break
        if moment == "loudly":
            print(n, flush=True)
    await store.aclose()
    print("lost", lost)

asyncio.run(main())
'''


def start(path: Path, name: str, count: int, moment: str = "-") -> subprocess.Popen[str]:
    args = [sys.executable, "-c", PROGRAM, str(path), name, str(count), moment]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True)


def history(path: Path) -> list[str]:
    """What is in the file: turns, each whole."""

    async def main() -> list[str]:
        store = SQLiteStore(path)
        kept = await Conversation(MockChatModel([]), store, "s").messages()
        await store.aclose()
        return [message.text for message in kept]

    kept = asyncio.run(main())
    said, answers = kept[::2], kept[1::2]
    assert answers == [f"answer to {text}" for text in said]
    return said


@pytest.mark.row("MEMO-04", "MEMO-12")
def test_processes_that_talk_at_once_lose_and_double_nothing(tmp_path: Path):
    path = tmp_path / "chats.db"
    processes = [start(path, name, 25) for name in "ab"]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out.startswith("lost ")
    said = history(path)
    assert sorted(said) == sorted(f"{name}{n}" for name in "ab" for n in range(25))
    for name in "ab":  # each in its own order
        assert [text for text in said if text[0] == name] == [f"{name}{n}" for n in range(25)]


@pytest.mark.row("MEMO-03", "MEMO-06")
@pytest.mark.parametrize(("moment", "kept"), [("before", ["x0"]), ("after", ["x0", "y0"])])
def test_a_process_that_is_killed_between_answer_and_save(
    tmp_path: Path, moment: str, kept: list[str]
):
    path = tmp_path / "chats.db"
    start(path, "x", 1).communicate(timeout=30)
    process = start(path, "y", 1, moment)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("sav")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert history(path) == kept
    start(path, "z", 1).communicate(timeout=30)
    assert history(path) == [*kept, "z0"]


@pytest.mark.row("MEMO-03", "MEMO-08")
def test_a_process_that_is_killed_at_random(tmp_path: Path):
    """What it had said that it saved is there, and at most one turn more."""
    path = tmp_path / "chats.db"
    rng = random.Random(4)
    expected: list[str] = []
    for attempt in range(4):
        name = "abcd"[attempt]
        process = start(path, name, 10_000, "loudly")
        assert process.stdout is not None
        for _ in range(rng.randrange(1, 40)):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        for line in process.communicate(timeout=30)[0].splitlines():
            last = int(line)
        said = history(path)
        sure = [*expected, *(f"{name}{n}" for n in range(last + 1))]
        assert said in (sure, [*sure, f"{name}{last + 1}"])
        expected = said
