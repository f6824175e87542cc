"""What the tests of this plugin share: a dialect with counted ids, and short doors to it."""

from __future__ import annotations

import itertools

import pytest

from beluga_llm import ChatRequest, GenerateOptions, HumanMessage
from beluga_llm_cohere import CohereDialect


@pytest.fixture
def dialect():
    numbers = itertools.count(1)
    return CohereDialect(new_id=lambda: f"call_{next(numbers)}")


@pytest.fixture
def encode(dialect):
    """The HttpRequest of messages, tools and options."""

    def run(*messages, tools=(), streaming=False, **options):
        made = GenerateOptions(**{"model": "command-a-reasoning-08-2025", **options})
        return dialect.encode(
            ChatRequest(messages or (HumanMessage("hi"),), made, tuple(tools), streaming)
        )

    return run


@pytest.fixture
def body(encode):
    """The same, only the body."""
    return lambda *messages, **options: encode(*messages, **options).json


@pytest.fixture
def noted(encode):
    """The names of what was left out."""
    return lambda *messages, **options: [n.name for n in encode(*messages, **options).notes]
