"""What Azure answers: filters, errors, and every recorded case.

Sources: "Content filtering" and "Troubleshoot common HTTP errors" of the Azure OpenAI pages.
"""

from __future__ import annotations

import itertools
import json

import pytest
from support.corpus import (
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    opaque_values,
    random_cuts,
    requires_corpus,
)
from support.neutral import neutral_request

from beluga_llm import (
    AIMessage,
    AuthenticationError,
    BelugaError,
    ChatRequest,
    ContentFilterError,
    ContextLengthError,
    GenerateOptions,
    HumanMessage,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
    from_dict,
    to_dict,
)
from beluga_llm_openai import AzureChatDialect, AzureResponsesDialect, ResponsesDialect

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
FILTERED = {
    "error": {
        "message": (
            "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy. Please modify your prompt and retry."
        ),
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


def chat():
    numbers = itertools.count()
    return AzureChatDialect(new_id=lambda: f"call_{next(numbers)}")


def responses():
    return AzureResponsesDialect(new_id=lambda: "call_made")


def sse(*events):
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)


# --- filters -------------------------------------------------------------------------------------

HEAD = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
}


def chunk(delta, reason=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": reason, **more}
    return {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [choice], "usage": None}


STREAM = sse(
    HEAD,
    chunk({"role": "assistant", "content": ""}, content_filter_results={}),
    chunk({"content": "Hel"}, content_filter_results=SAFE),
    chunk({"content": "lo"}, content_filter_results=SAFE),
    chunk({}, "stop"),
    {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [],
     "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
) + b"data: [DONE]\n\n"  # fmt: skip


@pytest.mark.row("PROV-04", "PROV-34", "PAIN-02")
def test_chunks_without_choices_tell_of_the_prompts_filter():
    whole = decode_bytes(chat(), STREAM)
    assert whole.text == "Hello"
    assert (whole.model_id, whole.response_id) == ("gpt-4o-2024-08-06", "chatcmpl-1")
    assert whole.usage.total_tokens == 5
    assert whole.provider_metadata["prompt_filter_results"] == HEAD["prompt_filter_results"]
    for place in range(len(STREAM)):
        assert decode_bytes(chat(), STREAM, cuts=[place]) == whole
        got = decode_bytes(chat(), STREAM[:place])
        if isinstance(got, AIMessage):
            assert (got.text, got.finish_reason) == ("Hello", "stop")
        else:
            assert isinstance(got, StreamInterruptedError)
            assert "Hello".startswith(got.partial.text)


@pytest.mark.row("PROV-04", "ERRO-29")
@pytest.mark.parametrize("stream", [False, True])
def test_a_filtered_answer_is_an_answer(stream):
    choice = {
        "index": 0,
        "finish_reason": "content_filter",
        "content_filter_results": {"hate": {"filtered": True, "severity": "high"}},
    }
    value = {"id": "c", "model": "gpt-4o", "choices": [choice]}
    body = sse(HEAD, value) if stream else json.dumps(value).encode()
    got = decode_bytes(chat(), body, stream=stream)
    assert (got.text, got.finish_reason) == ("", "content_filter")


@pytest.mark.row("PROV-04", "PROV-34", "ERRO-29")
@pytest.mark.parametrize("dialect", [chat, responses])
def test_an_error_with_status_200(dialect):
    body = json.dumps(FILTERED).encode()
    error = decode_bytes(dialect(), body, stream=False, headers={"apim-request-id": "r"})
    assert isinstance(error, ContentFilterError)
    assert (error.status, error.request_id, error.provider_code) == (200, "r", "content_filter")
    error = decode_bytes(dialect(), sse(FILTERED))
    assert isinstance(error, ContentFilterError)
    assert error.provider == "azure"


# --- errors --------------------------------------------------------------------------------------


def azure_error(code, message="m", **more):
    return {"error": {"code": code, "message": message, **more}}


ERRORS = [
    (400, FILTERED, ContentFilterError, "content_filter"),
    (400, azure_error(None, "Unrecognized request argument: x", type="invalid_request_error"),
     InvalidRequestError, "invalid_request_error"),
    (400, azure_error("context_length_exceeded", "This model's maximum context length is 8192"),
     ContextLengthError, "context_length_exceeded"),
    (400, azure_error("OperationNotSupported", "The chatCompletion operation does not work"),
     InvalidRequestError, "OperationNotSupported"),
    (401, azure_error("401", "Access denied due to invalid subscription key or wrong API endpoint"),
     AuthenticationError, "401"),
    (401, azure_error("PermissionDenied", "The principal `p` lacks the required data action"),
     AuthenticationError, "PermissionDenied"),
    (403, azure_error("403", "Access denied due to Virtual Network/Firewall rules."),
     PermissionDeniedError, "403"),
    (404, azure_error("DeploymentNotFound", "The API deployment does not exist."),
     ModelNotFoundError, "DeploymentNotFound"),
    (404, azure_error("404", "Resource not found"), ModelNotFoundError, "404"),
    (408, azure_error("Timeout", "The operation was timeout."), RequestTimeoutError, "Timeout"),
    (409, azure_error("409", "Conflict"), ProviderUnavailableError, "409"),
    (413, azure_error("413", "Request body too large"), InvalidRequestError, "413"),
    (422, azure_error("422", "Unprocessable"), InvalidRequestError, "422"),
    (425, azure_error("425", "Too early"), ProviderUnavailableError, "425"),
    (429, azure_error("429", "Requests to the ChatCompletions_Create Operation have exceeded token "
                      "rate limit of your current pricing tier. Please retry after 7 seconds."),
     RateLimitError, "429"),
    (429, azure_error("RateLimitReached", "Your requests have exceeded the call rate limit"),
     RateLimitError, "RateLimitReached"),
    (500, azure_error("InternalServerError", "Backend returned unexpected response."),
     ProviderUnavailableError, "InternalServerError"),
    (502, azure_error("BadGateway"), ProviderUnavailableError, "BadGateway"),
    (503, azure_error("ServiceUnavailable", "The service is temporarily unable"),
     ProviderUnavailableError, "ServiceUnavailable"),
    (504, azure_error("GatewayTimeout"), RequestTimeoutError, "GatewayTimeout"),
    (529, azure_error("Overloaded"), OverloadedError, "Overloaded"),
]  # fmt: skip
RETRYABLE = {408, 409, 425, 429, 500, 502, 503, 504, 529}


@pytest.mark.row("TEST-13", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11", "ERRO-12")
@pytest.mark.row("ERRO-25", "PROV-04")
@pytest.mark.parametrize("dialect", [chat, responses])
@pytest.mark.parametrize(("status", "body", "kind", "word"), ERRORS)
def test_errors(dialect, status, body, kind, word):
    headers = {"apim-request-id": "req-1", "retry-after": "9", "retry-after-ms": "7500"}
    error = dialect().error(status, headers, json.dumps(body).encode(), now=0.0)
    assert type(error) is kind
    assert error.message == body["error"]["message"]
    assert (error.status, error.provider_code) == (status, word)
    assert (error.request_id, error.retry_after, error.provider) == ("req-1", 7.5, "azure")
    assert error.retryable is (status in RETRYABLE)


@pytest.mark.row("ERRO-25")
def test_errors_of_the_gateway_before_it():
    body = b'{"statusCode": 401, "message": "Unauthorized. Access token is missing"}'
    error = chat().error(401, {}, body, now=0.0)
    assert (type(error), error.message) == (
        AuthenticationError,
        "Unauthorized. Access token is missing",
    )


# --- recorded traffic ----------------------------------------------------------------------------

CHAT = corpus_cases("chat_completions", "azure")
RESPONSES = corpus_cases("responses", "azure")
CASES = [*CHAT, *RESPONSES]


def dialect_of(case):
    return responses() if case.api == "responses" else chat()


@pytest.mark.row("PROV-04", "PROV-16", "PROV-20", "PROV-34")
@pytest.mark.parametrize("case", CASES)
def test_recorded_answers(case):
    whole = decode_case(dialect_of(case), case)
    check_expect(whole, case)
    assert decode_case(dialect_of(case), case, cuts=random_cuts(case.body)) == whole


@pytest.mark.row("REAS-14", "PAIN-11")
@pytest.mark.parametrize("case", RESPONSES)
def test_encrypted_reasoning_goes_back_as_it_came(case):
    message = decode_case(dialect_of(case), case)
    assert not isinstance(message, BelugaError)
    stored = from_dict(json.loads(json.dumps(to_dict(message))))
    request = ChatRequest((HumanMessage("hi"), stored), GenerateOptions(model=case.model))
    items = responses().encode(request).json["input"]
    sent = {item["encrypted_content"] for item in items if item.get("encrypted_content")}
    assert sent == opaque_values(message)


@pytest.mark.row("REAS-15")
def test_reasoning_of_openai_itself_is_not_sent_to_azure():
    body = {
        "status": "completed",
        "output": [{"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "opaque"}],
    }
    message = decode_bytes(ResponsesDialect(), json.dumps(body).encode(), stream=False)
    request = ChatRequest((HumanMessage("hi"), message), GenerateOptions(model="gpt-5"))
    assert "opaque" in json.dumps(ResponsesDialect().encode(request).json)
    encoded = responses().encode(request)
    assert "opaque" not in json.dumps(encoded.json)
    assert [note.kind for note in encoded.notes] == ["signature"]


def essence(body):
    """A request without the freedoms of the format."""
    found = {key: value for key, value in body.items() if value not in (None, False, [], "auto")}
    found.pop("stream_options", None)
    found["messages"] = [
        {key: value for key, value in message.items() if value not in (None, "")}
        for message in found["messages"]
    ]
    for message in found["messages"]:
        if isinstance(message.get("content"), list) and len(message["content"]) == 1:
            message["content"] = message["content"][0].get("text", message["content"])
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    for tool in found.get("tools", ()):
        function = tool.get("function", tool)
        if not function.get("strict"):
            function.pop("strict", None)
    return found


@pytest.mark.row("PROV-04", "PROV-17", "PROV-18", "OPTI-05")
@pytest.mark.parametrize("case", CHAT)
def test_a_recorded_request_is_made_again(case):
    if not case.neutral.get("complete"):
        pytest.skip("the request was not recorded whole")
    made = json.loads(json.dumps(chat().encode(neutral_request(case)).json, default=dict))
    assert essence(made) == essence(json.loads(json.dumps(case.request_body)))


@requires_corpus
def test_there_are_recorded_cases():
    assert len(CASES) >= 15
