"""Under what an answer is kept: a hash of all that may change it.

Headers and credentials are not in it: they say who asks, not what. Of the models behind a router
or a wrapper all is in it that is known of them, but no middleware.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import attrs

from beluga_llm._errors import ConfigError
from beluga_llm._messages import Message
from beluga_llm._options import NO_OPTIONS, GenerateOptions
from beluga_llm._request import ChatRequest, InnerModel
from beluga_llm._serialize import to_dict

KEY_VERSION = 1
PREFIX = "beluga_llm:cache"
IGNORED = ("user", "metadata")
_NEVER = frozenset(("extra_headers", "model"))  # the model is told apart from the options
_OPTIONS = tuple(name for name in GenerateOptions.__struct_fields__ if name not in _NEVER)


def cache_key(
    request: ChatRequest, *, ignore: Collection[str] = IGNORED, prefix: str = PREFIX
) -> str:
    """The key of a request: `prefix`, a colon, and 32 hex digits.

    Args:
        request: as a layer gets it.
        ignore: names of options that do not count.
        prefix: what all keys begin with.
    """
    facts = {
        "version": KEY_VERSION,
        "messages": [_said(message) for message in request.messages],
        **_asked(request, ignore),
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=repr)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}:{digest[:32]}"


def _asked(request: ChatRequest | InnerModel, ignore: Collection[str]) -> dict[str, Any]:
    """Who is asked, and how."""
    where, options = request.model, request.options
    return {
        "provider": where.provider,
        "base_url": where.base_url,
        "model": options.model or where.model_id,
        "variant": where.variant,
        "inside": [_asked(inner, ignore) for inner in where.inside],
        "tools": [_plain(tool) for tool in request.tools],
        "options": {
            name: _plain(value)
            for name in _OPTIONS
            if name not in ignore and (value := getattr(options, name)) != getattr(NO_OPTIONS, name)
        },
    }


def check_ignored(names: Collection[str]) -> frozenset[str]:
    """The names, if all are options.

    Raises:
        ConfigError: some are not.
    """
    known = GenerateOptions.__struct_fields__
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"ignore: unknown options: {', '.join(unknown)}")
    return frozenset(names)


_ABOUT_ANSWERS = frozenset((
    "metadata", "usage", "response_id", "finish_reason", "raw_finish_reason", "model_id",
    "logprobs", "alternatives",
))  # fmt: skip


_ABOUT_CALLS = frozenset(("cache", "fallback", "hedge", "mid_stream", "rate_limit"))
"""What layers of ours put into `provider_metadata`: where a former answer came from, and when."""


def _said(message: Message) -> dict[str, Any]:
    """What of a message is sent to a provider."""
    found = {key: value for key, value in to_dict(message).items() if key not in _ABOUT_ANSWERS}
    if kept := found.pop("provider_metadata", None):
        kept = {key: value for key, value in kept.items() if key not in _ABOUT_CALLS}
    return {**found, "provider_metadata": kept} if kept else found


def _plain(value: Any) -> Any:
    """Values of ours as plain data; what is none is told apart by its repr."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value
