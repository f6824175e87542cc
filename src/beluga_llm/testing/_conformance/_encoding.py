"""Encoding: pure, complete, and told where it cannot be."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from beluga_llm import _json
from beluga_llm._errors import InvalidRequestError
from beluga_llm._http.dialect import HttpRequest
from beluga_llm._http.encoding import base64_text
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._parts import ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._serialize import to_dict
from beluga_llm.testing._conformance._basics import PARTS
from beluga_llm.testing._conformance._dialect import ROUNDS, DialectSamples
from beluga_llm.testing._conformance._fuzz import Chance
from beluga_llm.testing._conformance._options import OPTIONS
from beluga_llm.testing._conformance._samples import (
    CALLS,
    CLOCK,
    REFERRED,
    REFERRING,
    TEXT,
    WEATHER,
    conversation,
    opaque,
    words,
)


class EncodingChecks(DialectSamples):
    """Requests with everything in them."""

    def test_encoding_is_pure(self) -> None:
        """The same request gives the same HTTP request again, and is not changed by it."""
        for request in self.requests():
            before = _told(request)
            first, second = self.fresh().encode(request), self.fresh().encode(request)
            assert first == second
            assert _told(request) == before
            again = copy.deepcopy(first.json)
            self.fresh().encode(request)
            assert first.json == again

    def test_requests_are_json(self) -> None:
        """Every body can be sent, and every path is one."""
        for request in self.requests():
            made = self.fresh().encode(request)
            _json.dumps(made.json)
            assert made.path.startswith("/") or "://" in made.path
            assert made.method in ("GET", "POST")

    def test_an_option_is_sent_or_noted(self) -> None:
        """The request with an option differs from that without it, or a note says why not."""
        lost = []
        for name, given in OPTIONS.items():
            options = dict(given)
            tools = options.pop("tools", ())
            without = self.fresh().encode(self.request(tools=tools))
            with_it = self.fresh().encode(self.request(tools=tools, **options))
            noted = any(note.kind == "option" for note in with_it.notes)
            if not noted and _sent(with_it) == _sent(without):
                lost.append(name)
        assert lost == [], "neither sent nor noted"

    def test_a_part_is_sent_or_noted(self) -> None:
        """All bytes of a part are in the body, or a note says why not."""
        lost = []
        for name, part in PARTS.items():
            made = self.fresh().encode(self.request(HumanMessage(["Look", part])))
            noted = any(note.kind == "content" for note in made.notes)
            if not noted and base64_text(part.data or b"") not in _json.dumps(made.json).decode():
                lost.append(name)
        assert lost == [], "neither sent nor noted"

    def test_nothing_that_was_said_is_lost(self) -> None:
        """Each text is in the body: the second of two, and that beside a tool call."""
        tools = self.dialect.capabilities(self.model).tools is not False
        talk = conversation(tools=tools)
        made = self.fresh().encode(self.request(*talk, tools=(CLOCK,) if tools else ()))
        body = _json.dumps(made.json).decode()
        assert [word for word in words(talk) if word not in body] == []

    def test_schemas_are_sent_whole(self) -> None:
        """Names, descriptions, enums and what is referred to are in the body, or noted."""
        made = self.fresh().encode(self.request(tools=(WEATHER, REFERRING)))
        body = _json.dumps(made.json).decode()
        told = ("get_weather", "Looks up the weather.", "celsius", "hourly", *REFERRED)
        lost = [word for word in told if word not in body]
        assert made.notes or lost == []

    def test_the_opaque_data_of_others_are_not_sent(self) -> None:
        """Another provider's signature is not in the body, and a note says so."""
        foreign = opaque("foreign")
        thought = ThinkingPart("Let me think.", foreign, provider="kit-somebody-else")
        talk = (HumanMessage("Hello"), AIMessage([thought, "Hi."]), HumanMessage("Go on"))
        made = self.fresh().encode(self.request(*talk))
        assert foreign not in _json.dumps(made.json).decode()
        assert made.notes, "nobody is told that a signature was left out"

    def test_any_conversation_can_be_encoded(self) -> None:
        """Whatever was said, it is encoded or refused as an invalid request."""
        chance = Chance()
        for _ in range(ROUNDS):
            talk = _conversation(chance)
            request = self.request(*talk, streaming=chance.random() < 0.5, tools=(WEATHER, CLOCK))
            try:
                self.fresh().encode(request)
            except InvalidRequestError:
                continue
            except Exception as error:
                raise AssertionError(f"{chance}: {talk!r}: {error!r}") from error

    def requests(self) -> Iterator[ChatRequest]:
        """Requests with everything in them."""
        talk = (
            SystemMessage("Be brief."),
            HumanMessage([TEXT, *PARTS.values()]),
            AIMessage("Let me look.", tool_calls=CALLS),
            ToolMessage("It rains.", tool_call_id="kit_call_1", name="get_weather"),
            ToolMessage("It failed.", tool_call_id="kit_call_2", is_error=True),
            HumanMessage("Go on"),
        )
        for streaming in (False, True):
            yield self.request(streaming=streaming)
            for options in OPTIONS.values():
                given = {"tools": (WEATHER, CLOCK), **options}
                yield self.request(*talk, streaming=streaming, **given)


def _sent(request: HttpRequest) -> Any:
    return request.path, dict(request.query), request.json


def _told(request: ChatRequest) -> Any:
    return [to_dict(message) for message in request.messages], request.options, request.tools


def _conversation(chance: random.Random) -> list[Message]:
    parts: list[Any] = ["", " ", TEXT, *PARTS.values()]

    def content() -> list[Any]:
        return [chance.choice(parts) for _ in range(chance.randrange(3))]

    kinds: list[Any] = [
        lambda: [SystemMessage(content())],
        lambda: [HumanMessage(content(), name=chance.choice((None, "Ann")))],
        lambda: [AIMessage(content())],
        lambda: [
            AIMessage(content(), tool_calls=CALLS),
            ToolMessage(content(), tool_call_id="kit_call_1"),
            ToolMessage(content(), tool_call_id="kit_call_2", is_error=True),
        ],
    ]
    return [said for _ in range(chance.randint(1, 5)) for said in chance.choice(kinds)()]
