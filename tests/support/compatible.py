"""Short doors to the rows of plugins/compatible: configurations, dialects and bodies."""

from __future__ import annotations

import functools
import json

import beluga_llm_compatible as face
from beluga_llm import ChatRequest, GenerateOptions, HumanMessage, ProviderConfig
from beluga_llm.plugin import ProviderSpec

ALIASES = {"grok": "xai", "dashscope": "qwen"}
PLACES = {"databricks": {"host": "acme.cloud.example"}, "snowflake": {"account": "org-acme"},
          "cloudflare": {"account": "0a1b"}}  # fmt: skip


def entries():
    """The names of the entry points that are rows, without aliases."""
    return sorted(name.replace("_", "-") for name in face.__all__ if name != "llama")


def spec_of(entry):
    """The row of an entry."""
    spec = getattr(face, ALIASES.get(entry, entry).replace("-", "_"))
    assert isinstance(spec, ProviderSpec)
    return spec


def config_of(entry, **fields):
    """A sound configuration of an entry, prepared."""
    given = {"model": "m", "api_key": "test-key", "options": PLACES.get(entry, {}), **fields}
    if entry == "bifrost":
        given.setdefault("base_url", "http://localhost:8080/v1")
    return spec_of(entry).prepare(ProviderConfig.of(**given))


@functools.cache
def _prepared(entry, options):
    return config_of(entry, options={**PLACES.get(entry, {}), **dict(options)})


def dialect_of(entry, **options):
    """A dialect of an entry, with `api=` and other options of its own."""
    return spec_of(entry).dialect(_prepared(entry, tuple(sorted(options.items()))))


def encode(entry, *messages, tools=(), streaming=False, model="m", **options):
    """What an entry sends."""
    said = tuple(HumanMessage(m) if isinstance(m, str) else m for m in messages or ("hi",))
    request = ChatRequest(said, GenerateOptions(model=model, **options), tuple(tools), streaming)
    return dialect_of(entry).encode(request)


def body_of(*args, **more):
    """The body of what an entry sends, as JSON."""
    return json.loads(json.dumps(encode(*args, **more).json))


def sse(*events, end=b"data: [DONE]\n\n"):
    """Events as a stream; a str is a line of its own."""
    lines = (
        e.encode() if isinstance(e, str) else b"data: " + json.dumps(e).encode() for e in events
    )
    return b"".join(line + b"\n\n" for line in lines) + end
