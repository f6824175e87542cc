"""The API's words for why an answer ended.

Source: "FinishReason" of the Gemini API and the Vertex AI reference. Other words are
`FinishReason.OTHER`. The numbers stand for the first words where enums are sent as integers.
"""

from __future__ import annotations

from beluga_llm import FinishReason

_WORDS = {
    FinishReason.STOP: "STOP 1",
    FinishReason.LENGTH: "MAX_TOKENS 2",
    FinishReason.CONTENT_FILTER: """
        SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY 3 4""",
    FinishReason.ERROR: "MALFORMED_FUNCTION_CALL",
}
_REASONS = {word: reason for reason, words in _WORDS.items() for word in words.split()}
_WITH_CALLS = ("UNEXPECTED_TOOL_CALL",)


def finish_reason(word: str, *, called: bool) -> FinishReason:
    """What a finish reason means.

    Args:
        word: as on the wire.
        called: whether the answer has calls, of which the API says nothing in its finish reason.
    """
    found = _REASONS.get(word, FinishReason.OTHER)
    if called and (found is FinishReason.STOP or word in _WITH_CALLS):
        return FinishReason.TOOL_CALLS
    return found
