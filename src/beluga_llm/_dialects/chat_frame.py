"""The usual frame of a chat-completions stream, as strict types: what holds more is refused."""

from __future__ import annotations

from typing import Any

import msgspec

from beluga_llm._json import strict


class Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A frame, an answer, or a part of one that holds nothing but these fields."""


class FrameFunction(Strict):
    name: str | None = None
    arguments: str | None = None


class FrameCall(Strict):
    index: int
    function: FrameFunction
    id: str | None = None
    type: str | None = None


class FrameDelta(Strict):
    content: str | None = None
    role: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[FrameCall] | None = None
    refusal: None = None
    function_call: None = None


class FrameChoice(Strict):
    delta: FrameDelta
    index: int = 0
    finish_reason: str | None = None
    logprobs: None = None
    native_finish_reason: None = None
    content_filter_results: msgspec.Raw = msgspec.Raw()  # Azure's, the same in most frames


class Facts(Strict, kw_only=True):
    """What stands beside the choices, of a frame and of a whole answer."""

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    p: str | None = None

    def extras(self) -> dict[str, Any]:
        """What is told of the answer beside its model and its id."""
        found: dict[str, Any] = {}
        if self.created is not None:
            found["created"] = self.created
        if self.provider:
            found["provider"] = self.provider
        if self.service_tier:
            found["service_tier"] = self.service_tier
        if self.system_fingerprint:
            found["system_fingerprint"] = self.system_fingerprint
        return found


class Frame(Facts):
    """A frame with something to say."""

    choices: tuple[FrameChoice]
    usage: None = None


class UsageFrame(Facts):
    """The frame of the tokens, which OpenAI sends last."""

    choices: tuple[()]
    usage: msgspec.Raw


read_strictly = strict(Frame)
"""The frame that a JSON text is; one of REFUSED where it holds anything else."""

read_usage_strictly = strict(UsageFrame)
"""Likewise."""
