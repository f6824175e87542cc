"""A conversation that survives a restart: every turn is kept in an SQLite file.

python conversation.py            # two turns, "restarted" in between
python conversation.py chats.db   # keeps the file, so that the next run goes on
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")


async def turn(path: Path, session: str, text: str) -> None:
    """One turn, as a process of its own would make it: everything else is in the file."""
    store = llm.SQLiteStore(path)
    async with llm.create(MODEL) as model:
        chat = llm.Conversation(model, store, session, system="Be brief.", max_messages=50)
        print(f"> {text}")
        async with chat.stream(text) as stream:
            async for chunk in stream:
                print(chunk.delta, end="", flush=True)
        print(f"\n-- {len(await chat.messages())} messages kept")


async def main() -> None:
    """Two turns of one session."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1] if len(sys.argv) > 1 else f"{folder}/chats.db")
        await turn(path, "ada", "My name is Ada.")
        await turn(path, "ada", "What is my name?")


if __name__ == "__main__":
    asyncio.run(main())
