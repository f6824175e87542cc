"""Answers as Google's generateContent sends them, for the tests of its plugin."""

from __future__ import annotations

import json

from beluga_llm import ChatRequest, GenerateOptions, HumanMessage


def sse(*frames):
    """A stream as Google sends it."""
    return b"".join(b"data: " + json.dumps(frame).encode() + b"\r\n\r\n" for frame in frames)


def frame(*parts, finish=None, **fields):
    """One frame with one candidate; fields in camel case go beside the candidates."""
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **fields}


def request_of(*, stream=True, model="asked", **options):
    made = GenerateOptions(model=model, **options)
    return ChatRequest((HumanMessage("hi"),), made, streaming=stream)
