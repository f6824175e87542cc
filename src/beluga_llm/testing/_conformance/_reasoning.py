"""Reasoning: opaque data survive byte for byte, from the answer into the next request."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from beluga_llm._errors import DroppedContentWarning
from beluga_llm._messages import AIMessage, HumanMessage, Message, ToolMessage
from beluga_llm._model import ChatModel
from beluga_llm._parts import TextPart, ThinkingPart
from beluga_llm._serialize import from_dict, to_dict
from beluga_llm.testing._conformance._base import Conformance, ask, both, check, warned
from beluga_llm.testing._conformance._samples import (
    CALL_SIGNATURE,
    CLOCK,
    REDACTED,
    SIGNATURE,
    TEXT_SIGNATURE,
    opaque,
    reasoned,
)
from beluga_llm.testing._server import FakeServer

OPAQUE = {
    "signature": SIGNATURE,
    "redacted": REDACTED,
    "text_signature": TEXT_SIGNATURE,
    "call_signature": CALL_SIGNATURE,
}


class ReasoningChecks(Conformance):
    """Thinking, signatures and encrypted reasoning."""

    @both
    @check
    async def test_thinking_is_no_text(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Reasoning comes as thinking, before the text that it belongs to."""
        self.needs("thinking")
        self.says(server, reasoned(model.provider, self.carried(), call=False))
        reply = await ask(model, kind)
        assert (reply.thinking, reply.text) == ("Let me think.", "The answer.")
        kinds = [type(part) for part in reply.parts]
        assert kinds.index(ThinkingPart) < kinds.index(TextPart)

    @pytest.mark.parametrize("saved", [False, True])
    @pytest.mark.parametrize("call", [True, False])
    @both
    @check
    async def test_opaque_data_come_back_unchanged(
        self, model: ChatModel, server: FakeServer, kind: str, call: bool, saved: bool
    ) -> None:
        """Signatures and encrypted reasoning go into the next request, also after being saved."""
        held = {what: value for what, value in OPAQUE.items() if what in self.carried()}
        if not call:
            held.pop("call_signature", None)
        if not held:
            pytest.skip("answers of this API hold no opaque data (`carries`)")
        self.says(server, reasoned(model.provider, self.carried(), call=call))
        self.says(server)
        bound = model.bind_tools([CLOCK])
        reply = await ask(bound, kind)
        assert opaque_of(reply) == set(held.values())
        if saved:
            loaded = from_dict(json.loads(json.dumps(to_dict(reply))))
            assert loaded == reply
            assert isinstance(loaded, AIMessage)
            reply = loaded
        await ask(bound, kind, [HumanMessage("Hello"), reply, *_next_turn(reply)])
        body = server.requests[1].body.decode()
        lost = [what for what, value in held.items() if value not in body]
        assert lost == [], "not sent back"

    @check
    async def test_the_next_request_is_the_same_after_both_kinds_of_call(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """It makes no difference to what is sent back how an answer came."""
        self.wire()
        bodies = []
        for kind in ("generate", "stream"):
            self.says(server, reasoned(model.provider, self.carried(), call=False))
            self.says(server)
            reply = await ask(model, kind)
            await ask(model, "generate", [HumanMessage("Hello"), reply, HumanMessage("Go on")])
            bodies.append(server.requests[-1].json)
        assert bodies[0] == bodies[1]

    @check
    async def test_the_opaque_data_of_others_are_not_sent(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """Another provider's signature stays here, and one warning says so."""
        self.wire()
        server.default = "Hello"
        foreign = opaque("foreign")
        thought = ThinkingPart("Let me think.", foreign, provider="kit-somebody-else")
        talk = [HumanMessage("Hello"), AIMessage([thought, "Hi."]), HumanMessage("Go on")]
        with warned() as warnings:
            await model.generate(talk)
            await model.generate(talk)
        assert foreign not in "".join(seen.body.decode() for seen in server.requests)
        dropped = [one for one in warnings if issubclass(one.category, DroppedContentWarning)]
        assert len(dropped) == 1


def opaque_of(message: AIMessage) -> set[str]:
    """Every signature and encrypted text of a message."""
    found = {call.signature for call in message.tool_calls}
    for part in message.parts:
        found |= {getattr(part, "signature", None), getattr(part, "redacted_data", None)}
    return {value for value in found if value}


def _next_turn(reply: AIMessage) -> Sequence[Message]:
    if not reply.tool_calls:
        return (HumanMessage("Go on"),)
    return [
        ToolMessage("It is noon.", tool_call_id=call.id, name=call.name)
        for call in reply.tool_calls
    ]
