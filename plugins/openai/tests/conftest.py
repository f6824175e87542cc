"""What the tests of this plugin share: a transport that answers from memory."""

from __future__ import annotations

import json

import pytest

from beluga_llm_openai import OpenAIChatModel

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-4o-mini-2024-07-18",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello!", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
_DELTA = {"index": 0, "delta": {"content": "Hello!"}, "finish_reason": None}
_CHAT_EVENTS = [
    {**CHAT, "choices": [_DELTA], "usage": None},
    {**CHAT, "choices": [{"index": 0, "delta": {}}], "usage": None},
    {**CHAT, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
    {**CHAT, "choices": []},
]
_RESPONSE_EVENTS = [
    {"type": "response.created", "response": {**RESPONSE, "output": []}},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "lo!"},
    {"type": "response.completed", "response": RESPONSE},
]


def _sse(events):
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)


class Answer:
    """A response that gives its body in pieces of seven bytes."""

    def __init__(self, body, kind, status=200):
        self.headers = {"content-type": kind, "x-request-id": "req_1"}
        self.body = body
        self.status = status

    async def read(self, until):
        piece, self.body = self.body[:7], self.body[7:]
        return piece

    def close(self):
        pass


class Wire:
    """A transport that answers as OpenAI does, and keeps what it was sent."""

    def __init__(self, error=None, status=400):
        self.sent = []
        self.error = error
        self.status = status
        self.events = None  # how many events of a stream are sent; None: all

    @property
    def body(self):
        return json.loads(self.sent[-1].body)

    @property
    def headers(self):
        return {name.lower(): value for name, value in self.sent[-1].headers.items()}

    async def request(self, request, *, until):
        self.sent.append(request)
        if self.error is not None:
            return Answer(json.dumps(self.error).encode(), "application/json", self.status)
        is_chat = "/chat/completions" in request.url
        if self.body.get("stream"):
            events = _CHAT_EVENTS if is_chat else _RESPONSE_EVENTS
            return Answer(_sse(events[: self.events]), "text/event-stream")
        whole = CHAT if is_chat else RESPONSE
        return Answer(json.dumps(whole).encode(), "application/json")

    async def aclose(self):
        pass


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def make(wire, monkeypatch):
    """A model on the wire, from configuration fields."""
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(**fields):
        given = {"model": "gpt-4o-mini", "api_key": "test-key", "transport": wire}
        return OpenAIChatModel(**{**given, **fields})

    return run


@pytest.fixture(params=["chat", "responses"])
def api(request):
    return request.param
