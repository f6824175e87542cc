"""Answers: both kinds of call mean the same, and say all that the provider has said."""

from __future__ import annotations

from typing import Any

import pytest

from beluga_llm._messages import AIMessage, replace
from beluga_llm._model import ChatModel
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._assertions import assert_stream_ok
from beluga_llm.testing._conformance._base import Conformance, answers, ask, both, check
from beluga_llm.testing._conformance._samples import HELLO, TEXT
from beluga_llm.testing._server import FakeServer


class AnswerChecks(Conformance):
    """Text, facts, usage and finish reasons."""

    @check
    async def test_a_stream_is_a_whole_answer(self, model: ChatModel, server: FakeServer) -> None:
        """Chunks come in order, end with a finish reason, and add up to the message."""
        self.says(server)
        message = await assert_stream_ok(model.stream("Hello"))
        if self.api is not None:
            assert message.text == TEXT

    @check
    async def test_chunks_come_as_they_arrive(self, model: ChatModel, server: FakeServer) -> None:
        """The first words are here while the server still holds back the others."""
        self.http()
        self.able(model, "streaming")
        self.says(server, "one " * 500, stall_after=8000)
        async with model.stream("Hello") as stream:
            async for chunk in stream:  # pragma: no branch  # it is left in the middle
                if chunk.delta:
                    break
            assert not server.requests[0].finished

    @answers
    @check
    async def test_both_kinds_of_call_mean_the_same(
        self, model: ChatModel, server: FakeServer, answer: str
    ) -> None:
        """`generate` gives what the chunks of `stream` add up to, on the same answer."""
        self.wire()
        self.says(server, self.script(answer, model), times=2)
        whole, streamed = await ask(model, "generate"), await ask(model, "stream")
        assert self.meaning(streamed) == self.meaning(whole)

    @both
    @check
    async def test_who_answered_is_told(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """The answer names its model, and its id where the API has one."""
        self.wire()
        self.says(server)
        reply = await ask(model, kind)
        told = "model_id" in self.carried()
        assert reply.model_id == (HELLO.model_id if told else model.model_id)
        if "response_id" in self.carried():
            assert reply.response_id == HELLO.response_id

    # --- usage -----------------------------------------------------------------------------------

    @both
    @check
    async def test_usage_is_what_was_reported(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Token counts are those of the provider, in streams too."""
        self.wire()
        self.says(server)
        assert (await ask(model, kind)).usage == Usage(12, 7, 19)

    @check
    async def test_usage_is_the_same_in_both_kinds_of_call(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """Details are kept, and equal."""
        details = {
            name: 3 for name in ("cached_tokens", "reasoning_tokens") if name in self.carried()
        }
        self.says(server, replace(HELLO, usage=Usage(12, 7, 19, **details)), times=2)
        whole, streamed = await ask(model, "generate"), await ask(model, "stream")
        assert streamed.usage == whole.usage
        assert {name: getattr(whole.usage, name) for name in details} == details

    @both
    @check
    async def test_usage_that_was_not_reported_is_none(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Absent is None, not 0."""
        self.wire()
        self.says(server, replace(HELLO, usage=Usage()))
        assert (await ask(model, kind)).usage == Usage()

    # --- how it ended ----------------------------------------------------------------------------

    @pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
    @both
    @check
    async def test_the_finish_reason_is_told(
        self, model: ChatModel, server: FakeServer, kind: str, reason: str
    ) -> None:
        """Why the answer ended, in our words, with the provider's own beside it."""
        self.wire()
        if reason == "content_filter":
            self.needs("content_filter")
        self.says(server, replace(HELLO, finish_reason=FinishReason(reason)))
        reply = await ask(model, kind)
        assert reply.finish_reason == reason
        assert reply.raw_finish_reason

    @both
    @check
    async def test_a_refusal_is_no_text(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """A refusal has a field of its own, and counts as filtered."""
        self.needs("refusal")
        self.says(server, AIMessage("", refusal="I won't.", finish_reason="content_filter"))
        reply = await ask(model, kind)
        assert (reply.text, reply.refusal) == ("", "I won't.")
        assert reply.finish_reason is FinishReason.CONTENT_FILTER

    # --- counting --------------------------------------------------------------------------------

    @check
    async def test_tokens_are_counted(self, model: ChatModel) -> None:
        """A text has tokens, counted by the provider or estimated."""
        if model.capabilities.count_tokens:
            pytest.skip("capabilities.count_tokens is True: the plugin tests its own endpoint")
        counted: Any = await model.count_tokens(TEXT)
        assert counted.tokens > 0
        assert counted.exact is False
