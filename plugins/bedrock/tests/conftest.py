"""What the tests of this plugin share: a dialect with counted ids, and short doors to it."""

from __future__ import annotations

import itertools

import pytest

from beluga_llm import ChatRequest, GenerateOptions, HumanMessage
from beluga_llm_bedrock import ConverseDialect

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch):
    """No variable of the machine plays a part."""
    for name in (
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "BEDROCK_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def dialect():
    numbers = itertools.count(1)
    return ConverseDialect(new_id=lambda: f"call_{next(numbers)}")


@pytest.fixture
def encode(dialect):
    """The HttpRequest of messages, tools and options."""

    def run(*messages, tools=(), streaming=False, **options):
        made = GenerateOptions(**{"model": CLAUDE, **options})
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
