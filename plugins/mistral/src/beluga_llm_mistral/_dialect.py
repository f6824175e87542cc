"""The chat API as a dialect: chat completions with forms of its own.

What differs is data, the quirks below, and where data do not suffice the methods that
`OpenAIChatDialect` lets a vendor override.

Sources: "Chat Completion Endpoints" of https://docs.mistral.ai/api and the schema in the vendor's
own SDK (mistralai 3), "Function calling", "Vision", "Document QnA" and "Audio" for parts. The API
says itself what ids it takes ("Tool call id was ... but must be a-z, A-Z, 0-9, with a length of
9.") and how a conversation may end ("Expected last role User or Tool (or Assistant with prefix
True)").
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from beluga_llm import (
    AudioPart,
    Capabilities,
    ContentPart,
    FilePart,
    ModelNotFoundError,
    replace,
)
from beluga_llm.plugin import (
    ChatQuirks,
    ChatRequest,
    Decoder,
    HttpRequest,
    Note,
    OpenAIChatDialect,
    base64_text,
    data_uri,
)
from beluga_llm_mistral._decoder import MistralDecoder, objects_of
from beluga_llm_mistral._models import model_facts

QUIRKS = ChatQuirks(
    option_names={"seed": "random_seed"},
    unsupported=frozenset(("logit_bias", "user")),
    replay_reasoning_field="content",  # "always replay the full assistant message"
    stream_usage="never",  # refused as an unknown field; streams report usage unasked
    tool_choice_required="any",
    names=False,
    tool_result_names=True,
    error_codes={"invalid_model": ModelNotFoundError},
)
_TOOL_IDS = re.compile(r"[A-Za-z0-9]{9}")


class MistralDialect(OpenAIChatDialect):
    """POST /chat/completions, as Mistral has it."""

    provider = "mistral"

    def __init__(self, provider: str | None = None, **settings: Any) -> None:
        super().__init__(provider, **{"quirks": QUIRKS, **settings})

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request; what the model cannot take is in its notes."""
        fitting, notes = _fit(request)
        encoded = super().encode(fitting)
        return replace(encoded, notes=(*notes, *encoded.notes))

    def decoder(self, request: ChatRequest) -> Decoder:
        """A decoder for the stream or the whole body."""
        return MistralDecoder(super().decoder(request))

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        return super().capabilities(model).merged(model_facts(model).capabilities)

    def content_item(self, part: ContentPart) -> dict[str, Any] | None:
        """Documents and sounds, which have no object around what they hold."""
        match part:
            case FilePart(file_id=str(file_id)):
                return {"type": "file", "file_id": file_id}
            case FilePart():
                url = part.url if part.data is None else data_uri(part.mime_type, part.data)
                name = {"document_name": part.name} if part.name else {}
                return {"type": "document_url", "document_url": url, **name}
            case AudioPart(data=None):
                return {"type": "input_audio", "input_audio": part.url}
            case AudioPart(data=bytes(data)) if part.format != "pcm16":  # which has no header
                return {"type": "input_audio", "input_audio": base64_text(data)}
        return None

    def tool_call_id(self, id: str) -> str:
        """The id if the API takes it, else one made of its hash; equal ids stay equal."""
        if _TOOL_IDS.fullmatch(id):
            return id
        return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:9]

    def finish_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with what a message needs to know of the others.

        The results of tools are told by name too, and an answer at the end of a conversation is
        the beginning of the next one.
        """
        given = body.get("messages")
        messages = objects_of(given)
        if not messages or messages != given:
            return body
        names = dict(_names_of_calls(messages))
        named = [_with_name(message, names) for message in messages]
        if named[-1].get("role") == "assistant":
            named[-1] = {"prefix": True, **named[-1]}
        return {**body, "messages": named}


def _names_of_calls(messages: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for message in messages:
        for call in objects_of(message.get("tool_calls")):
            function = call.get("function")
            name = function.get("name") if isinstance(function, dict) else None
            if isinstance(call.get("id"), str) and isinstance(name, str):
                yield call["id"], name


def _with_name(message: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if message.get("role") != "tool" or message.get("name"):
        return message
    name = names.get(str(message.get("tool_call_id")))
    return {**message, "name": name} if name else message


def _fit(request: ChatRequest) -> tuple[ChatRequest, tuple[Note, ...]]:
    """The request without an effort that its model does not take, and a note of it."""
    options = request.options
    wanted = options.reasoning
    effort = None if wanted is None else wanted.effort
    facts = model_facts(options.model or "")
    if effort is None or facts.reasoning not in ("always", "never"):
        return request, ()
    fitting = replace(options, reasoning=replace(wanted, effort=None))
    request = replace(request, options=fitting)
    if facts.reasoning == "never":
        if effort == "none":
            return request, ()
        why = f"{options.model} does not reason"
    else:
        why = f"{options.model} always reasons: its effort cannot be set"
    return request, (Note("option", "reasoning_effort", why),)
