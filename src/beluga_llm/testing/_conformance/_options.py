"""Options: each one is sent, or the caller is told; none is dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import asdict

from beluga_llm._errors import UnsupportedOptionWarning
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions
from beluga_llm.testing._conformance._base import Conformance, ask, both, check, warned
from beluga_llm.testing._conformance._samples import CLOCK, WEATHER
from beluga_llm.testing._reply import Seen
from beluga_llm.testing._server import FakeServer

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "temperature": {"temperature": 0.5},
    "temperature 0": {"temperature": 0.0},
    "max_tokens": {"max_tokens": 77},
    "top_p": {"top_p": 0.75},
    "top_k": {"top_k": 5},
    "stop": {"stop": ("END", "STOP")},
    "seed": {"seed": 7},
    "n": {"n": 2},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "presence_penalty": {"presence_penalty": 0.5},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "user": {"user": "kit-user"},
    "parallel_tool_calls": {"parallel_tool_calls": False, "tools": (WEATHER, CLOCK)},
    "reasoning_effort": {"reasoning_effort": "high"},
    "reasoning_budget": {"reasoning_budget": 2048},
}
"""Values that ask for something, whatever a vendor's default is."""

PLAIN = frozenset(
    (
        "temperature", "max_tokens", "top_p", "top_k", "stop", "seed", "n", "frequency_penalty",
        "presence_penalty",
    )
)  # fmt: skip
"""Those that no vendor counts in another way."""

_FLAGS = frozenset(("stream", "stream_options"))


def asked(seen: Seen) -> tuple[str, str, Any]:
    """What a request asks."""
    return seen.path, seen.query, seen.json


class OptionChecks(Conformance):
    """Options of ours, and those that go to the provider as they are."""

    @pytest.mark.parametrize("name", OPTIONS)
    @check
    async def test_an_option_is_sent_or_told(
        self, model: ChatModel, server: FakeServer, name: str
    ) -> None:
        """The request with the option differs from that without it, or there is a warning.

        What the server reads of it is its value, and nothing else has changed.
        """
        self.http()
        self.says(server, times=2)
        options = dict(OPTIONS[name])
        tools = options.pop("tools", ())
        with warned() as warnings:
            await model.generate("Hello", tools=tools)
            await model.generate("Hello", tools=tools, **options)
        told = any(issubclass(one.category, UnsupportedOptionWarning) for one in warnings)
        without, with_it = map(asked, server.requests)
        assert told or with_it != without, f"{name} was neither sent nor warned about"
        if self.api is not None and options.keys() <= PLAIN:
            before, after = (self.read(seen).options for seen in server.requests)
            changed = differing(before, after)
            assert changed in ({}, options), f"{name} arrived as {changed}"

    @check
    async def test_both_kinds_of_call_ask_the_same(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """Every option has the same effect in `generate` and in `stream`."""
        self.http()
        self.always(server)
        for options in OPTIONS.values():
            with warned():
                await ask(model, "generate", **options)
                await ask(model, "stream", **options)
            whole, streamed = (seen.json for seen in server.requests[-2:])
            assert _without_flags(whole) == _without_flags(streamed), options

    @both
    @check
    async def test_what_is_extra_arrives(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """`extra_body`, `extra_query`, `extra_headers` and `provider_options` are sent as given."""
        self.http()
        self.says(server)
        await ask(
            model,
            kind,
            extra_body={"kit_extra": {"deep": [1, 2]}},
            extra_query={"kit-query": "a b"},
            extra_headers={"X-Kit": "header"},
            provider_options={
                model.provider: {"kit_own": True},
                "kit-somebody-else": {"kit_foreign": True},
            },
        )
        seen = server.requests[0]
        assert seen.json["kit_extra"] == {"deep": [1, 2]}
        assert "kit-query=a" in seen.query
        assert seen.headers["x-kit"] == "header"
        assert b"kit_own" in seen.body
        assert b"kit_foreign" not in seen.body

    @check
    async def test_defaults_lie_below_the_options_of_a_call(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """`with_options` holds for the copy only, and a call's own options go before."""
        self.wire()
        self.says(server, times=4)
        await model.generate("Hello")
        copy = model.with_options(max_tokens=50)
        await copy.generate("Hello")
        await copy.generate("Hello", max_tokens=60)
        await model.generate("Hello")
        usual, *limits = (self.read(seen).options.max_tokens for seen in server.requests)
        assert limits == [50, 60, usual]

    @check
    async def test_an_option_that_does_not_exist_is_named(self, model: ChatModel) -> None:
        """A misspelt keyword is a TypeError that says what was meant."""
        with pytest.raises(TypeError, match="did you mean 'temperature'"):
            await ask(model, "generate", temprature=0.5)
        with pytest.raises(TypeError, match="did you mean 'temperature'"):
            await ask(model, "stream", temprature=0.5)


def differing(before: GenerateOptions, after: GenerateOptions) -> dict[str, Any]:
    """The options of `after` that are others before."""
    return {name: value for name, value in asdict(after).items() if value != getattr(before, name)}


def _without_flags(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _FLAGS}
