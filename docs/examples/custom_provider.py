"""A provider of your own: whatever can answer is a model, and has everything that others have.

This one needs no server: it answers by rules, as ELIZA did in 1966. An HTTP API is a `Dialect`
instead, see docs/writing-a-provider.md. In a distribution an entry point takes the place of
`llm.register`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import beluga_llm as llm

RULES = [
    (r"\bI am (.+)", "How long have you been {}?"),
    (r"\bI (?:need|want) (.+)", "What would it mean to you if you got {}?"),
    (r"\bmy (\w+)", "Tell me more about your {}."),
    (r"(.*)", "Please go on."),
]


class Eliza(llm.ChatModel):
    """Answers the last thing that was said."""

    provider = "eliza"
    model_id = "1966"

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        said = request.messages[-1].text.rstrip(".!?")
        found = ((re.search(rule, said, re.IGNORECASE), answer) for rule, answer in RULES)
        answer = next(answer.format(*match.groups()) for match, answer in found if match)
        for word in re.findall(r"\S+\s*", answer):
            yield llm.StreamChunk(word)
        yield llm.StreamChunk(finish_reason=llm.FinishReason.STOP, model_id=self.model_id)


llm.register("eliza", Eliza)


async def main() -> None:
    """Talks to it through the doors that every model has."""
    model = llm.create("eliza/1966").with_middleware(llm.with_logging(), llm.with_retry())
    for text in ("I am tired of slow tests.", "I want a cup of tea", "It is about my code."):
        print(f"> {text}")
        async with model.stream(text) as stream:
            async for piece in stream.text():
                print(piece, end="")
        print()
    answers = await model.batch(["I am first", "I am second"])
    print([answer.text for answer in answers])


if __name__ == "__main__":
    asyncio.run(main())
