"""What a wire format says that it carries is what it carries."""

from __future__ import annotations

import base64
import re

import pytest

from beluga_llm import AIMessage, Usage
from beluga_llm._json import dumps
from beluga_llm.testing._answers import WIRES
from beluga_llm.testing._conformance._samples import (
    CALL_SIGNATURE,
    REDACTED,
    SIGNATURE,
    TEXT_SIGNATURE,
    reasoned,
)
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import CARRIED, Facts, Failure, Wire, encode
from beluga_llm.testing._wire_chat_request import tool_choice

SIGNS = {
    "thinking": "Let me think.",
    "signature": SIGNATURE,
    "redacted": REDACTED,
    "text_signature": TEXT_SIGNATURE,
    "call_signature": CALL_SIGNATURE,
    "call_ids": "kit_call_1",
    "model_id": "kit-model-1",
    "response_id": "kit-response-3",
    "cached_tokens": "765432",
    "reasoning_tokens": "654321",
}
"""What stands in an answer that carries each of these."""

wires = pytest.mark.parametrize("wire", WIRES.values(), ids=lambda wire: wire.name)


def everything() -> AIMessage:
    message = reasoned("kit", CARRIED, call=True)
    counts = Usage(
        9_000_000, 9_000_000, 18_000_000, cached_tokens=765_432, reasoning_tokens=654_321
    )
    facts = {"usage": counts, "response_id": "kit-response-3"}
    return AIMessage(message.parts, tool_calls=message.tool_calls, model_id="kit-model-1", **facts)


def facts_of(message: AIMessage) -> Facts:
    return Facts(
        model_id=message.model_id,
        response_id=message.response_id,
        usage=message.usage,
        usage_unasked=True,
    )


def unwrapped(body: bytes) -> str:
    """A stream with its base64 undone, in which one cloud wraps another's events."""
    text = body.decode("utf-8", "replace")
    inner = re.findall(r'"bytes":"([^"]+)"', text)
    return text + "".join(base64.b64decode(one).decode() for one in inner)


def shown(text: str, what: str) -> bool:
    """Whether an answer shows it, also where it comes word by word."""
    if what == "thinking":
        return "Let" in text and " think." in text
    return SIGNS[what] in text


@wires
def test_what_is_carried_is_known(wire: Wire) -> None:
    assert wire.carries <= CARRIED


@wires
@pytest.mark.parametrize("what", SIGNS)
def test_what_is_carried_stands_in_whole_answers(wire: Wire, what: str) -> None:
    message = everything()
    body = dumps(wire.whole(message, facts_of(message))).decode()
    assert shown(body, what) is (what in wire.carries)


@wires
@pytest.mark.parametrize("what", SIGNS)
def test_what_is_carried_stands_in_streams(wire: Wire, what: str) -> None:
    message = everything()
    events = encode(wire.encoder(facts_of(message)), in_pieces(in_wire_order(message)))
    assert shown(unwrapped(b"".join(events)), what) is (what in wire.carries)


@wires
def test_a_word_for_an_error_is_carried(wire: Wire) -> None:
    failure = Failure(code="invalid_input", word="kit_word")
    said = f"{wire.error_body(failure)} {wire.error_headers(failure)}"
    assert ("kit_word" in said) >= ("error_code" in wire.carries)


@wires
def test_a_refusal_is_carried(wire: Wire) -> None:
    message = AIMessage("", refusal="kit refusal", finish_reason="content_filter")
    body = dumps(wire.whole(message, Facts())).decode()
    assert ("kit refusal" in body) >= ("refusal" in wire.carries)


def test_mistrals_word_for_required_is_read() -> None:
    assert [tool_choice(word) for word in ("any", "required", "auto", None)] == [
        "required", "required", "auto", None,
    ]  # fmt: skip
