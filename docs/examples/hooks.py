"""Watch calls with hooks, change them with middleware.

A hook observes a moment (here: who asked, how many tokens, what failed). A layer surrounds the call
and may change what goes in and what comes out (here: names are masked on the way to the provider
and put back on the way to the reader).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")


class Ledger(llm.Hooks):
    """Counts tokens for each tenant, and failures."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def after_generate(
        self, call: llm.CallContext, response: llm.AIMessage | None, error: Exception | None
    ) -> None:
        """Once for each call, also for a stream; what failed may have used tokens too."""
        tenant = call.tenant or "nobody"
        if response is not None:
            self.tokens[tenant] += response.usage.output_tokens or 0
        if error is not None:
            self.failures[type(error).__name__] += 1


class Masked:
    """A layer: a name is replaced in what is sent, and put back in what comes.

    A placeholder may be cut in two by the chunks, so what could be its beginning waits for more.
    """

    def __init__(self, name: str, placeholder: str = "NAME_1") -> None:
        self._name, self._placeholder = name, placeholder

    async def __call__(
        self, request: llm.ChatRequest, call_next: llm.CallNext
    ) -> AsyncGenerator[llm.StreamChunk, None]:
        """Stands around `generate` and `stream` alike."""
        hidden = [self._hidden(message) for message in request.messages]
        waiting = ""
        async for chunk in call_next(llm.replace(request, messages=hidden)):
            text = (waiting + chunk.delta).replace(self._placeholder, self._name)
            keep = 0 if chunk.finish_reason else self._beginning(text)
            waiting = text[len(text) - keep :]
            yield llm.replace(chunk, delta=text[: len(text) - keep])

    def _beginning(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of the placeholder."""
        sizes = range(len(self._placeholder) - 1, 0, -1)
        return next((size for size in sizes if text.endswith(self._placeholder[:size])), 0)

    def _hidden(self, message: llm.Message) -> llm.Message:
        if not isinstance(message, llm.HumanMessage):
            return message
        return llm.HumanMessage(message.text.replace(self._name, self._placeholder))


async def main() -> None:
    """One call that works, one that fails, and what was seen of them."""
    ledger = Ledger()
    layers = llm.with_hooks(ledger), Masked("Ada Lovelace")
    with llm.request_context(tenant="acme"):
        async with llm.create(MODEL).with_middleware(*layers) as model:
            print((await model.generate("Greet Ada Lovelace")).text)
        broken = llm.create("demo", error="overloaded").with_middleware(*layers)
        try:
            await broken.generate("hi")
        except llm.OverloadedError as error:
            print(error.message)
    print(dict(ledger.tokens), dict(ledger.failures))


if __name__ == "__main__":
    asyncio.run(main())
