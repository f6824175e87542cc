"""Why an answer ended, in the API's words and those of servers that speak it too.

Source: `finish_reason` in "Chat API" of https://docs.cohere.com. ERROR and TIMEOUT are errors.
"""

from __future__ import annotations

from beluga_llm import FinishReason

FAILURES = frozenset(("ERROR", "TIMEOUT"))

_WORDS = {
    FinishReason.STOP: "COMPLETE STOP_SEQUENCE STOP stop end_turn stop_sequence completed eos",
    FinishReason.LENGTH: """
        MAX_TOKENS length max_tokens max_output_tokens model_length
        model_context_window_exceeded""",
    FinishReason.TOOL_CALLS: "TOOL_CALL tool_calls function_call tool_use",
    FinishReason.CONTENT_FILTER: """
        content_filter content_filtered refusal guardrail_intervened SAFETY RECITATION BLOCKLIST
        PROHIBITED_CONTENT SPII IMAGE_SAFETY""",
    FinishReason.ERROR: """
        error MALFORMED_FUNCTION_CALL malformed_model_output malformed_tool_use""",
}
_REASONS = {word: reason for reason, words in _WORDS.items() for word in words.split()}


def finish_reason(word: str) -> FinishReason:
    """What a finish reason means."""
    return _REASONS.get(word, FinishReason.OTHER)
