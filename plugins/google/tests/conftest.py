"""What the tests of this plugin share: dialects with counted ids, and short doors to them."""

from __future__ import annotations

import itertools
import json

import pytest
from support.corpus import decode_bytes
from support.gemini import request_of, sse

from beluga_llm import ChatRequest, GenerateOptions, HumanMessage
from beluga_llm_google import GeminiDialect, VertexDialect

FLASH = "gemini-2.5-flash"


def counted_ids():
    numbers = itertools.count(1)
    return lambda: f"call_{next(numbers)}"


@pytest.fixture
def dialect():
    return GeminiDialect(new_id=counted_ids())


@pytest.fixture
def vertex():
    return VertexDialect(project="p", location="us-central1", new_id=counted_ids())


@pytest.fixture
def encode(dialect):
    """The HttpRequest of messages, tools and options."""

    def run(*messages, tools=(), streaming=False, to=dialect, **options):
        made = GenerateOptions(**{"model": FLASH, **options})
        return to.encode(
            ChatRequest(messages or (HumanMessage("hi"),), made, tuple(tools), streaming)
        )

    return run


@pytest.fixture
def body(encode):
    """The same, only the body."""
    return lambda *messages, **options: encode(*messages, **options).json


@pytest.fixture
def config(body):
    """The same, only the generationConfig."""
    return lambda *messages, **options: body(*messages, **options).get("generationConfig", {})


@pytest.fixture
def noted(encode):
    """The names of what was left out."""
    return lambda *messages, **options: [n.name for n in encode(*messages, **options).notes]


@pytest.fixture
def read(dialect):
    """The answer that frames mean: as a stream, or one frame as a whole body."""

    def run(*frames, stream=True, to=dialect, **options):
        data = sse(*frames) if stream else json.dumps(frames[0]).encode()
        request = request_of(stream=stream, **options)
        return decode_bytes(to, data, stream=stream, request=request)

    return run
