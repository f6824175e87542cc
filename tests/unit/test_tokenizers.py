"""Tokenizers by name."""

from __future__ import annotations

import logging
import sys
import threading
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from beluga_llm import (
    ConfigError,
    HumanMessage,
    ImagePart,
    PluginLoadError,
    SimpleTokenizer,
    get_tokenizer,
)
from beluga_llm import _tokenizers as module


class FakeTiktoken(SimpleNamespace):
    """A vocabulary in which every word is a token."""

    error: Exception | None = None
    threads: list[Any]

    def list_encoding_names(self) -> list[str]:
        return ["o200k_base", "cl100k_base"]

    def encoding_name_for_model(self, name: str) -> str:
        return {"gpt-4": "cl100k_base"}[name]

    def get_encoding(self, name: str) -> Any:
        self.threads.append((name, threading.current_thread()))
        if self.error:
            raise self.error
        return SimpleNamespace(encode=lambda text, disallowed_special: text.split())


@pytest.fixture
def tiktoken(monkeypatch: pytest.MonkeyPatch) -> FakeTiktoken:
    fake = FakeTiktoken(threads=[])
    monkeypatch.setitem(sys.modules, "tiktoken", fake)  # type: ignore[arg-type]  # a fake
    return fake


@pytest.mark.row("TOKE-11")
async def test_the_estimate_has_a_name() -> None:
    assert await get_tokenizer("simple") == SimpleTokenizer()


@pytest.mark.row("TOKE-11")
async def test_a_vocabulary_is_loaded_off_the_loop(tiktoken: FakeTiktoken) -> None:
    tokenizer = await get_tokenizer("tiktoken")
    assert tokenizer.count("three whole words") == 3
    assert tokenizer.count("") == 0
    message = HumanMessage(["two words", ImagePart(url="https://x.test/a.png")])
    assert tokenizer.count_messages([message]) == 4 + 2 + 85
    await get_tokenizer("tiktoken/cl100k_base")
    await get_tokenizer("tiktoken/gpt-4")
    assert [name for name, _ in tiktoken.threads] == ["o200k_base", "cl100k_base", "cl100k_base"]
    assert all(thread is not threading.main_thread() for _, thread in tiktoken.threads)
    with pytest.raises(ConfigError, match="tiktoken has no encoding or model 'x'"):
        await get_tokenizer("tiktoken/x")


@pytest.mark.row("TOKE-11")
async def test_without_a_download_tokens_are_estimated(
    tiktoken: FakeTiktoken, caplog: pytest.LogCaptureFixture
) -> None:
    tiktoken.error = OSError("no network")
    with caplog.at_level(logging.WARNING, "beluga_llm.tokens"):
        assert await get_tokenizer("tiktoken") == SimpleTokenizer()
    assert "tiktoken cannot be loaded, tokens are estimated: no network" in caplog.text


@pytest.mark.row("TOKE-11")
async def test_a_download_that_never_ends_is_given_up(
    tiktoken: FakeTiktoken, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", 0.01)
    over = threading.Event()
    monkeypatch.setattr(FakeTiktoken, "get_encoding", lambda self, name: over.wait(60))
    with caplog.at_level(logging.WARNING, "beluga_llm.tokens"):
        assert await get_tokenizer("tiktoken") == SimpleTokenizer()
    assert "tokens are estimated: it took more than 0.01 seconds" in caplog.text
    loading = [one for one in threading.enumerate() if one.name == "beluga-llm tokenizer"]
    assert all(one.daemon for one in loading)  # nothing waits for it at the end either
    over.set()
    for one in loading:
        one.join()


@pytest.mark.row("TOKE-11")
@pytest.mark.parametrize("missing", ["tiktoken", "regex"])
async def test_without_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(module.importlib, "import_module", absent)
    if missing == "regex":  # a broken installation is no reason to fail either
        assert await get_tokenizer("tiktoken") == SimpleTokenizer()
        return
    with pytest.raises(ConfigError, match=r"pip install 'beluga-llm\[tiktoken\]'"):
        await get_tokenizer("tiktoken")


def words(encoding: str) -> Any:
    return SimpleTokenizer(per_message=int(encoding)) if encoding else "no tokenizer"


NO_FUNCTION = 3


@pytest.mark.row("TOKE-11")
async def test_installed_tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "some_tokenizers", sys.modules[__name__])
    installed = [
        EntryPoint("words", "some_tokenizers:words", module.GROUP),
        EntryPoint("broken", "some_tokenizers:NO_FUNCTION", module.GROUP),
        EntryPoint("other", "some_tokenizers:words", "another.group"),
    ]
    monkeypatch.setattr(module, "installed_entry_points", lambda: installed)
    assert await get_tokenizer("words/9") == SimpleTokenizer(per_message=9)
    with pytest.raises(PluginLoadError, match="'words' has no count and count_messages: str"):
        await get_tokenizer("words")
    with pytest.raises(PluginLoadError, match="it is not a function"):
        await get_tokenizer("broken")
    text = r"unknown tokenizer 'other' \(known: broken, simple, tiktoken, words\)"
    with pytest.raises(ConfigError, match=text):
        await get_tokenizer("other")
