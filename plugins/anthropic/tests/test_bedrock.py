"""Bedrock's binary events, and its errors."""

from __future__ import annotations

import base64
import json
import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import decode_bytes

from beluga_llm import (
    AIMessage,
    AuthenticationError,
    BelugaError,
    ContextLengthError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from beluga_llm.plugin import InBandError, JsonError
from beluga_llm_anthropic import BedrockAnthropicDialect, VertexAnthropicDialect

DIALECT = BedrockAnthropicDialect(new_id=lambda: "call_1")
METRICS = {"inputTokenCount": 3, "outputTokenCount": 2, "invocationLatency": 700}
EVENTS = [
    {"type": "message_start", "message": {
        "id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [], "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0,
     "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0,
     "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0,
     "delta": {"type": "signature_delta", "signature": "EqQB=="}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1,
     "delta": {"type": "text_delta", "text": "Ja\u00e4"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block":
     {"type": "tool_use", "id": "toolu_bdrk_1", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 2,
     "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
     "usage": {"output_tokens": 2}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]  # fmt: skip


def message(headers, payload):
    """One message of an event stream, by hand."""
    head = b""
    for name, value in headers.items():
        text = value.encode()
        head += bytes((len(name),)) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    prelude += struct.pack(">I", crc32(prelude))
    return prelude + head + payload + struct.pack(">I", crc32(prelude + head + payload))


def chunk(event):
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    return message(
        {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
        json.dumps({"bytes": inner, "p": "abcdefgh"}).encode(),
    )


def exception(kind, text="m"):
    return message(
        {":exception-type": kind, ":message-type": "exception"},
        json.dumps({"message": text}).encode(),
    )


STREAM = b"".join(map(chunk, EVENTS))
HEADERS = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "req-1"}


def read(body, **more):
    return decode_bytes(DIALECT, body, headers=HEADERS, **more)


@pytest.mark.row("PROV-35", "DIAL-04", "PROV-16")
def test_events_of_claude_are_read_out_of_bedrocks():
    got = read(STREAM)
    assert (got.text, got.thinking, got.finish_reason) == ("Ja\u00e4", "Hm.", "tool_calls")
    assert got.parts[0].signature == "EqQB=="
    assert got.parts[0].provider == "bedrock-anthropic"
    assert [(call.id, call.args) for call in got.tool_calls] == [("toolu_bdrk_1", {"a": 1})]
    assert (got.usage.input_tokens, got.usage.output_tokens) == (3, 2)
    assert (got.model_id, got.response_id) == ("claude-sonnet-4-5", "msg_bdrk_1")
    assert got.provider_metadata["amazon-bedrock-invocationMetrics"] == METRICS


@pytest.mark.row("PROV-35", "PAIN-02", "PAIN-10")
def test_a_stream_cut_anywhere_is_complete_or_interrupted():
    whole = read(STREAM)
    last = len(STREAM) - len(chunk(EVENTS[-1]))
    for place in range(len(STREAM)):
        got = read(STREAM[:place])
        if isinstance(got, AIMessage):
            assert place >= last
            assert (got.parts, got.tool_calls) == (whole.parts, whole.tool_calls)
        else:
            assert type(got) is StreamInterruptedError
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)


@pytest.mark.row("PROV-35", "PAIN-10")
def test_pieces_of_any_size_change_nothing():
    whole = read(STREAM)
    for size in (1, 2, 3, 7, 50, 1000):
        assert read(STREAM, cuts=range(size, len(STREAM), size)) == whole


@pytest.mark.row("PROV-35", "DIAL-05")
def test_a_whole_body_is_the_message_itself():
    body = {
        "id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }  # fmt: skip
    for stream in (False, True):  # a gateway may answer a stream with a whole body
        got = decode_bytes(
            DIALECT,
            json.dumps(body).encode(),
            stream=stream,
            headers={"content-type": "application/json"},
        )
        assert (got.text, got.finish_reason, got.response_id) == ("Yes.", "stop", "msg_bdrk_1")


@pytest.mark.row("PROV-35", "DIAL-07")
def test_events_that_say_nothing_are_passed_over():
    odd = [
        message({":event-type": "metrics", ":message-type": "event"}, b'{"x": 1}'),
        message({":event-type": "chunk", ":message-type": "event"}, b'{"bytes": null}'),
        message({":event-type": "chunk", ":message-type": "event"}, b"[]"),
        chunk({"type": "ping"}),
        chunk({"type": "from_the_future", "delta": {"text": 7}}),
    ]
    body = b"".join(odd[0:1] + [chunk(event) for event in EVENTS[:5]] + odd[1:])
    body += b"".join(map(chunk, EVENTS[5:]))
    assert read(body) == read(STREAM)


@pytest.mark.row("PROV-35", "ERRO-14")
@pytest.mark.parametrize("payload", [b'{"bytes": "*"}', b"no json", b'{"bytes": "bm8ganNvbg=="}'])
def test_a_damaged_chunk_is_malformed(payload):
    body = chunk(EVENTS[0]) + message({":event-type": "chunk", ":message-type": "event"}, payload)
    assert isinstance(read(body), MalformedResponseError)


EXCEPTIONS = [
    ("internalServerException", ProviderUnavailableError),
    ("modelStreamErrorException", ProviderUnavailableError),
    ("validationException", InvalidRequestError),
    ("throttlingException", RateLimitError),
    ("modelTimeoutException", RequestTimeoutError),
    ("serviceUnavailableException", ProviderUnavailableError),
]


@pytest.mark.row("PROV-35", "ERRO-25", "ERRO-30")
@pytest.mark.parametrize(("kind", "expected"), EXCEPTIONS)
def test_exceptions_inside_of_a_stream(kind, expected):
    error = read(b"".join(map(chunk, EVENTS[:7])) + exception(kind, "It broke."))
    assert type(error) is expected
    assert (error.message, error.provider_code) == ("It broke.", kind)
    assert (error.provider, error.status) == ("bedrock-anthropic", 200)
    assert error.request_id == "req-1"
    assert error.partial.text == "Ja\u00e4"


@pytest.mark.row("PROV-35", "ERRO-25")
def test_an_error_of_the_framework_has_its_text_in_the_headers():
    body = message(
        {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Odd."}, b""
    )
    error = read(chunk(EVENTS[0]) + body)
    assert isinstance(error, BelugaError)
    assert (error.message, error.provider_code) == ("Odd.", "InternalFailure")
    silent = message({":message-type": "exception", ":exception-type": "throttlingException"}, b"")
    assert isinstance(read(silent), RateLimitError)


@pytest.mark.row("PROV-35")
def test_an_error_event_of_claude_inside_of_a_chunk():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert isinstance(read(chunk(EVENTS[0]) + chunk(error)), OverloadedError)


AWS_ERRORS = [
    (400, "ValidationException", "Malformed input request.", InvalidRequestError),
    (400, "ValidationException",
     "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
     ContextLengthError),
    (400, "ServiceQuotaExceededException", "m", QuotaExceededError),
    (403, "AccessDeniedException", "You don't have access to the model.", PermissionDeniedError),
    (403, "UnrecognizedClientException", "The security token is invalid.", AuthenticationError),
    (403, "ExpiredTokenException", "The security token has expired", AuthenticationError),
    (403, "InvalidSignatureException", "Signature expired: 2026", AuthenticationError),
    (404, "ResourceNotFoundException", "m", ModelNotFoundError),
    (408, "ModelTimeoutException", "m", RequestTimeoutError),
    (424, "ModelErrorException", "m", ProviderUnavailableError),
    (429, "ThrottlingException", "Too many tokens per day, please wait", RateLimitError),
    (400, "Throttling", "Rate exceeded", RateLimitError),
    (400, "ValidationException", "Too many total text bytes: 26 > 25", ContextLengthError),
    (
        403,
        "AccessDeniedException",
        "Authentication failed: Please make sure your API Key is valid.",
        AuthenticationError,
    ),
    (
        403,
        "AccessDeniedException",
        "The security token included in the request is expired",
        AuthenticationError,
    ),
    (429, "ModelNotReadyException", "m", ProviderUnavailableError),
    (500, "InternalServerException", "m", ProviderUnavailableError),
    (503, "ServiceUnavailableException", "m", ProviderUnavailableError),
]  # fmt: skip


@pytest.mark.row("PROV-35", "TEST-13", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11")
@pytest.mark.row("ERRO-12", "ERRO-25")
@pytest.mark.parametrize(("status", "kind", "text", "expected"), AWS_ERRORS)
def test_error_answers(status, kind, text, expected):
    headers = {
        "x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/",
        "x-amzn-requestid": "req-1",
        "retry-after": "4",
    }
    body = json.dumps({"message": text}).encode()
    error = DIALECT.error(status, headers, body, now=0.0)
    assert type(error) is expected
    assert (error.message, error.provider_code, error.status) == (text, kind, status)
    assert (error.request_id, error.retry_after) == ("req-1", 4.0)
    retryable = (ProviderUnavailableError, RateLimitError, RequestTimeoutError)
    assert error.retryable is issubclass(expected, retryable)


GOOGLE_ERRORS = [
    (400, "FAILED_PRECONDITION", InvalidRequestError),
    (400, "INVALID_ARGUMENT", InvalidRequestError),
    (401, "UNAUTHENTICATED", AuthenticationError),
    (403, "PERMISSION_DENIED", PermissionDeniedError),
    (404, "NOT_FOUND", ModelNotFoundError),
    (429, "RESOURCE_EXHAUSTED", RateLimitError),
    (500, "INTERNAL", ProviderUnavailableError),
    (503, "UNAVAILABLE", ProviderUnavailableError),
    (504, "DEADLINE_EXCEEDED", RequestTimeoutError),
]


@pytest.mark.row("PROV-35", "TEST-13", "ERRO-25")
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("status", "word", "expected"), GOOGLE_ERRORS)
def test_errors_of_google_cloud_itself(status, word, expected, listed):
    """Before Claude is reached; those of Claude have Anthropic's shape."""
    error = {"error": {"code": status, "message": "m", "status": word}}
    body = json.dumps([error] if listed else error).encode()
    dialect = VertexAnthropicDialect(project="p")
    for seen in (status, 200):
        found = dialect.error(seen, {}, body, now=0.0)
        assert type(found) is expected
        assert (found.message, found.provider) == ("m", "vertex-anthropic")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**12) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["bytes", "message", "type", "index", "x"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.row("DIAL-07")
@given(st.sampled_from(["chunk", "exception:x", "error:", "", "metrics"]), JSON, st.booleans())
def test_odd_json_never_crashes(event, value, inside):
    from beluga_llm import ChatRequest, GenerateOptions, HumanMessage

    if inside:
        value = {"bytes": base64.b64encode(json.dumps(value).encode()).decode()}
    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="m"), streaming=True)
    decoder = DIALECT.decoder(request)
    bodies = []
    try:
        decoder.feed(event, json.dumps(value).encode())
        decoder.finish()
    except InBandError as error:
        bodies.append(error.body)
    except (JsonError, BelugaError):
        pass
    assert all(DIALECT.error(200, {}, body, now=0.0) for body in bodies)
