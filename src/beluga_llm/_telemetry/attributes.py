"""A request and its answer as attributes: pure functions of values."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

from beluga_llm._answer_facts import AnswerFacts
from beluga_llm._parts import TextPart
from beluga_llm._request import ChatRequest, ModelInfo
from beluga_llm._telemetry import names

_PORTS = {"https": 443, "http": 80}

_ASKED = {
    "options.temperature": names.TEMPERATURE,
    "options.top_p": names.TOP_P,
    "options.top_k": names.TOP_K,
    "options.max_tokens": names.MAX_TOKENS,
    "options.frequency_penalty": names.FREQUENCY_PENALTY,
    "options.presence_penalty": names.PRESENCE_PENALTY,
    "options.seed": names.SEED,
    "info.session_id": names.CONVERSATION,
    "info.request_id": names.REQUEST_ID,
    "info.tenant": names.TENANT,
}
"""Fields of a request, and the attributes that they are."""

_ANSWERED = {
    "model_id": names.RESPONSE_MODEL,
    "response_id": names.RESPONSE_ID,
    "usage.input_tokens": names.INPUT_TOKENS,
    "usage.output_tokens": names.OUTPUT_TOKENS,
    "usage.cached_tokens": names.CACHE_READ_TOKENS,
    "usage.cache_write_tokens": names.CACHE_WRITE_TOKENS,
    "usage.reasoning_tokens": names.REASONING_TOKENS,
}
"""Likewise of the facts of an answer."""

_asked_of, _answered_of = attrgetter(*_ASKED), attrgetter(*_ANSWERED)
_NOTHING = (None,) * len(_ASKED)


def provider_name(entry: str) -> str:
    """The conventions' name of a provider."""
    return names.PROVIDERS.get(entry, entry)


def about_model(model: ModelInfo) -> dict[str, Any]:
    """Who is asked for what: on every span and measurement of a call."""
    return {**_about(model.provider, model.model_id, model.base_url)}


@functools.lru_cache(maxsize=256)
def _about(provider: str, model_id: str, base_url: str) -> Mapping[str, Any]:
    about = {
        names.OPERATION: names.CHAT,
        names.PROVIDER: provider_name(provider),
        names.REQUEST_MODEL: model_id,
    }
    address = urlsplit(base_url)
    if not address.hostname:
        return about
    port = address.port or _PORTS.get(address.scheme, 443)
    return {**about, names.SERVER_ADDRESS: address.hostname, names.SERVER_PORT: port}


def of_request(request: ChatRequest) -> dict[str, Any]:
    """What is known when a span begins."""
    found = about_model(request.model)
    options = request.options
    if (given := _asked_of(request)) != _NOTHING:
        found |= _known(_ASKED.values(), given)
    if options.stop:
        found[names.STOP_SEQUENCES] = tuple(options.stop)
    if options.n not in (None, 1):
        found[names.CHOICES] = options.n
    if request.streaming:
        found[names.STREAM] = True
    if options.reasoning is not None and options.reasoning.effort is not None:
        found[names.REASONING_LEVEL] = options.reasoning.effort
    if options.response_format is not None:
        text = options.response_format.type == "text"
        found[names.OUTPUT_TYPE] = "text" if text else "json"
    if request.info.call_id:
        found[names.CALL_ID] = request.info.call_id
    found[names.INPUT_CHARACTERS] = sum(
        len(part.text)
        for message in request.messages
        for part in message.parts
        if isinstance(part, TextPart)
    )
    return found


def of_answer(answer: AnswerFacts) -> dict[str, Any]:
    """What is known of the answer when a span ends."""
    found = _known(_ANSWERED.values(), _answered_of(answer))
    if reasons := answer.finish_reasons:
        found[names.FINISH_REASONS] = [str(why) for why in reasons]
    return found


def _known(attributes: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    pairs = zip(attributes, values, strict=True)
    return {name: value for name, value in pairs if value is not None}
