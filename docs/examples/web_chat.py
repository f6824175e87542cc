"""A streaming chat behind a web page. Closing the tab, or Stop, ends the call at the provider.

    python web_chat.py 8080    # then open http://127.0.0.1:8080
    python web_chat.py         # asks itself one question over HTTP, and ends

aiohttp cancels a handler whose browser has gone only where `handler_cancellation` is set. The
cancellation leaves `async with chat.stream(...)`, and that disconnects from the provider.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
from aiohttp import web

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")
PAGE = Path(__file__).with_suffix(".html")
CHATS = web.AppKey("chats", llm.SessionStore)
MODELS = web.AppKey("models", llm.ChatModel)


async def page(request: web.Request) -> web.FileResponse:
    """The page."""
    return web.FileResponse(PAGE)


async def answer(request: web.Request) -> web.StreamResponse:
    """The answer to one message, as plain text that grows."""
    asked = await request.json()
    chat = llm.Conversation(request.app[MODELS], request.app[CHATS], str(asked["session"]))
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    async with chat.stream(str(asked["text"])) as stream:
        try:
            async for text in stream.text():
                if not response.prepared:  # errors before the first word have a status
                    await response.prepare(request)
                await response.write(text.encode())
        except llm.BelugaError as error:
            if not response.prepared:
                raise web.HTTPBadGateway(text=error.message) from error
            assert request.transport is not None
            request.transport.abort()  # an answer that broke off must not look complete
    return response


def app(model: llm.ChatModel) -> web.Application:
    """The application around a model, which it closes at its end."""
    made = web.Application()
    made[CHATS], made[MODELS] = llm.MemoryStore(), model
    made.add_routes([web.get("/", page), web.post("/chat", answer)])

    made.on_cleanup.append(lambda _: model.aclose())
    return made


async def ask_itself(question: str) -> None:
    """What the page does, without a browser."""
    runner = web.AppRunner(app(llm.create(MODEL)), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    asked = {"session": "me", "text": question}
    async with (
        aiohttp.ClientSession(f"http://{host}:{port}") as browser,
        browser.post("/chat", json=asked) as response,
    ):
        async for piece in response.content.iter_any():
            print(piece.decode(), end="", flush=True)
    print()
    await runner.cleanup()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        web.run_app(
            app(llm.create(MODEL)),
            host="127.0.0.1",
            port=int(sys.argv[1]),
            handler_cancellation=True,
        )
    else:
        asyncio.run(ask_itself("Tell me a story"))
