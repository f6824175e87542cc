"""All names that our telemetry uses.

Those that begin with `gen_ai.` are of OpenTelemetry's conventions for generative AI, which are in
development (https://github.com/open-telemetry/semantic-conventions-genai), as of November 2026:
`gen_ai.usage.cache_write.input_tokens` is there since its rename from `cache_creation`. The
histogram `gen_ai.client.token.usage` is of the last release; it is being replaced by one for each
direction. All else begins with `beluga_llm.`.
"""

from __future__ import annotations

from collections.abc import Mapping

CONVENTIONS = "semantic-conventions-genai, November 2026"

# --- spans -----------------------------------------------------------------------------------

CHAT = "chat"
EXECUTE_TOOL = "execute_tool"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"

REQUEST_MODEL = "gen_ai.request.model"
TEMPERATURE = "gen_ai.request.temperature"
TOP_P = "gen_ai.request.top_p"
TOP_K = "gen_ai.request.top_k"
MAX_TOKENS = "gen_ai.request.max_tokens"
STOP_SEQUENCES = "gen_ai.request.stop_sequences"
FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
SEED = "gen_ai.request.seed"
CHOICES = "gen_ai.request.choice.count"
STREAM = "gen_ai.request.stream"
REASONING_LEVEL = "gen_ai.request.reasoning.level"

RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"

INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"

TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"

SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

CALL_ID = "beluga_llm.call_id"
CHUNKS = "beluga_llm.stream.chunks"
INPUT_CHARACTERS = "beluga_llm.input.characters"
ATTEMPTS = "beluga_llm.attempts"
ABORTED = "beluga_llm.aborted"
REQUEST_ID = "beluga_llm.request_id"
TENANT = "beluga_llm.tenant"

# --- events ----------------------------------------------------------------------------------

DETAILS = "gen_ai.client.inference.operation.details"
EXCEPTION = "gen_ai.client.operation.exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"

EVENTS: Mapping[str, str] = {
    "retry": "beluga_llm.retry",
    "fallback": "beluga_llm.fallback",
    "hedge": "beluga_llm.hedge",
    "cache": "beluga_llm.cache",
    "limit_wait": "beluga_llm.rate_limit.wait",
    "breaker": "beluga_llm.circuit_breaker",
}
"""What the layers tell, as events of the span."""

ATTEMPT = "beluga_llm.retry.attempt"
WAIT = "beluga_llm.wait"
CACHE_RESULT = "beluga_llm.cache.result"
BREAKER_STATE = "beluga_llm.circuit_breaker.state"
FAILED_PROVIDER = "beluga_llm.fallback.failed_provider"
FAILED_MODEL = "beluga_llm.fallback.failed_model"

# --- metrics ---------------------------------------------------------------------------------

DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 -- a metric, no secret
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 -- likewise
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"

ACTIVE_REQUESTS = "beluga_llm.client.active_requests"
ACTIVE_STREAMS = "beluga_llm.client.active_streams"
TOOL_CALLS = "beluga_llm.client.tool_calls"
COST = "beluga_llm.client.cost"
RETRIES = "beluga_llm.client.retries"
FALLBACKS = "beluga_llm.client.fallbacks"
HEDGES = "beluga_llm.client.hedges"
CACHE = "beluga_llm.client.cache"
LIMIT_WAIT = "beluga_llm.client.rate_limit.wait"
BREAKER = "beluga_llm.client.circuit_breaker.state"

SECONDS = tuple(0.01 * 2**n for n in range(14))
"""Boundaries of histograms of seconds: 0.01 to 81.92."""

TOKENS = tuple(float(4**n) for n in range(14))
"""Boundaries of histograms of tokens: 1 to 67108864."""

BREAKER_STATES: Mapping[str, int] = {"closed": 0, "half_open": 1, "open": 2}

PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Providers whose entry name is not the one of the conventions."""

# --- environment -----------------------------------------------------------------------------

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EXCEPTION_VARIABLE = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
