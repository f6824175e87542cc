"""Ask many questions at once, a few at a time, and go on when one fails.

Each answer is there as soon as it is given. A failed call is a result like the others, so one bad
input costs no other one.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")
REVIEWS = [
    "Arrived on time, works as described.",
    "",  # no question: refused before anything is sent
    "The handle broke on the second day.",
    "My daughter loves it!",
]


async def main() -> None:
    """Prints answers in the order in which they come, then a sum."""
    model = llm.create(MODEL).with_middleware(llm.with_retry())
    questions = [[f"Positive or negative? {review}"] if review else [] for review in REVIEWS]
    tokens = 0
    async with model, aclosing(model.batch_as_completed(questions, max_concurrency=2)) as results:
        async for result in results:
            if result.message is None:
                print(f"{result.index}: failed, {result.error}")
            else:
                print(f"{result.index}: {result.message.text}")
                tokens += result.message.usage.output_tokens or 0
    print(f"{len(questions)} reviews, {tokens} tokens")


if __name__ == "__main__":
    asyncio.run(main())
