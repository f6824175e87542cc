"""From a folder of letters to a table: one typed record for each file, several at a time.

    python structured_folder.py              # three letters that come with it
    python structured_folder.py FOLDER       # your *.txt files

The records go to stdout as JSON lines, progress and failures to stderr.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.progress import Progress

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")
LETTERS = {
    "1.txt": "Berlin, 3 May 2024. The kettle leaks, and I want my 49 euros back. Jo Weber",
    "2.txt": "Dear all, thank you for the quick repair! Mia Silva, Porto, 11 June 2024",
    "3.txt": "When do you open on Sundays? K. Berg",
}


@dataclass
class Letter:
    """What a letter is about.

    Attributes:
        writer: the name under it.
        date: when it was written, if it says so.
        kind: what the writer wants.
        amount: the money that is asked for, in euros.
    """

    writer: str
    kind: Literal["complaint", "praise", "question"]
    date: dt.date | None = None
    amount: float | None = None


async def read(texts: Mapping[str, str]) -> dict[str, Letter | llm.BelugaError]:
    """The record of each text, or why there is none."""
    model = llm.create(MODEL).with_middleware(llm.with_retry(), llm.with_limits(max_concurrent=8))
    letters = llm.structured(model, Letter)
    found: dict[str, Letter | llm.BelugaError] = {}

    async def extract(name: str, text: str) -> None:
        try:
            found[name] = await letters.generate(["Describe this letter.", text])
        except llm.BelugaError as error:
            found[name] = error
        bar.advance(task)

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("letters", total=len(texts))
        async with model:
            await asyncio.gather(*(extract(*item) for item in texts.items()))
    return found


def main() -> None:
    """Reads the folder of the command line, or the example."""
    texts = LETTERS
    if len(sys.argv) > 1:
        texts = {path.name: path.read_text("utf-8") for path in Path(sys.argv[1]).glob("*.txt")}
    for name, record in sorted(asyncio.run(read(texts)).items()):
        if isinstance(record, Letter):
            print(msgspec.json.encode({"file": name, "letter": record}).decode())
        else:
            print(f"{name}: {record}", file=sys.stderr)


if __name__ == "__main__":
    main()
