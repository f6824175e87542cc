"""The simplest things: a model is what it says, is registered, and sends what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from beluga_llm._errors import InvalidRequestError, UnsupportedContentError
from beluga_llm._http.encoding import base64_text
from beluga_llm._messages import AIMessage, HumanMessage, SystemMessage
from beluga_llm._model import ChatModel
from beluga_llm._parts import AudioPart, FilePart, ImagePart, TextPart, VideoPart
from beluga_llm.testing._assertions import assert_registered
from beluga_llm.testing._conformance._base import Conformance, ask, both, check
from beluga_llm.testing._conformance._samples import (
    CLOCK,
    HELLO,
    MP4,
    PDF,
    PNG,
    TEXT,
    WAV,
    conversation,
    words,
)
from beluga_llm.testing._conforms import assert_conforms
from beluga_llm.testing._server import FakeServer

PARTS: Mapping[str, ImagePart | AudioPart | VideoPart | FilePart] = {
    "images": ImagePart(PNG),
    "audio": AudioPart(WAV),
    "video": VideoPart(MP4),
    "files": FilePart(PDF, name="paper.pdf"),
}


class BasicChecks(Conformance):
    """Form, registration, and what is sent."""

    def test_it_has_the_form_of_a_model(self, model: ChatModel) -> None:
        """Signatures, identity, capabilities and copies are those of a ChatModel."""
        assert_conforms(model)

    def test_it_is_registered(self) -> None:
        """An installed distribution names it as an entry point, and the plugin loads."""
        if self.entry is None:
            pytest.skip("`entry` is not set")
        assert_registered(self.entry)

    @both
    @check
    async def test_a_text_is_answered(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """A str is one human message; the answer has text, a finish reason and a model."""
        self.says(server)
        reply = await ask(model, kind, TEXT)
        assert isinstance(reply, AIMessage)
        assert reply.finish_reason is not None
        assert reply.model_id
        if self.api is not None:
            assert reply.text == HELLO.text
            assert self.spoken(server) == [("human", TEXT)]

    @both
    @check
    async def test_a_conversation_arrives_whole(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """System, human and ai messages keep their roles, order and text."""
        self.says(server)
        await ask(
            model,
            kind,
            [SystemMessage("Be brief."), "One?", AIMessage("Yes."), HumanMessage(f"Two? {TEXT}")],
        )
        if self.api is not None:
            assert self.spoken(server) == [
                ("system", "Be brief."),
                ("human", "One?"),
                ("ai", "Yes."),
                ("human", f"Two? {TEXT}"),
            ]

    @both
    @check
    async def test_nothing_that_was_said_is_lost(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Each text reaches the provider: the second of two, and that beside a tool call."""
        self.http()
        self.says(server)
        tools = model.capabilities.tools is not False
        talk = conversation(tools=tools)
        await ask(model, kind, talk, tools=[CLOCK] if tools else [])
        body = server.requests[0].body.decode()
        assert [word for word in words(talk) if word not in body] == []

    @both
    @check
    async def test_no_messages_are_refused(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """An empty conversation is an error before any request."""
        with pytest.raises(InvalidRequestError, match="no messages"):
            await ask(model, kind, [])
        assert server.requests == []

    @both
    @check
    async def test_what_is_no_message_is_refused(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Input of another type is a TypeError before any request."""
        wrong: Any = 3
        with pytest.raises(TypeError, match="invalid input type for messages: int"):
            await ask(model, kind, wrong)
        assert server.requests == []

    @check
    async def test_an_empty_text_is_sent_or_refused(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """An empty message goes out, or is an error before any request."""
        self.always(server)
        try:
            await model.generate("")
        except InvalidRequestError:
            assert server.requests == []

    @pytest.mark.parametrize("name", PARTS)
    @check
    async def test_media_are_sent_or_refused(
        self, model: ChatModel, server: FakeServer, name: str
    ) -> None:
        """A part arrives with all its bytes, or is an error before any request."""
        self.http()
        self.always(server)
        part = PARTS[name]
        try:
            await model.generate([HumanMessage(["What is this?", part])])
        except UnsupportedContentError:
            assert server.requests == [], "it was refused, and sent all the same"
            assert getattr(model.capabilities, name) is not True
        else:
            body = server.requests[0].body.decode()
            assert base64_text(part.data or b"") in body
            assert "What is this?" in body

    @both
    @check
    async def test_large_texts_pass(self, model: ChatModel, server: FakeServer, kind: str) -> None:
        """Nothing is cut off a long question or a long answer."""
        question, answer = f"{TEXT} " * 4000, f"{TEXT} " * 1000
        self.says(server, AIMessage(answer, finish_reason="stop"), whole_pieces=True)
        reply = await ask(model, kind, question)
        if self.api is not None:
            assert reply.text == answer
            assert self.read(server.requests[0]).messages[0].text == question

    @both
    @check
    async def test_an_empty_answer_is_an_answer(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """An answer without text ends normally."""
        self.wire()
        self.says(server, AIMessage("", finish_reason="stop"))
        reply = await ask(model, kind)
        assert (reply.text, reply.tool_calls, reply.finish_reason) == ("", (), "stop")

    @both
    @check
    async def test_the_model_of_a_call_is_asked(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """`model=` chooses another model, for that call only."""
        self.http()
        self.says(server, times=2)
        await ask(model, kind, model="kit-other-model")
        await ask(model, kind)
        other, usual = server.requests
        assert "kit-other-model" in f"{other.path} {other.json}"
        assert "kit-other-model" not in f"{usual.path} {usual.json}"

    @check
    async def test_the_caller_keeps_its_messages(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """The list that is handed in is not changed, and can be sent again."""
        self.says(server, times=2)
        messages = [SystemMessage("Be brief."), HumanMessage([TextPart("Hello")])]
        before = list(messages)
        await model.generate(messages)
        await model.generate(messages)
        assert messages == before
        if self.speaks_http:
            first, second = server.requests
            assert first.json == second.json

    def spoken(self, server: FakeServer) -> list[tuple[str, str]]:
        """Role and text of the messages of the last request, as the server reads it."""
        messages = self.read(server.requests[-1]).messages
        return [(message.role.value, message.text) for message in messages]
