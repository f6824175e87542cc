"""Show an answer while it arrives, and stop early: the provider is disconnected at once.

python streaming.py
BELUGA_MODEL=openai/gpt-4o-mini python streaming.py
"""

from __future__ import annotations

import asyncio
import os

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")


async def show(model: llm.ChatModel, question: str) -> llm.AIMessage:
    """Prints the answer as it comes; the message is complete when the stream has ended."""
    async with model.stream(question) as stream:
        async for chunk in stream:
            print(chunk.delta, end="", flush=True)
    print()
    return await stream.response()


async def first_words(model: llm.ChatModel, question: str, count: int) -> str:
    """The first words only. Leaving the block ends the call; nothing more is generated."""
    async with model.stream(question) as stream:
        async for _ in stream:
            words = stream.message.text.split()
            if len(words) >= count:
                break
    return " ".join(words[:count])


async def main() -> None:
    """Shows both."""
    async with llm.create(MODEL) as model:
        answer = await show(model, "Tell me a story")
        print(f"-- {answer.finish_reason}, {answer.usage.output_tokens} tokens")
        print(f"-- only five words: {await first_words(model, 'Tell me a story', 5)} ...")


if __name__ == "__main__":
    asyncio.run(main())
