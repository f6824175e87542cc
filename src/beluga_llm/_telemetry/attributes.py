"""A request and its answer as attributes: pure functions of values."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from beluga_llm._fold import Fold
from beluga_llm._parts import TextPart
from beluga_llm._request import ChatRequest, ModelInfo
from beluga_llm._telemetry import names

_PORTS = {"https": 443, "http": 80}


def provider_name(entry: str) -> str:
    """The conventions' name of a provider."""
    return names.PROVIDERS.get(entry, entry)


def about_model(model: ModelInfo) -> dict[str, Any]:
    """Who is asked for what: on every span and measurement of a call."""
    return {
        names.OPERATION: names.CHAT,
        names.PROVIDER: provider_name(model.provider),
        names.REQUEST_MODEL: model.model_id,
        **_server(model.base_url),
    }


@functools.lru_cache(maxsize=64)
def _server(base_url: str) -> Mapping[str, Any]:
    address = urlsplit(base_url)
    if not address.hostname:
        return {}
    port = address.port or _PORTS.get(address.scheme, 443)
    return {names.SERVER_ADDRESS: address.hostname, names.SERVER_PORT: port}


def of_request(request: ChatRequest) -> dict[str, Any]:
    """What is known when a span begins."""
    options, info = request.options, request.info
    output = options.response_format and options.response_format.type
    effort = options.reasoning and options.reasoning.effort
    wanted = {
        names.TEMPERATURE: options.temperature,
        names.TOP_P: options.top_p,
        names.TOP_K: options.top_k,
        names.MAX_TOKENS: options.max_tokens,
        names.STOP_SEQUENCES: tuple(options.stop) or None,
        names.FREQUENCY_PENALTY: options.frequency_penalty,
        names.PRESENCE_PENALTY: options.presence_penalty,
        names.SEED: options.seed,
        names.CHOICES: options.n if options.n != 1 else None,
        names.STREAM: request.streaming or None,
        names.REASONING_LEVEL: effort,
        names.OUTPUT_TYPE: output and ("text" if output == "text" else "json"),
        names.CONVERSATION: info.session_id,
        names.REQUEST_ID: info.request_id,
        names.TENANT: info.tenant,
        names.CALL_ID: info.call_id or None,
    }
    found = {name: value for name, value in wanted.items() if value is not None}
    parts = (part for message in request.messages for part in message.parts)
    found[names.INPUT_CHARACTERS] = sum(
        len(part.text) for part in parts if isinstance(part, TextPart)
    )
    return {**about_model(request.model), **found}


def of_answer(answer: Fold) -> dict[str, Any]:
    """What is known of the answer when a span ends."""
    usage = answer.usage
    wanted = {
        names.RESPONSE_MODEL: answer.model_id,
        names.RESPONSE_ID: answer.response_id,
        names.FINISH_REASONS: [str(why) for why in answer.finish_reasons] or None,
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.CACHE_READ_TOKENS: usage.cached_tokens,
        names.CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        names.REASONING_TOKENS: usage.reasoning_tokens,
    }
    return {name: value for name, value in wanted.items() if value is not None}
