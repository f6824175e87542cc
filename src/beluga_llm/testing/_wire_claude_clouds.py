"""Anthropic's messages in the envelopes of two clouds, as the server writes them.

The model stands in the path, and the path says whether a stream is asked for. On Google Cloud the
answers are Anthropic's own. Amazon Bedrock's InvokeModel sends a binary event stream, each event of
which holds one of Anthropic's in base64, and has errors of its own.

Sources: "Claude on Google Cloud" of the Claude Platform docs,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote

from beluga_llm import _json
from beluga_llm._http.encoding import base64_text
from beluga_llm.testing._aws_events import AWS_EVENTS, aws_event
from beluga_llm.testing._wire import Facts, Failure, JsonObject
from beluga_llm.testing._wire_converse import CONVERSE_TERMS, ConverseWire
from beluga_llm.testing._wire_messages import MessagesEncoder, MessagesWire

_AWS = ConverseWire()


class CloudMessagesWire(MessagesWire):
    """Messages whose model stands in the path.

    Attributes:
        place: finds the model in a path, as its first group.
        stream_path: how the path of a stream ends.
    """

    place: ClassVar[re.Pattern[str]]
    stream_path: ClassVar[str]

    def matches(self, path: str) -> bool:
        """Whether this is the path of one of its endpoints."""
        return self.place.search(path) is not None

    def streams(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a request asks for a stream."""
        return path.endswith(self.stream_path)

    def asked(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body, with the model and the wish for a stream, which stand in the path."""
        found = self.place.search(path)
        model = unquote(found[1]) if found else None
        return {**body, "model": model, "stream": self.streams(path, body)}


class VertexMessagesWire(CloudMessagesWire):
    """`POST .../publishers/anthropic/models/{model}:rawPredict` and `:streamRawPredict`."""

    name = "vertex_messages"
    path = ":rawPredict"
    stream_path = ":streamRawPredict"
    place = re.compile(
        r"/publishers/anthropic/models/(?!count-tokens:)([^/]+):(?:raw|streamRaw)Predict$"
    )


class BedrockMessagesWire(CloudMessagesWire):
    """`POST /model/{id}/invoke` and `/model/{id}/invoke-with-response-stream`."""

    name = "bedrock_messages"
    path = "/invoke"
    stream_path = "/invoke-with-response-stream"
    place = re.compile(r"/model/(.+)/invoke(?:-with-response-stream)?$")
    stream_type = AWS_EVENTS
    comment = b""
    request_id = "x-amzn-requestid"
    terms = CONVERSE_TERMS

    def encoder(self, facts: Facts) -> InvokeEncoder:
        """The writer of a streamed answer."""
        return InvokeEncoder(facts)

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer, which does not say its type."""
        return _AWS.error_body(failure)

    def error_headers(self, failure: Failure) -> Mapping[str, str]:
        """The type of an error."""
        return _AWS.error_headers(failure)


class InvokeEncoder(MessagesEncoder):
    """Writes the events of one answer, each inside of one of Bedrock's."""

    def event(self, data: JsonObject) -> bytes:
        """One event on the wire."""
        return _chunk(data)

    def error(self, failure: Failure) -> Sequence[bytes]:
        """An exception."""
        return (_AWS.exception(failure),)


def _chunk(data: JsonObject) -> bytes:
    return aws_event("chunk", _json.dumps({"bytes": base64_text(_json.dumps(data)), "p": "abcd"}))


BedrockMessagesWire.ping = _chunk({"type": "ping"})
