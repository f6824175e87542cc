"""Error answers of every shape become the right class, with the facts that callers need."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import check_expect, load_cases, requires_corpus

import beluga_llm as llm
from beluga_llm.plugin import COMMON_RULES, ErrorRules, Problem, http_error, read_problem

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def error(
    status: int, body: Any = b"", rules: ErrorRules = COMMON_RULES, **headers: str
) -> llm.BelugaError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http_error(status, named, data, now=NOW, provider="acme", rules=rules, host="api.test")


def problem(body: Any, status: int = 400, **headers: str) -> Problem:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_problem(status, named, data, now=NOW, host="api.test")


# --- the class -----------------------------------------------------------------------------------

STATUSES = [
    (400, llm.InvalidRequestError, "invalid_input", False),
    (401, llm.AuthenticationError, "auth_error", False),
    (402, llm.QuotaExceededError, "quota_exceeded", False),
    (403, llm.PermissionDeniedError, "permission_denied", False),
    (404, llm.ModelNotFoundError, "not_found", False),
    (405, llm.InvalidRequestError, "invalid_input", False),
    (408, llm.RequestTimeoutError, "timeout", True),
    (409, llm.InvalidRequestError, "invalid_input", False),
    (413, llm.InvalidRequestError, "invalid_input", False),
    (418, llm.InvalidRequestError, "invalid_input", False),
    (422, llm.InvalidRequestError, "invalid_input", False),
    (425, llm.ProviderUnavailableError, "provider_unavailable", True),
    (429, llm.RateLimitError, "rate_limit", True),
    (500, llm.ProviderUnavailableError, "provider_unavailable", True),
    (502, llm.ProviderUnavailableError, "provider_unavailable", True),
    (503, llm.ProviderUnavailableError, "provider_unavailable", True),
    (504, llm.RequestTimeoutError, "timeout", True),
    (520, llm.ProviderUnavailableError, "provider_unavailable", True),
    (529, llm.OverloadedError, "overloaded", True),
]


@pytest.mark.row("TEST-13", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11", "ERRO-12")
@pytest.mark.row("ERRO-18", "RETR-13")
@pytest.mark.parametrize(("status", "kind", "code", "retryable"), STATUSES)
def test_statuses(status, kind, code, retryable):
    body = {"error": {"message": "no", "code": "oops"}}
    got = error(status, body, retry_after="2", x_request_id="req_1")
    assert type(got) is kind
    assert (got.code, got.retryable, got.status) == (code, retryable, status)
    assert (got.retry_after, got.request_id, got.provider) == (2.0, "req_1", "acme")
    assert (got.provider_code, got.body) == ("oops", body)
    assert str(got) == f"[acme] {code}: no (status {status}, request id req_1)"


@pytest.mark.row("ERRO-12", "RETR-13")
def test_a_409_that_the_dialect_declares_transient():
    rules = COMMON_RULES.extended(transient_409=True)
    got = error(409, {"error": {"message": "lock timeout"}}, rules)
    assert type(got) is llm.ProviderUnavailableError
    assert got.retryable
    assert rules.extended().transient_409


CODES = [
    (429, "insufficient_quota", llm.QuotaExceededError),
    (429, "billing_hard_limit_reached", llm.QuotaExceededError),
    (400, "billing_error", llm.QuotaExceededError),
    (429, "rate_limit_exceeded", llm.RateLimitError),
    (400, "context_length_exceeded", llm.ContextLengthError),
    (413, "context_length_exceeded", llm.ContextLengthError),
    (400, "exceed_context_size_error", llm.ContextLengthError),
    (400, "content_filter", llm.ContentFilterError),
    (400, "content_policy_violation", llm.ContentFilterError),
    (400, "invalid_api_key", llm.AuthenticationError),
    (403, "invalid_api_key", llm.AuthenticationError),
    (400, "model_not_found", llm.ModelNotFoundError),
    (403, "model_not_found", llm.ModelNotFoundError),
    (404, "DeploymentNotFound", llm.ModelNotFoundError),
    (500, "overloaded_error", llm.OverloadedError),
    (503, "overloaded", llm.OverloadedError),
    (401, "invalid_request_error", llm.AuthenticationError),
    (429, "requests", llm.RateLimitError),
    (400, "server_error", llm.InvalidRequestError),
    (500, "invalid_request_error", llm.ProviderUnavailableError),
    (413, "rate_limit_exceeded", llm.InvalidRequestError),
]


@pytest.mark.row("ERRO-06", "ERRO-07", "ERRO-11", "ERRO-12", "ERRO-23", "ERRO-29")
@pytest.mark.parametrize(("status", "code", "kind"), CODES)
@pytest.mark.parametrize("field", ["code", "type"])
def test_codes(status, code, kind, field):
    got = error(status, {"error": {"message": "no", field: code}})
    assert type(got) is kind
    assert got.provider_code == code


TEXTS = [
    (400, "This model's maximum context length is 8192 tokens. However, ...", "context_length"),
    (413, "This model's maximum context length is 8192 tokens.", "context_length"),
    (400, "Your input exceeds the context window of this model.", "context_length"),
    (400, "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
    (400, "prompt too long; exceeded max context length by 5 tokens", "context_length"),
    (
        500,
        "the request exceeds the available context size, try increasing it",
        "context_length",
    ),
    (
        400,
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "context_length",
    ),
    (
        400,
        "This model's maximum prompt length is 131072 but the request contains 531490 tokens.",
        "context_length",
    ),
    (400, "Input is too long for requested model.", "context_length"),
    (
        400,
        "input length and `max_tokens` exceed context limit: 198214 + 8192 > 200000, decrease ...",
        "context_length",
    ),
    (422, "`inputs` must have less than 4096 tokens. Given: 5000", "context_length"),
    (
        422,
        "`inputs` tokens + `max_new_tokens` must be <= 8192. Given: 9000 `inputs` tokens",
        "context_length",
    ),
    (400, "API key not valid. Please pass a valid API key.", "auth_error"),
    (400, "Incorrect API key provided: xa***.", "auth_error"),
    (403, "Invalid API key", "auth_error"),
    (400, "Your credit balance is too low to access the API.", "quota_exceeded"),
    (429, "Insufficient balance", "quota_exceeded"),
    (400, "The response was filtered due to Azure's content management policy", "content_filter"),
    (400, "Output blocked by content filtering policy", "content_filter"),
    (400, "nope-1 is not a valid model ID", "not_found"),
    (400, "The model `gpt-9` does not exist", "not_found"),
    (503, "The model is overloaded. Please try again later.", "overloaded"),
    (429, "Overloaded", "overloaded"),
]

HARMLESS = [
    (422, "`inputs` cannot be empty"),
    (400, "max_tokens is too large: 99999. This model supports at most 16384 completion tokens."),
    (400, "`max_tokens` must be less than or equal to `8192`, the maximum value"),
    (400, "Invalid 'messages[0].name': string too long. Expected a maximum length 64."),
    (400, "Array above maximum length: 2048. Expected at most 128 tools."),
    (400, "messages.0.content: maximum of 100 images allowed"),
    (400, "Unsupported parameter: 'context_length'"),
    (400, "Invalid value for 'method': overloaded functions are not supported"),
    (400, "stop: the model does not support more than 4 stop sequences"),
    (400, "tool 'model' does not exist in tools"),
    (400, "metadata.api_key: Extra inputs are not permitted"),
]


@pytest.mark.row("ERRO-07", "ERRO-06", "ERRO-11", "ERRO-12", "ERRO-29")
@pytest.mark.parametrize(("status", "text", "code"), TEXTS)
def test_documented_texts(status, text, code):
    assert error(status, {"error": {"message": text}}).code == code


@pytest.mark.row("ERRO-07")
@pytest.mark.parametrize(("status", "text"), HARMLESS)
def test_texts_that_only_look_alike(status, text):
    assert type(error(status, {"error": {"message": text}})) is llm.InvalidRequestError


@pytest.mark.row("ERRO-11")
def test_googles_quota_text_at_a_rate_limit_stays_a_rate_limit():
    body = {"error": {"code": 429, "message": "You exceeded your current quota"}}
    assert type(error(429, body)) is llm.RateLimitError


@pytest.mark.row("ERRO-12")
def test_a_code_may_be_called_error_code():
    got = error(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "no such endpoint"})
    assert isinstance(got, llm.ModelNotFoundError)
    assert (got.provider_code, got.message) == ("ENDPOINT_NOT_FOUND", "no such endpoint")


@pytest.mark.row("ERRO-06")
def test_a_reason_deeper_down_says_that_the_key_is_wrong():
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = {"error": {"code": 400, "message": "Bad", "status": "INVALID", "details": details}}
    assert type(error(400, body)) is llm.AuthenticationError


@pytest.mark.row("ERRO-29")
def test_azures_inner_code_says_that_it_was_filtered():
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    got = error(400, {"error": {"message": "Filtered", "code": None, "innererror": inner}})
    assert type(got) is llm.ContentFilterError


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "x", "code": 502}}, llm.ProviderUnavailableError),
        ({"error": {"message": "x", "code": "429"}}, llm.RateLimitError),
        ({"error": {"message": "x", "status_code": 400}}, llm.InvalidRequestError),
        ({"error": {"message": "x", "type": "server_error"}}, llm.ProviderUnavailableError),
        ({"type": "error", "error": {"type": "overloaded_error"}}, llm.OverloadedError),
        ({"type": "error", "error": {"type": "api_error"}}, llm.ProviderUnavailableError),
        ({"type": "error", "error": {"type": "not_found_error"}}, llm.ModelNotFoundError),
        ({"type": "error", "code": "rate_limit_exceeded"}, llm.RateLimitError),
        ({"response": {"error": {"code": "server_error"}}}, llm.ProviderUnavailableError),
        ({"error": {"message": "Overloaded"}}, llm.OverloadedError),
        ({"error": "something else"}, llm.ProviderError),
        (b"", llm.ProviderError),
    ],
)
def test_errors_inside_a_good_answer(body, kind):
    got = error(200, body)
    assert type(got) is kind
    assert got.status == 200


@pytest.mark.row("ERRO-07")
def test_a_dialect_adds_its_own_words():
    rules = COMMON_RULES.extended(
        codes={"ThrottlingException": llm.RateLimitError},
        statuses={"Broken": 503},
        patterns=((r"maximum context length of tools", llm.UnsupportedOptionError),),
    )
    throttled = error(400, b"{}", rules, x_amzn_errortype="ThrottlingException:http://x/")
    assert type(throttled) is llm.RateLimitError
    assert type(error(200, {"type": "broken"}, rules)) is llm.ProviderUnavailableError
    text = {"message": "maximum context length of tools"}
    assert type(error(400, text, rules)) is llm.UnsupportedOptionError
    assert type(error(400, text)) is llm.ContextLengthError
    assert type(error(400, text, ErrorRules())) is llm.InvalidRequestError


@pytest.mark.row("RETR-06")
def test_x_should_retry_decides():
    assert error(503, x_should_retry="false").retryable is False
    assert error(400, x_should_retry="True").retryable is True
    assert error(503, x_should_retry="maybe").retryable is True
    assert error(400).retryable is False


# --- the message and the codes -------------------------------------------------------------------

SHAPES = [
    ({"error": {"message": "text", "type": "t", "code": "c", "param": "p"}}, "text", "c", "t"),
    ({"error": "text"}, "text", None, None),
    ({"error": "Unauthorized", "message": "text", "statusCode": 401}, "text", None, "Unauthorized"),
    ({"error": "invalid_grant", "error_description": "text"}, "text", None, "invalid_grant"),
    ({"error": "text", "error_type": "overloaded"}, "text", None, "overloaded"),
    ({"code": "Client error", "error": "text"}, "text", "Client error", None),
    ({"error": ["a", "b"]}, "a; b", None, None),
    ({"message": "text"}, "text", None, None),
    ({"Message": "text"}, "text", None, None),
    ({"__type": "com.amazon.coral#FooException", "message": "text"}, "text", None, "FooException"),
    ({"object": "error", "message": "text", "type": "t", "code": 3051}, "text", "3051", "t"),
    ({"object": "error", "message": {"detail": [{"msg": "text"}]}}, "text", None, None),
    ({"detail": "text"}, "text", None, None),
    ({"detail": {"message": "text", "code": "c"}}, "text", "c", None),
    (
        {"detail": [{"loc": ["body", "messages", 0], "msg": "required", "type": "missing"}]},
        "body.messages.0: required",
        None,
        None,
    ),
    ({"errors": ["a", {"message": "b", "code": 7}]}, "a; b", "7", None),
    ([{"error": {"code": 400, "message": "text", "status": "BAD"}}], "text", "400", "BAD"),
    ({"type": "error", "error": {"type": "t", "message": "text"}}, "text", None, "t"),
    ({"type": "error", "code": "c", "message": "text"}, "text", "c", None),
    ({"type": "e", "response": {"error": {"code": "c", "message": "text"}}}, "text", "c", "e"),
    (
        {"error": {"message": "Failed", "metadata": {"raw": '{"error": {"message": "text"}}'}}},
        "Failed: text",
        None,
        None,
    ),
    ({"error": {"message": "Failed", "metadata": {"raw": "text"}}}, "Failed: text", None, None),
    ({"error": {"message": '{"error": {"message": "text", "code": 5}}'}}, "text", "5", None),
    ({"error": {"message": "{cut"}}, "{cut", None, None),
    ({"error": '{"error": {"message": "text", "type": "t", "code": 400}}'}, "text", "400", "t"),
    ({"error": "{cut"}, "{cut", None, None),
    ({"error": {"message": "a", "metadata": {"raw": "<html>b</html>"}}}, "a", None, None),
    ({"error": {"code": "c"}}, 'HTTP 400 from api.test: {"error":{"code":"c"}}', "c", None),
    ({"error": None, "message": None}, None, None, None),
    (b'data: {}\n\nevent: error\ndata: {"message": "m"}\n\ndata: [DONE]\n\n', "m", None, None),
    (b'error: {"message": "text"}', "text", None, None),
    (b"  upstream connect error  ", "upstream connect error", None, None),
    (b"x" * 900, "x" * 500, None, None),
    (b"\xff\xfe", "\ufffd\ufffd", None, None),
    (b'"text"', "text", None, None),
    (b"<!DOCTYPE html><html><h1>Bad</h1></html>", "HTTP 400 from api.test", None, None),
    (b"\n<html>", "HTTP 400 from api.test", None, None),
    (b"<?xml version='1.0'?><Error/>", "HTTP 400 from api.test", None, None),
    (b"", "HTTP 400 from api.test", None, None),
    (b"null", "HTTP 400 from api.test", None, None),
]  # fmt: skip


@pytest.mark.row("ERRO-25", "ERRO-23")
@pytest.mark.parametrize(("body", "message", "code", "kind"), SHAPES)
def test_shapes_of_bodies(body, message, code, kind):
    found = problem(body)
    assert (found.code, found.type) == (code, kind)
    if message is not None:
        assert found.message == message


@pytest.mark.row("ERRO-25")
def test_without_a_host():
    assert read_problem(503, {}, b"", now=NOW).message == "HTTP 503"
    page = read_problem(502, {":authority": "api.test:8080"}, b"<html>", now=NOW)
    assert page.message == "HTTP 502 from api.test:8080"


@pytest.mark.row("ERRO-25")
def test_what_a_problem_holds():
    body = {"error": {"message": "m", "param": "top_p", "code": 400}, "request_id": "r"}
    found = problem(body)
    assert (found.param, found.request_id, found.status_code_in_body) == ("top_p", "r", 400)
    assert found.body == body
    assert problem(b"text").body == "text"


@pytest.mark.row("ERRO-25")
@pytest.mark.parametrize(
    "name", ["x_request_id", "request_id", "x_amzn_requestid", "apim_request_id"]
)
def test_request_ids_in_headers(name):
    assert problem({"request_id": "body"}, **{name: "header"}).request_id == "header"


@pytest.mark.row("ERRO-25")
def test_the_type_in_the_header_of_amazon():
    found = problem({"message": "m"}, x_amzn_errortype="ValidationException:http://internal/")
    assert (found.type, found.message) == ("ValidationException", "m")
    assert error(400, {"message": "m"}, x_amzn_errortype="X").provider_code == "X"
    named = "aws.some#RequestExpired:http://internal/"
    assert error(400, {"message": "m"}, x_amzn_errortype=named).provider_code == "RequestExpired"


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "detail",
                    "errors",
                    "code",
                    "type",
                    "status",
                    "response",
                    "metadata",
                    "raw",
                    "details",
                    "retryDelay",
                    "reason",
                    "innererror",
                    "loc",
                    "msg",
                    "request_id",
                    "param",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.row("ERRO-25")
@given(
    status=st.integers(200, 599), body=_ANY_JSON.map(json.dumps).map(str.encode) | st.binary(),
    retry_after=st.text(max_size=30),
)  # fmt: skip
def test_no_body_is_too_strange(status, body, retry_after):
    got = error(status, body, retry_after=retry_after)
    assert got.message.strip()
    assert got.status == status
    assert got.retry_after is None or got.retry_after >= 0
    assert isinstance(got.provider_code, str | None)


@pytest.mark.row("ERRO-25")
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"error":' * 900 + b"1" + b"}" * 900,
        b'{"error":{"metadata":{"raw":' * 300 + b"1" + b"}}}" * 300,
        b'{"message":' * 900 + b"[" * 50 + b"]" * 50 + b"}" * 900,
    ],
)
def test_no_body_is_too_deep(body):
    assert error(500, body).message.startswith(("HTTP 500", "[[[", '{"message":'))


# --- when to come back ---------------------------------------------------------------------------

LATER = "Sun, 06 Nov 1994 08:50:07 GMT"
DELAYS = [
    ({"retry_after": "7"}, 7.0),
    ({"retry_after": " 0.25 "}, 0.25),
    ({"retry_after": "0"}, 0.0),
    ({"retry_after": "-3"}, 0.0),
    ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
    ({"retry_after_ms": "soon", "retry_after": "9"}, 9.0),
    ({"retry_after": LATER}, 30.0),
    ({"retry_after": LATER, "date": "Sun, 06 Nov 1994 08:50:02 GMT"}, 5.0),
    ({"retry_after": LATER, "date": "who knows"}, 30.0),
    ({"retry_after": "Sunday, 06-Nov-94 08:50:07 GMT"}, 30.0),
    ({"retry_after": "Sun Nov  6 08:50:07 1994"}, 30.0),
    ({"retry_after": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0.0),
    ({"retry_after": "soon"}, None),
    ({"retry_after": ""}, None),
    ({"retry_after": "nan"}, None),
    ({"retry_after": "inf"}, None),
    ({"retry_after": "1e9"}, None),
    ({"retry_after": "Sun, 99 Foo 99999 99:99:99 GMT"}, None),
    ({}, None),
]


@pytest.mark.row("RETR-06", "RATE-13")
@pytest.mark.parametrize(("headers", "seconds"), DELAYS)
def test_when_to_come_back(headers, seconds):
    assert error(429, b"", **headers).retry_after == seconds


@pytest.mark.row("RATE-13")
@pytest.mark.parametrize(
    ("delay", "seconds"), [("34.4s", 34.4), ("0s", 0.0), ("-1s", 0.0), ("x", None), (5, None)]
)
def test_googles_retry_delay(delay, seconds):
    details = [None, {"reason": "X"}, {"@type": "google.rpc.RetryInfo", "retryDelay": delay}]
    body = {"error": {"code": 429, "message": "m", "details": details}}
    assert error(429, body).retry_after == seconds
    assert error(429, [body], retry_after="2").retry_after == 2.0


@pytest.mark.row("RATE-13")
def test_an_empty_bucket_says_when_to_come_back_where_nothing_else_does():
    empty = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m30s"}
    assert error(429, b"", **empty).retry_after == 90.0
    assert error(429, b"", **empty, retry_after="2").retry_after == 2.0
    assert error(503, b"", **empty).retry_after is None
    left = {**empty, "x_ratelimit_remaining_requests": "3"}
    assert error(429, b"", **left).retry_after is None


# --- recorded ------------------------------------------------------------------------------------


@pytest.mark.row("ERRO-25", "ERRO-07")
@requires_corpus
def test_recorded_errors():
    cases = [case for case in load_cases() if case.expect["error"] and case.status != 200]
    assert len(cases) > 10
    for case in cases:
        got = http_error(case.status, case.headers, case.body, now=NOW, provider=case.provider)
        check_expect(got, case)
        expect = case.expect["error"]
        assert got.body == json.loads(case.body)
        if expect.get("code") or expect["type"]:
            assert got.provider_code == str(expect.get("code") or expect["type"])
