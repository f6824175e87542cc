"""One question: what is sent for a value, what its answers mean, and how it may fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from beluga_llm._errors import (
    ConfigError,
    ContentFilterError,
    InvalidRequestError,
    StructuredOutputError,
)
from beluga_llm._messages import AIMessage, Message
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions
from beluga_llm._structured.strategies import Strategy
from beluga_llm._structured.target import Target
from beluga_llm._usage import FinishReason, Usage

T = TypeVar("T")

_CUT = "answer was cut by the token limit"
_REFERENCES = re.compile(
    r"\$ref|\$defs(?!/)|\brecursi|\bcircular|\bcyclic|\breferences?\b", re.IGNORECASE
)


class Question(Generic[T]):
    """A target, a strategy, and the model that is asked.

    Attributes:
        messages: the conversation as it is sent first.
        options: the layer of options under the keywords.
        keywords: the options as they are sent.
    """

    def __init__(
        self,
        target: Target[T],
        strategy: Strategy,
        *,
        model: ChatModel,
        messages: tuple[Message, ...],
        options: GenerateOptions | None,
        keywords: Mapping[str, Any],
        op: str,
    ) -> None:
        self.target = target
        self.form = strategy.form(target)
        self.model = strategy.model(model, target)
        self.messages = strategy.messages(messages, target)
        self.options = options
        self.keywords: dict[str, Any] = {**keywords, **strategy.options(target, model.capabilities)}
        self._strategy = strategy
        self._op = op

    def text(self, message: AIMessage) -> str:
        """The text of an answer that holds the value."""
        return self._strategy.answer(message, self.target)

    def unfinished(self, message: AIMessage) -> str:
        """The same of an answer that is still arriving."""
        return self._strategy.unfinished(message, self.target)

    def value(self, message: AIMessage) -> T:
        """The value of an answer.

        Raises:
            JsonError: it holds no JSON.
            MisfitError: it means no value of the type.
        """
        return self.target.read(self.text(message), self.form)

    def check_finished(self, message: AIMessage, usage: Usage, attempts: int) -> None:
        """Holds up what no other attempt would make better.

        Raises:
            StructuredOutputError: the answer was cut.
            ContentFilterError: it was withheld.
        """
        if message.finish_reason is FinishReason.LENGTH:
            raise self.failed(_CUT, message, usage=usage, attempts=attempts, problem=_CUT)
        if message.finish_reason is FinishReason.CONTENT_FILTER:
            error = ContentFilterError(
                message.refusal or "the answer was withheld by a content filter",
                op=self._op,
                provider=self.model.provider or None,
                model_id=message.model_id,
            )
            error.partial = message
            raise error

    def given_up(
        self, problem: Exception, message: AIMessage, *, usage: Usage, attempts: int
    ) -> StructuredOutputError:
        """The error after the last attempt."""
        text = f"failed to parse structured output after {attempts} attempts: {problem}"
        return self.failed(text, message, usage=usage, attempts=attempts, problem=str(problem))

    def failed(
        self, text: str, message: AIMessage, *, usage: Usage, attempts: int, problem: str
    ) -> StructuredOutputError:
        """The error for an answer that is of no use."""
        error = StructuredOutputError(
            text,
            attempts=attempts,
            raw=self.text(message),
            last_error=problem,
            usage=usage,
            op=self._op,
            provider=self.model.provider or None,
            model_id=message.model_id,
        )
        error.partial = message
        return error

    def check_refusal(self, error: InvalidRequestError) -> None:
        """Says in our words where a provider refuses references between schemas.

        Raises:
            ConfigError: that is why the request was refused.
        """
        about_schema = error.status is not None and _REFERENCES.search(error.message)
        if about_schema and self.target.has_references:
            raise ConfigError(
                f"{self.target.shown} refers to itself or to other types, and "
                f"{self.model.provider} refuses references in schemas: {error.message}",
                op=self._op,
                provider=error.provider,
                model_id=error.model_id,
                status=error.status,
            ) from error
