"""Errors in the vendors' own words: class, code, whether to retry, and what is shown of them.

The bodies are written after the vendors' pages of errors and what their servers answer.
"""

from __future__ import annotations

import json

import pytest
from support.compatible import dialect_of, entries, sse
from support.corpus import decode_bytes

from beluga_llm import (
    AIMessage,
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)

NOW = 1_750_000_000.0


def openai(message, code=None, type="invalid_request_error", **more):
    return {"error": {"message": message, "type": type, "param": None, "code": code, **more}}


def cloudflare(code, message):
    return {"result": None, "success": False, "errors": [{"code": code, "message": message}],
            "messages": []}  # fmt: skip


# entry, status, body, class, the vendor's code, what is shown
CASES = [
    ("groq", 401, openai("Invalid API Key", "invalid_api_key"),
     AuthenticationError, "invalid_api_key", "Invalid API Key"),
    ("groq", 400, openai("Tool choice is required, but model did not call a tool",
                         "tool_use_failed", failed_generation="maybe"),
     InvalidRequestError, "tool_use_failed", "did not call a tool"),
    ("groq", 429, openai("Rate limit reached for model `x` on tokens per minute (TPM)",
                         "rate_limit_exceeded", "tokens"),
     RateLimitError, "rate_limit_exceeded", "tokens per minute"),
    ("groq", 413, openai("Request too large for model `x` on tokens per minute (TPM)",
                         "rate_limit_exceeded", "tokens"),
     InvalidRequestError, "rate_limit_exceeded", "Request too large"),
    ("groq", 404, openai("The model `x` does not exist or you do not have access to it.",
                         "model_not_found"),
     ModelNotFoundError, "model_not_found", "does not exist"),
    ("groq", 400, openai("Please reduce the length of the messages or completion.",
                         "context_length_exceeded"),
     ContextLengthError, "context_length_exceeded", "reduce the length"),
    ("groq", 498, openai("Flex tier capacity exceeded", "capacity_exceeded"),
     OverloadedError, "capacity_exceeded", "Flex tier"),
    ("groq", 503, openai("Service Unavailable", None, "internal_server_error"),
     ProviderUnavailableError, "internal_server_error", "Service Unavailable"),
    ("together", 401, openai("Invalid API key provided.", "invalid_api_key"),
     AuthenticationError, "invalid_api_key", "Invalid API key"),
    ("together", 422, openai("Input validation error: `inputs` tokens + `max_new_tokens` must be "
                             "<= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`"),
     ContextLengthError, "invalid_request_error", "max_new_tokens"),
    ("together", 403, openai("Input token count + max_tokens parameter must be less than the "
                             "context length of the model being queried."),
     ContextLengthError, "invalid_request_error", "Input token count"),
    ("together", 402, openai("You have reached your maximum spending limit."),
     QuotaExceededError, "invalid_request_error", "spending limit"),
    ("together", 503, openai("The server is overloaded. Please try again later.", None, "overload"),
     OverloadedError, "overload", "overloaded"),
    ("fireworks", 412, openai("Account acme is suspended, possibly due to reaching the monthly "
                              "spending limit or failure to pay past invoices.",
                              "PRECONDITION_FAILED", "error"),
     QuotaExceededError, "PRECONDITION_FAILED", "is suspended"),
    ("fireworks", 404, openai("Model not found, inaccessible, and/or not deployed", "NOT_FOUND"),
     ModelNotFoundError, "NOT_FOUND", "Model not found"),
    ("fireworks", 401, {"error": "unauthorized"}, AuthenticationError, None, "unauthorized"),
    ("deepseek", 401, openai("Authentication Fails, Your api key: ****-key is invalid",
                             "invalid_request_error", "authentication_error"),
     AuthenticationError, "invalid_request_error", "Authentication Fails"),
    ("deepseek", 402, openai("Insufficient Balance", "invalid_request_error", "unknown_error"),
     QuotaExceededError, "invalid_request_error", "Insufficient Balance"),
    ("deepseek", 400, openai("Model Not Exist", "invalid_request_error"),
     ModelNotFoundError, "invalid_request_error", "Model Not Exist"),
    ("deepseek", 400, openai("This model's maximum context length is 131072 tokens. However, you "
                             "requested 140000 tokens", "invalid_request_error"),
     ContextLengthError, "invalid_request_error", "maximum context length"),
    ("deepseek", 400, openai("deepseek-reasoner does not support this tool_choice",
                             "invalid_request_error"),
     InvalidRequestError, "invalid_request_error", "tool_choice"),
    ("deepseek", 503, openai("Server overloaded", "service_unavailable_error"),
     OverloadedError, "service_unavailable_error", "overloaded"),
    ("xai", 400, {"code": "Client specified an invalid argument",
                  "error": "Incorrect API key provided: te***ey. You can obtain an API key from "
                           "https://console.x.ai."},
     AuthenticationError, "Client specified an invalid argument", "Incorrect API key"),
    ("xai", 404, {"code": "Some requested entity was not found",
                  "error": "The model grok-x does not exist or your team does not have access."},
     ModelNotFoundError, "Some requested entity was not found", "grok-x does not exist"),
    ("xai", 400, {"code": "Client specified an invalid argument",
                  "error": "This model's maximum prompt length is 131072 but the request contains "
                           "537812 tokens."},
     ContextLengthError, "Client specified an invalid argument", "maximum prompt length"),
    ("xai", 429, {"code": "Some resource has been exhausted",
                  "error": "Your team has either used all available credits or reached its monthly "
                           "spending limit."},
     QuotaExceededError, "Some resource has been exhausted", "used all available credits"),
    ("xai", 429, {"code": "Some resource has been exhausted", "error": "Too many requests"},
     RateLimitError, "Some resource has been exhausted", "Too many requests"),
    ("openrouter", 401, {"error": {"code": 401, "message": "No auth credentials found"}},
     AuthenticationError, "401", "No auth credentials"),
    ("openrouter", 402, {"error": {"code": 402, "message": "Insufficient credits. Add more."}},
     QuotaExceededError, "402", "Insufficient credits"),
    ("openrouter", 403, {"error": {"code": 403, "message": "openai/x requires moderation on "
                         'OpenAI. Your input was flagged for "violence".',
                         "metadata": {"reasons": ["violence"], "flagged_input": "..."}}},
     ContentFilterError, "403", "was flagged"),
    ("openrouter", 400, {"error": {"code": 400, "message": "acme/x is not a valid model ID"}},
     ModelNotFoundError, "400", "is not a valid model ID"),
    ("openrouter", 429, {"error": {"code": 429, "message": "Provider returned error",
                                   "metadata": {"raw": "acme/x is rate-limited upstream.",
                                                "provider_name": "Acme"}}},
     RateLimitError, "429", "rate-limited upstream"),
    ("openrouter", 502, {"error": {"code": 502, "message": "Provider returned error"}},
     ProviderUnavailableError, "502", "Provider returned error"),
    ("perplexity", 401, {"error": {"message": "Invalid API key provided.",
                                   "type": "invalid_api_key", "code": 401}},
     AuthenticationError, "401", "Invalid API key"),
    ("perplexity", 400, {"error": {"message": "Invalid model 'x'. Permitted models can be found "
                                   "in the documentation.", "type": "invalid_model", "code": 400}},
     ModelNotFoundError, "400", "Invalid model"),
    ("perplexity", 400, {"error": {"message": "After the (optional) system message(s), user or "
                                   "tool message(s) should alternate with assistant message(s).",
                                   "type": "invalid_message", "code": 400}},
     InvalidRequestError, "400", "should alternate"),
    ("huggingface", 400, openai("The requested model 'x' is not supported by any provider you "
                                "have enabled.", "model_not_supported"),
     ModelNotFoundError, "model_not_supported", "not supported by any provider"),
    ("huggingface", 401, {"error": "Invalid username or password."},
     AuthenticationError, None, "Invalid username"),
    ("huggingface", 402, {"error": "You have exceeded your monthly included credits."},
     QuotaExceededError, None, "exceeded your monthly"),
    ("qwen", 401, openai("Incorrect API key provided. ", "invalid_api_key"),
     AuthenticationError, "invalid_api_key", "Incorrect API key"),
    ("qwen", 400, openai("Access denied, please make sure your account is in good standing.",
                         "Arrearage", "Arrearage"),
     QuotaExceededError, "Arrearage", "good standing"),
    ("qwen", 400, openai("Output data may contain inappropriate content.",
                         "data_inspection_failed", "data_inspection_failed"),
     ContentFilterError, "data_inspection_failed", "inappropriate content"),
    ("qwen", 400, openai("<400> InternalError.Algo.InvalidParameter: Range of input length should "
                         "be [1, 129024]", "invalid_parameter_error"),
     ContextLengthError, "invalid_parameter_error", "Range of input length"),
    ("qwen", 429, openai("You exceeded your current quota, please check your plan and billing "
                         "details.", "insufficient_quota", "insufficient_quota"),
     RateLimitError, "insufficient_quota", "exceeded your current quota"),
    ("qwen", 404, openai("The model `x` does not exist or you do not have access to it.",
                         "model_not_found"),
     ModelNotFoundError, "model_not_found", "does not exist"),
    ("sambanova", 404, openai("Model not found", None, "not_found"),
     ModelNotFoundError, "not_found", "Model not found"),
    ("sambanova", 429, openai("Rate limit exceeded", "rate_limit_exceeded"),
     RateLimitError, "rate_limit_exceeded", "Rate limit exceeded"),
    ("cerebras", 401, {"message": "Wrong API Key", "type": "invalid_request_error",
                       "param": "api_key", "code": "wrong_api_key"},
     AuthenticationError, "wrong_api_key", "Wrong API Key"),
    ("cerebras", 404, {"message": "Model x does not exist or you do not have access to it.",
                       "type": "not_found_error", "param": "model", "code": "model_not_found"},
     ModelNotFoundError, "model_not_found", "does not exist"),
    ("cerebras", 400, {"message": "Please reduce the length of the messages or completion. Current "
                       "length is 9000 while limit is 8192", "type": "invalid_request_error",
                       "param": "messages", "code": "context_length_exceeded"},
     ContextLengthError, "context_length_exceeded", "reduce the length"),
    ("cerebras", 429, {"message": "Requests per minute limit exceeded - too many requests sent.",
                       "type": "too_many_requests_error", "param": "quota",
                       "code": "request_quota_exceeded"},
     RateLimitError, "request_quota_exceeded", "per minute limit exceeded"),
    ("nvidia", 401, {"status": 401, "title": "Unauthorized", "detail": "Invalid credentials"},
     AuthenticationError, None, "Invalid credentials"),
    ("nvidia", 404, "404 page not found", ModelNotFoundError, None, "404 page not found"),
    ("moonshot", 401, {"error": {"message": "Invalid Authentication",
                                 "type": "invalid_authentication_error"}},
     AuthenticationError, "invalid_authentication_error", "Invalid Authentication"),
    ("moonshot", 429, {"error": {"message": "You exceeded your current token quota: 0",
                                 "type": "exceeded_current_quota_error"}},
     QuotaExceededError, "exceeded_current_quota_error", "token quota"),
    ("moonshot", 429, {"error": {"message": "The engine is currently overloaded, please try again "
                                 "later", "type": "engine_overloaded_error"}},
     OverloadedError, "engine_overloaded_error", "overloaded"),
    ("moonshot", 429, {"error": {"message": "Your account reached max request",
                                 "type": "rate_limit_reached_error"}},
     RateLimitError, "rate_limit_reached_error", "max request"),
    ("moonshot", 400, {"error": {"message": "Invalid request: Your request exceeded model token "
                                 "limit: 8192", "type": "invalid_request_error"}},
     ContextLengthError, "invalid_request_error", "token limit"),
    ("moonshot", 400, {"error": {"message": "The request was rejected because it was considered "
                                 "high risk", "type": "content_filter"}},
     ContentFilterError, "content_filter", "high risk"),
    ("zai", 429, {"error": {"code": "1113", "message": "Insufficient balance or no resource "
                            "package. Please recharge."}},
     QuotaExceededError, "1113", "Insufficient balance"),
    ("zai", 429, {"error": {"code": "1302", "message": "Rate limit reached for requests"}},
     RateLimitError, "1302", "Rate limit reached"),
    ("zai", 400, {"error": {"code": "1211", "message": "Unknown Model, please check the code."}},
     ModelNotFoundError, "1211", "Unknown Model"),
    ("zai", 400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}},
     ContextLengthError, "1261", "exceeds max length"),
    ("zai", 400, {"error": {"code": "1301", "message": "System detected potentially unsafe or "
                            "sensitive content."}},
     ContentFilterError, "1301", "sensitive content"),
    ("zai", 401, {"error": {"code": "401", "message": "token expired or incorrect"}},
     AuthenticationError, "401", "token expired"),
    ("databricks", 403, {"error_code": "403", "message": "Invalid access token."},
     PermissionDeniedError, "403", "Invalid access token"),
    ("databricks", 400, {"error_code": "BAD_REQUEST", "message": json.dumps(
        {"message": "prompt is too long: 210000 tokens > 200000 maximum"})},
     ContextLengthError, "BAD_REQUEST", "prompt is too long: 210000 tokens > 200000 maximum"),
    ("databricks", 404, {"error_code": "ENDPOINT_NOT_FOUND",
                         "message": "The given endpoint does not exist."},
     ModelNotFoundError, "ENDPOINT_NOT_FOUND", "does not exist"),
    ("databricks", 429, {"error_code": "REQUEST_LIMIT_EXCEEDED",
                         "message": "REQUEST_LIMIT_EXCEEDED: Exceeded workspace rate limit"},
     RateLimitError, "REQUEST_LIMIT_EXCEEDED", "rate limit"),
    ("snowflake", 401, {"code": "390303", "message": "Invalid OAuth access token.",
                        "success": False},
     AuthenticationError, "390303", "Invalid OAuth"),
    ("snowflake", 400, {"message": 'unknown model "x"', "request_id": "r-1"},
     InvalidRequestError, None, "unknown model"),
    ("cloudflare", 400, cloudflare(5007, "No such model @cf/x or task"),
     ModelNotFoundError, "5007", "No such model"),
    ("cloudflare", 400, cloudflare(5021, "The estimated number of input and maximum output tokens "
                                   "(155740) exceeded this model context window limit (128000)."),
     ContextLengthError, "5021", "context window limit"),
    ("cloudflare", 413, cloudflare(3010, "AiError: The estimated number of input and maximum "
                                   "output tokens (9) exceeded this model context window limit "
                                   "(8)"),
     ContextLengthError, "3010", "context window limit"),
    ("cloudflare", 429, cloudflare(3036, "you have used up your daily free allocation of 10,000 "
                                   "neurons"),
     QuotaExceededError, "3036", "daily free allocation"),
    ("cloudflare", 429, cloudflare(3040, "Capacity temporarily exceeded, please try again."),
     OverloadedError, "3040", "Capacity"),
    ("cloudflare", 401, cloudflare(10000, "Authentication error"),
     AuthenticationError, "10000", "Authentication error"),
    ("github-models", 400, {"error": {"code": "unknown_model", "message": "Unknown model: x",
                                      "details": "Unknown model: x"}},
     ModelNotFoundError, "unknown_model", "Unknown model"),
    ("github-models", 413, {"error": {"code": "tokens_limit_reached", "message": "Request body too "
                                      "large for gpt-4o model. Max size: 8000 tokens."}},
     ContextLengthError, "tokens_limit_reached", "too large"),
    ("github-models", 401, {"error": {"code": "unauthorized", "message": "Bad credentials"}},
     AuthenticationError, "unauthorized", "Bad credentials"),
    ("vercel", 401, openai("Invalid API key", None, "authentication_error"),
     AuthenticationError, "authentication_error", "Invalid API key"),
    ("vercel", 404, openai("Model 'acme/x' not found", None, "model_not_found"),
     ModelNotFoundError, "model_not_found", "not found"),
    ("litellm", 400, openai("litellm.BadRequestError: litellm.ContextWindowExceededError: too big",
                            "400", None),
     ContextLengthError, "400", "ContextWindowExceededError"),
    ("litellm", 400, openai("litellm.ContentPolicyViolationError: no", "400", None),
     ContentFilterError, "400", "ContentPolicyViolationError"),
    ("litellm", 400, openai("Budget has been exceeded! Current cost: 2.0, Max budget: 1.0", "400",
                            "budget_exceeded"),
     QuotaExceededError, "400", "Max budget"),
    ("litellm", 401, openai("Authentication Error, Invalid proxy server token passed.", "401",
                            "auth_error"),
     AuthenticationError, "401", "Invalid proxy server token"),
    ("bifrost", 400, {"is_bifrost_error": True, "status_code": 400, "error":
                      {"message": "model should be in provider/model format", "type": None}},
     InvalidRequestError, None, "provider/model format"),
    ("bifrost", 429, {"is_bifrost_error": False, "status_code": 429, "error":
                      {"message": "slow down", "code": "rate_limit_exceeded"}},
     RateLimitError, "rate_limit_exceeded", "slow down"),
    ("vllm", 404, {"object": "error", "message": "The model `x` does not exist.",
                   "type": "NotFoundError", "param": None, "code": 404},
     ModelNotFoundError, "404", "does not exist"),
    ("vllm", 400, {"error": {"message": "This model's maximum context length is 4096 tokens. "
                             "However, you requested 5000 tokens", "type": "BadRequestError",
                             "param": None, "code": 400}},
     ContextLengthError, "400", "maximum context length"),
    ("vllm", 401, {"error": "Unauthorized"}, AuthenticationError, None, "Unauthorized"),
    ("lmstudio", 400, {"error": "'response_format.type' must be 'json_schema' or 'text'"},
     InvalidRequestError, None, "response_format.type"),
    ("lmstudio", 400, {"error": "Trying to keep the first 5406 tokens when context the overflows. "
                       "However, the model is loaded with context length of only 1056 tokens, "
                       "which is not enough."},
     ContextLengthError, None, "context length of only"),
    ("lmstudio", 404, {"error": {"message": "No models loaded. Please load a model.",
                                 "type": "invalid_request_error", "code": "model_not_found"}},
     ModelNotFoundError, "model_not_found", "No models loaded"),
    ("llamacpp", 503, {"error": {"code": 503, "message": "Loading model",
                                 "type": "unavailable_error"}},
     ProviderUnavailableError, "503", "Loading model"),
    ("llamacpp", 400, {"error": {"code": 400, "message": "the request exceeds the available "
                                 "context size", "type": "exceed_context_size_error",
                                 "n_prompt_tokens": 9000, "n_ctx": 4096}},
     ContextLengthError, "400", "available context size"),
    ("llamacpp", 401, {"error": {"code": 401, "message": "Invalid API Key",
                                 "type": "authentication_error"}},
     AuthenticationError, "401", "Invalid API Key"),
]  # fmt: skip
RETRYABLE = (RateLimitError, OverloadedError, ProviderUnavailableError)


