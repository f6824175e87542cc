"""Pay once for the same question: answers are kept in a file, and shared by all processes.

The second call is answered from the file, also if it is a stream, and says so in its metadata.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")


async def main() -> None:
    """Asks the same twice, and something else."""
    with tempfile.TemporaryDirectory() as folder:
        cache = llm.with_cache(llm.SQLiteCache(Path(folder) / "answers.db"), ttl=3600)
        # temperature=0: an answer that may be reused should not be one of many
        model = llm.create(MODEL).with_options(temperature=0).with_middleware(cache)
        async with model:
            for question in ("What is 2+2?", "What is 2+2?", "What is 3+3?"):
                began = time.perf_counter()
                reply = await model.generate(question)
                spent = (time.perf_counter() - began) * 1000
                origin = "cache" if "cache" in reply.provider_metadata else "model"
                print(f"{question} from the {origin} in {spent:.1f} ms: {reply.text}")


if __name__ == "__main__":
    asyncio.run(main())
