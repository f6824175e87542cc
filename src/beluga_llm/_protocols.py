"""What a function may ask of a model when it needs one of its methods only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Unpack

from beluga_llm._chat_stream import ChatStream
from beluga_llm._messages import AIMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._validate import MessageInput

if TYPE_CHECKING:
    from beluga_llm._keywords import CallKeywords


class Generates(Protocol):
    """Anything that answers in one piece."""

    async def generate(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> AIMessage:
        """The whole answer."""
        ...


class Streams(Protocol):
    """Anything that answers as a stream."""

    def stream(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> ChatStream:
        """The answer as it arrives."""
        ...
