"""An application and its tests: no key, no network, no waiting.

    pytest testing_an_app.py        # or: python testing_an_app.py

The application takes its model as an argument. So a test hands in a scripted one where it is about
words, and a real client with a fake server where it is about the network.
"""

from __future__ import annotations

import os
import subprocess
import sys

import beluga_llm as llm
from beluga_llm.testing import FakeServer, MockChatModel, VirtualClock, assert_error

# --- the application -------------------------------------------------------------------------


async def summarize(model: llm.ChatModel, text: str) -> str:
    """One sentence about a text; a short text is its own summary."""
    if len(text) < 40:
        return text
    reply = await model.generate([llm.SystemMessage("Answer in one sentence."), text])
    return reply.text.strip()


async def as_html(model: llm.ChatModel, question: str) -> str:
    """An answer for a page, marked where it broke off."""
    stream = model.stream(question)
    try:
        async with stream:
            return f"<p>{(await stream.response()).text}</p>"
    except llm.StreamInterruptedError:
        return f"<p>{stream.message.text}</p><p class=error>The connection was lost.</p>"


# --- its tests -------------------------------------------------------------------------------


async def test_a_long_text_is_summarized() -> None:
    model = MockChatModel(["  A whale sings.\n"])
    assert await summarize(model, "There was a whale. " * 10) == "A whale sings."
    assert model.calls[0].messages[0].text == "Answer in one sentence."
    model.assert_exhausted()


async def test_a_short_text_costs_nothing(mock_model: MockChatModel) -> None:
    assert await summarize(mock_model, "Short.") == "Short."
    assert mock_model.calls == []


async def test_a_busy_provider_is_asked_again() -> None:
    clock = VirtualClock(auto=True)  # the wait of a minute takes no time
    busy = llm.RateLimitError("slow down", retry_after=60)
    model = MockChatModel([busy, "At last."]).with_middleware(llm.with_retry(clock=clock))
    assert await summarize(model, "long " * 20) == "At last."
    assert clock.time() >= 60


async def test_errors_keep_their_type() -> None:
    with assert_error("auth_error"):
        await summarize(MockChatModel([llm.AuthenticationError("no key")]), "long " * 20)


async def test_a_connection_that_breaks_is_shown(fake_llm_server: FakeServer) -> None:
    fake_llm_server.reply("Once upon a time", finish=False, end_marker=False)
    url = fake_llm_server.base_url("chat")
    async with llm.create("openai-compatible/m", base_url=url) as model:
        page = await as_html(model, "Tell me a story")
    assert page.startswith("<p>Once upon a time</p><p class=error>")


if __name__ == "__main__":
    # These two stand in the pytest settings of a project.
    settings = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    pytest = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    sys.exit(subprocess.call([*pytest, *settings, __file__]))
