"""The usual frame of a chat-completions stream, as strict types: what holds more is refused."""

from __future__ import annotations

import msgspec

from beluga_llm._json import strict


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A frame or a part of one that holds nothing but these fields."""


class FrameFunction(_Strict):
    name: str | None = None
    arguments: str | None = None


class FrameCall(_Strict):
    index: int
    function: FrameFunction
    id: str | None = None
    type: str | None = None


class FrameDelta(_Strict):
    content: str | None = None
    role: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[FrameCall] | None = None
    refusal: None = None
    function_call: None = None


class FrameChoice(_Strict):
    delta: FrameDelta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None
    native_finish_reason: None = None
    content_filter_results: msgspec.Raw = msgspec.Raw()  # Azure's, the same in most frames


class Frame(_Strict):
    choices: tuple[FrameChoice]
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: None = None
    obfuscation: str | None = None
    p: str | None = None


read_strictly = strict(Frame)
"""The frame that a JSON text is; one of REFUSED where it holds anything else."""
