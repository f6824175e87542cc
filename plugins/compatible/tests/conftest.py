"""What the tests of this plugin share: an environment without variables, and a transport."""

from __future__ import annotations

import json
import os

import pytest
from support.compatible import PLACES, spec_of, sse

from beluga_llm import registry


class Answer:
    """A response that gives its body in pieces of seven bytes."""

    def __init__(self, body, kind, status):
        self.headers = {"content-type": kind, "x-request-id": "req_1"}
        self.body = body
        self.status = status

    async def read(self, until):
        piece, self.body = self.body[:7], self.body[7:]
        return piece

    def close(self):
        pass


class Wire:
    """A transport that answers every request alike and keeps what it was sent."""

    def __init__(self):
        self.sent = []
        self.whole = {"choices": [{"message": {"content": "Hello!"}, "finish_reason": "stop"}]}
        self.stream = sse({"choices": [{"delta": {"content": "Hello!"}, "finish_reason": "stop"}]})
        self.status = 200

    @property
    def body(self):
        return json.loads(self.sent[-1].body)

    @property
    def headers(self):
        return {name.lower(): value for name, value in self.sent[-1].headers.items()}

    async def request(self, request, *, until):
        self.sent.append(request)
        if self.body.get("stream") and self.status == 200:
            return Answer(self.stream, "text/event-stream", 200)
        return Answer(json.dumps(self.whole).encode(), "application/json", self.status)

    async def aclose(self):
        pass


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in os.environ:
        if name.endswith(("_API_KEY", "_TOKEN", "_BASE_URL", "_HOST", "_ACCOUNT", "_ACCOUNT_ID")):
            monkeypatch.delenv(name)


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def make(wire):
    """Makes a model by its entry, through the registry, on the transport."""

    def make(entry, **fields):
        given = {"model": "m", "api_key": "test-key", "transport": wire, **fields}
        given["options"] = {**PLACES.get(entry, {}), **given.get("options", {})}
        if entry == "bifrost":
            given.setdefault("base_url", "http://localhost:8080/v1")
        with registry.isolated():
            registry.register(entry, spec_of(entry), replace=True)
            return registry.create(entry, **given)

    return make
