"""Claude on Amazon Bedrock: the Messages API through `InvokeModel`.

The model and the wish for a stream stand in the path, version and betas in the body. A stream is a
binary event stream; each `chunk` event holds one event of the Messages API, base64 in JSON:
`{"bytes": "eyJ0eXBlIjoi...", "p": "abc"}`.

Sources: "Claude on Amazon Bedrock (legacy)" of the Claude Platform docs; "Anthropic Claude Messages
API", "InvokeModelWithResponseStream" and "CountTokens" of the Bedrock docs.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from beluga_llm import Capabilities, StreamChunk, replace
from beluga_llm.plugin import (
    AwsEventStream,
    ChatRequest,
    Framing,
    HttpRequest,
    InBandError,
    JsonError,
    WholeBody,
    base64_text,
    dumps,
    loads,
)
from beluga_llm_anthropic._bedrock_errors import BEDROCK_RULES, exception_body
from beluga_llm_anthropic._decoder import AnthropicDecoder
from beluga_llm_anthropic._dialect import AnthropicDialect
from beluga_llm_anthropic._envelope import Envelope
from beluga_llm_anthropic._models import model_facts
from beluga_llm_anthropic._wire import as_object, as_text

_PROFILE = re.compile(r"(?:[a-z-]+\.)?(anthropic\.claude-[\w.:-]+)")


class BedrockAnthropicDecoder(AnthropicDecoder):
    """Decodes one answer: the events inside of Bedrock's, or a whole body."""

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one event, or of a whole body."""
        if event.startswith(("exception:", "error:")):
            raise InBandError(exception_body(event, data))
        if event != "chunk":
            return super().feed(event, data)
        try:
            inner = b64decode(as_text(as_object(loads(data)).get("bytes")), validate=True)
        except ValueError as error:
            raise JsonError(f"a chunk is not base64 in JSON: {error}") from None
        return super().feed("", inner) if inner else ()


class BedrockAnthropicDialect(AnthropicDialect):
    """The wire format of Claude on Amazon Bedrock, for `HttpModel`."""

    provider = "bedrock-anthropic"
    default_version = "bedrock-2023-05-31"
    rules = BEDROCK_RULES
    decoder_type = BedrockAnthropicDecoder
    envelope = Envelope(
        path="/model/{model}/invoke",
        stream_path="/model/{model}/invoke-with-response-stream",
        count_path="/model/{model}/count-tokens",
        models_path=None,
        version_in_body=True,
        betas_in_body=True,
        model_in_body=False,
        stream_in_body=False,
        only_data=True,
    )

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The HTTP request; `Accept` names the type of what is inside of the events."""
        return replace(super().encode(request), headers={"Accept": "application/json"})

    def count_request(self, request: ChatRequest) -> HttpRequest | None:
        """The request that has Bedrock count tokens; None where it does not count for the model.

        It counts for models themselves, not for the profiles that route to them, and for none
        after Claude 4.6, which are those that think with an effort only.
        """
        model = _counted_model(request.options.model or "")
        if model is None:
            return None
        encoded = self.encode(replace(request, streaming=False))
        body = {"input": {"invokeModel": {"body": base64_text(dumps(encoded.json))}}}
        path = self.path_of(self.envelope.count_path, model)
        lost = tuple(note for note in encoded.notes if note.kind != "option")
        return HttpRequest(path=path, json=body, notes=lost)

    def counted(self, answer: Mapping[str, Any]) -> Any:
        """The number in the answer to a count request."""
        return answer.get("inputTokens")

    def framing(self, request: ChatRequest) -> Framing:
        """Binary events, or one whole body."""
        return AwsEventStream() if request.streaming else WholeBody()

    def auth(self, key: str) -> Mapping[str, str]:
        """The header that carries a Bedrock API key."""
        return {"Authorization": f"Bearer {key}"}

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        return (
            super().capabilities(model).merged({"count_tokens": _counted_model(model) is not None})
        )


def _counted_model(model: str) -> str | None:
    """The id of the model that a name stands for, where Bedrock counts tokens for it."""
    found = _PROFILE.fullmatch(model)
    return found[1] if found and model_facts(model).thinking != "adaptive" else None
