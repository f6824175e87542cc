"""What the tests of this plugin share: a dialect with counted ids, and short doors to it."""

from __future__ import annotations

import itertools

import pytest

from beluga_llm import ChatRequest, GenerateOptions, HumanMessage
from beluga_llm_ollama import OllamaChatDialect, OllamaDialect


def counted():
    numbers = itertools.count(1)
    return lambda: f"call_{next(numbers)}"


@pytest.fixture
def dialect():
    return OllamaDialect(new_id=counted())


@pytest.fixture
def chat():
    return OllamaChatDialect(new_id=counted())


@pytest.fixture
def encode(dialect):
    """The HttpRequest of messages, tools and options."""

    def run(*messages, tools=(), streaming=False, to=dialect, **options):
        made = GenerateOptions(**{"model": "qwen3", **options})
        request = ChatRequest(messages or (HumanMessage("hi"),), made, tuple(tools), streaming)
        return to.encode(request)

    return run


@pytest.fixture
def body(encode):
    """The same, only the body."""
    return lambda *messages, **options: encode(*messages, **options).json


@pytest.fixture
def noted(encode):
    """The kinds and names of what was left out."""
    return lambda *messages, **options: [
        (n.kind, n.name) for n in encode(*messages, **options).notes
    ]