def error_of(entry, status, body, *, api=None, **headers):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    options = {} if api is None else {"api": api}
    return dialect_of(entry, **options).error(status, headers, data, now=NOW)


@pytest.mark.row("ERRO-05", "ERRO-11", "ERRO-12", "ERRO-18", "ERRO-21", "TEST-13", "PROV-03")
@pytest.mark.parametrize(
    ("entry", "status", "body", "kind", "code", "shown"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{case[3].__name__}" for case in CASES],
)
def test_an_error_answer(entry, status, body, kind, code, shown):
    error = error_of(entry, status, body, **{"x-request-id": "req_1", "retry-after": "7"})
    assert type(error) is kind
    assert (error.provider, error.status, error.provider_code) == (entry, status, code)
    assert error.retryable is issubclass(kind, RETRYABLE)
    assert shown in error.message
    assert error.request_id in ("req_1", "r-1")
    assert error.retry_after == 7


@pytest.mark.row("TEST-13", "PROV-03")
def test_every_row_has_errors_of_its_own():
    assert {case[0] for case in CASES} == set(entries())


@pytest.mark.row("PROV-03", "PROV-31")
@pytest.mark.parametrize(("entry", "status", "body", "kind", "code", "shown"), [
    case for case in CASES if case[0] in ("deepseek", "xai", "openrouter", "lmstudio")
])  # fmt: skip
def test_the_same_in_the_responses_api(entry, status, body, kind, code, shown):
    error = error_of(entry, status, body, api="responses")
    assert (type(error), error.provider_code, error.provider) == (kind, code, entry)
    assert shown in error.message


TEXT = {"choices": [{"index": 0, "delta": {"content": "maybe"}, "finish_reason": None}]}
IN_STREAMS = [
    # Groq: an event of its own after text, and no [DONE]
    ("groq", sse(TEXT, 'event: error\ndata: {"error": {"message": "Tool choice is required, but '
                 'model did not call a tool", "type": "invalid_request_error", "code": '
                 '"tool_use_failed", "status_code": 400}}', end=b""),
     InvalidRequestError, "tool_use_failed"),
    # OpenRouter: beside the choices
    ("openrouter", sse(": OPENROUTER PROCESSING", TEXT, {
        "id": "gen-1", "error": {"code": 502, "message": "Provider disconnected"},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}),
     ProviderUnavailableError, "502"),
    # llama.cpp: a field of the stream's own, which a reader of `data` never sees
    ("llamacpp", sse(TEXT, 'error: {"code": 500, "message": "slot failed", "type": "server_error"}',
                     end=b""),
     ProviderUnavailableError, "500"),
    ("llamacpp", sse(TEXT, {"error": {"code": 400, "message": "exceeds the available context size",
                                      "type": "exceed_context_size_error"}}, end=b""),
     ContextLengthError, "400"),
    # vLLM: an error as the frame
    ("vllm", sse(TEXT, {"error": {"message": "engine died", "type": "InternalServerError",
                                  "code": 500}}),
     ProviderUnavailableError, "500"),
    ("xai", sse(TEXT, {"code": "The service is currently unavailable",
                       "error": "The model is at capacity"}, end=b""),
     ProviderError, "The service is currently unavailable"),
]  # fmt: skip


@pytest.mark.row("STRE-22", "PROV-34", "PAIN-02")
@pytest.mark.parametrize(("entry", "body", "kind", "code"), IN_STREAMS)
def test_an_error_inside_a_stream(entry, body, kind, code):
    dialect = dialect_of(entry)
    for cut in range(1, len(body)):
        error = decode_bytes(dialect, body, cuts=[cut])
        assert not isinstance(error, AIMessage)
        assert type(error) is kind
        assert (error.provider, error.provider_code, error.partial.text) == (entry, code, "maybe")


@pytest.mark.row("STRE-22", "PROV-34")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("entry", entries())
def test_an_error_with_status_200(entry, stream):
    body = json.dumps({"error": {"message": "No.", "type": "rate_limit_error", "code": None}})
    error = decode_bytes(dialect_of(entry), body.encode(), stream=stream)
    assert type(error) is RateLimitError
    assert error.provider == entry


@pytest.mark.row("PROV-34", "STRE-22")
@pytest.mark.parametrize("entry", ["snowflake", "openrouter", "groq"])
def test_a_plain_answer_where_a_stream_was_asked_for(entry):
    message = {"role": "assistant", "content": "Hello!"}
    choice = {"message": message, "finish_reason": "stop"}
    whole = {"object": "chat.completion", "choices": [choice]}
    for kind in ("text/event-stream", "application/json"):
        got = decode_bytes(
            dialect_of(entry), json.dumps(whole).encode(), headers={"content-type": kind}
        )
        assert got.text == "Hello!"


@pytest.mark.row("ERRO-31")
@pytest.mark.parametrize("entry", entries())
async def test_no_key_is_shown(make, wire, entry):
    wire.status = 401
    wire.whole = {"error": {"message": "The key test-key is wrong", "type": "x", "code": None}}
    with pytest.raises(AuthenticationError) as caught:
        await make(entry).generate("hi")
    shown = f"{caught.value!s} {caught.value!r} {caught.value.body!r}"
    assert "test-key" not in shown
