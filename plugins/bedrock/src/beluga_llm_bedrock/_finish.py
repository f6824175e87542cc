"""Bedrock's words for why an answer ended, and those of the models behind it.

Source: "stopReason" of Converse in the Amazon Bedrock API reference. Words that are not here are
`FinishReason.OTHER`.
"""

from __future__ import annotations

from beluga_llm import FinishReason

_WORDS = {
    FinishReason.STOP: "end_turn stop_sequence stop completed eos STOP COMPLETE STOP_SEQUENCE",
    FinishReason.LENGTH: """
        max_tokens model_context_window_exceeded length max_output_tokens model_length
        MAX_TOKENS""",
    FinishReason.TOOL_CALLS: "tool_use tool_calls function_call TOOL_CALL",
    FinishReason.CONTENT_FILTER: """
        guardrail_intervened content_filtered content_filter refusal SAFETY RECITATION BLOCKLIST
        PROHIBITED_CONTENT SPII IMAGE_SAFETY""",
    FinishReason.ERROR: """
        malformed_model_output malformed_tool_use error ERROR MALFORMED_FUNCTION_CALL""",
}
_REASONS = {word: reason for reason, words in _WORDS.items() for word in words.split()}


def finish_reason(word: str) -> FinishReason:
    """What a stop reason means."""
    return _REASONS.get(word, FinishReason.OTHER)
