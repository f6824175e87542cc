"""Tools and structured answers: what is offered arrives whole, what comes back is told apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from beluga_llm._errors import InvalidRequestError, UnsupportedOptionWarning
from beluga_llm._messages import AIMessage, HumanMessage, ToolMessage
from beluga_llm._model import ChatModel
from beluga_llm._option_types import ResponseFormat
from beluga_llm._tool_types import ToolDefinition
from beluga_llm._usage import FinishReason
from beluga_llm.testing._conformance._base import Conformance, ask, both, check, warned
from beluga_llm.testing._conformance._samples import (
    CITY,
    CLOCK,
    REFERRED,
    REFERRING,
    TWO_CALLS,
    WEATHER,
)
from beluga_llm.testing._server import FakeServer


class ToolChecks(Conformance):
    """Definitions, choices, calls and results."""

    @both
    @check
    async def test_schemas_arrive_whole(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Names, descriptions and all of the schemas reach the provider, which may choose."""
        self.able(model, "tools")
        self.wire()
        self.says(server)
        await ask(model.bind_tools([WEATHER]), kind, tools=[CLOCK, REFERRING])
        asked = self.read(server.requests[0])
        sent = asked.tools
        assert asked.options.tool_choice in (None, "auto")
        assert [tool.name for tool in sent] == ["get_weather", "get_time", "plan"]
        for tool, given in zip(sent, (WEATHER, CLOCK), strict=False):
            assert tool.description == given.description
            assert [*lacking(given.input_schema, tool.input_schema)] == []
        said = json.dumps(server.requests[0].json)
        assert all(word in said for word in REFERRED)

    @both
    @check
    async def test_several_calls_are_told_apart(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Each call keeps its name, its arguments and its id, beside the text."""
        self.able(model, "tools")
        self.wire()
        self.says(server, TWO_CALLS)
        reply = await ask(model, kind, tools=[WEATHER, CLOCK])
        assert reply.text == TWO_CALLS.text
        calls = reply.tool_calls
        assert [(call.name, call.args) for call in calls] == [
            (call.name, call.args) for call in TWO_CALLS.tool_calls
        ]
        assert len({call.id for call in calls}) == 2, "each call needs an id of its own"
        if "call_ids" in self.carried():
            assert [call.id for call in calls] == [call.id for call in TWO_CALLS.tool_calls]
        assert reply.finish_reason is FinishReason.TOOL_CALLS

    @both
    @check
    async def test_results_go_back_to_their_calls(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Calls and results stand in the next request, in order and paired."""
        self.able(model, "tools")
        self.wire()
        self.says(server, TWO_CALLS)
        self.says(server)
        bound = model.bind_tools([WEATHER, CLOCK])
        question = HumanMessage("What is the weather, and the time?")
        reply = await ask(bound, kind, [question])
        first, second = (call.id for call in reply.tool_calls)
        results = [
            ToolMessage("It rains.", tool_call_id=first, name="get_weather"),
            ToolMessage("It is noon.", tool_call_id=second, name="get_time"),
        ]
        await ask(bound, kind, [question, reply, *results])
        messages = self.read(server.requests[1]).messages
        calls = [call for message in messages for call in getattr(message, "tool_calls", ())]
        assert [(call.name, call.args) for call in calls] == [
            (call.name, call.args) for call in TWO_CALLS.tool_calls
        ]
        answered = [message for message in messages if isinstance(message, ToolMessage)]
        assert [message.text for message in answered] == ["It rains.", "It is noon."]
        if "call_ids" in self.carried():
            assert [message.tool_call_id for message in answered] == [call.id for call in calls]

    @pytest.mark.parametrize("choice", ["auto", "none", "required", "get_time"])
    @check
    async def test_a_choice_of_tools_is_sent_or_told(
        self, model: ChatModel, server: FakeServer, choice: str
    ) -> None:
        """`tool_choice` is asked of the provider; else the caller is warned."""
        self.able(model, "tools")
        self.wire()
        self.says(server)
        with warned() as warnings:
            await model.generate("Hello", tools=[WEATHER, CLOCK], tool_choice=choice)
        sent = self.read(server.requests[0])
        told = any(issubclass(one.category, UnsupportedOptionWarning) for one in warnings)
        assert told or (sent.options.tool_choice or "auto") == choice or _means(sent.tools, choice)
        known = model.capabilities.tool_choice
        if known is not None:
            assert told is not (({"get_time": "named"}.get(choice, choice)) in known)

    @check
    async def test_a_name_that_no_tool_may_have_is_refused(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """A wrong name is an error before any request."""
        with pytest.raises(InvalidRequestError, match="tool name"):
            await model.generate("Hello", tools=[ToolDefinition("no such\nname!")])
        assert server.requests == []

    @pytest.mark.parametrize("form", ["json_schema", "json_object"])
    @both
    @check
    async def test_a_form_of_the_answer_is_asked_or_told(
        self, model: ChatModel, server: FakeServer, kind: str, form: str
    ) -> None:
        """A response format reaches the provider, its schema whole; else the caller is warned."""
        self.wire()
        self.says(server, AIMessage('{"city": "Köln"}', finish_reason="stop"))
        wanted = ResponseFormat.json()
        if form == "json_schema":
            wanted = ResponseFormat.json_schema(CITY, "place")
        with warned() as warnings:
            reply = await ask(model, kind, response_format=wanted)
        told = any(issubclass(one.category, UnsupportedOptionWarning) for one in warnings)
        sent = self.read(server.requests[0]).options.response_format
        if getattr(model.capabilities, form):
            assert not told, "the model can do it, and warns that it cannot"
        if not told:
            assert sent is not None, "the format was neither sent nor warned about"
            assert form != "json_schema" or [*lacking(CITY, sent.schema or {})] == []
        assert json.loads(reply.text) == {"city": "Köln"}


def _means(tools: tuple[ToolDefinition, ...], choice: str) -> bool:
    """Whether the tools alone say what may be chosen: none of them, or one."""
    names = [tool.name for tool in tools]
    return not names if choice == "none" else names == [choice]


def lacking(given: Any, sent: Any, path: str = "") -> Iterator[str]:
    """What of a schema did not arrive; how types are spelled and what is closed may differ."""
    if isinstance(given, Mapping):
        found = sent if isinstance(sent, Mapping) else {}
        for name, value in given.items():
            if name in found:
                yield from lacking(value, found[name], f"{path}/{name}")
            elif name != "additionalProperties":
                yield f"{path}/{name}"
    elif isinstance(given, list | tuple):
        if [*map(_spelled, given)] != [*map(_spelled, sent)]:
            yield path
    elif _spelled(given) != _spelled(sent):
        yield path


def _spelled(value: Any) -> Any:
    """Types are spelled in capitals by some; numbers of one value are equal."""
    return value.lower() if isinstance(value, str) else value
