"""Models that answer with values, and the loop that asks again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

import attrs

from beluga_llm import _json
from beluga_llm._closing import Closing
from beluga_llm._delegating import as_model
from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage, HumanMessage, Message, ToolMessage
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions, OptionLayer, check_keywords, check_layer
from beluga_llm._structured.asked import asks_to_think, check_asked, time_left, time_limits
from beluga_llm._structured.question import Question
from beluga_llm._structured.strategies import Strategy, StrategyName, chosen
from beluga_llm._structured.stream import StructuredStream
from beluga_llm._structured.target import Target
from beluga_llm._types.shape import MisfitError
from beluga_llm._usage import Usage
from beluga_llm._validate import MessageInput, ensure_messages

if TYPE_CHECKING:
    from beluga_llm._keywords import CallKeywords

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_TOOLS = frozenset(("tools",))
_RETRY_PROMPT = (
    "Your response was not valid JSON. Error: {error}\n"
    "Please respond with valid JSON matching the schema."
)
_NOT_TAKEN = "The arguments were not accepted."


@attrs.frozen
class StructuredResult(Generic[T_co]):
    """A value, and how it came about.

    Attributes:
        value: what was asked for.
        message: the answer that holds it.
        usage: tokens spent on all attempts.
        attempts: how many answers it took.
    """

    value: T_co
    message: AIMessage
    usage: Usage
    attempts: int


class StructuredModel(Closing, Generic[T]):
    """A model that answers with values of one type; made by `structured`.

    Safe for any number of tasks at once. Closing it closes a model that was given by name, and no
    other.

    Attributes:
        model: the model that is asked.
    """

    def __init__(
        self,
        model: ChatModel | str,
        target: Target[T],
        *,
        max_retries: int,
        strategy: StrategyName,
        retry_prompt: str | Callable[[str], str] | None,
    ) -> None:
        self.model = as_model(model)
        self._target = target
        self._max_retries = max_retries
        self._strategy = strategy
        self._retry_prompt = retry_prompt
        self._owns_model = self.model is not model

    async def generate(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> T:
        """The value that a conversation asks for.

        Args:
            messages: a str, a message, or a sequence of both.
            options: a layer of options under the keywords.
            **keywords: options of this call, as for `ChatModel.generate`, but for those that ask
                for the value. `timeout=` is for all attempts together.

        Raises:
            StructuredOutputError: no answer held a value of the type, or one was cut.
            ContentFilterError: an answer was withheld.
            InvalidRequestError: the input is wrong; nothing was sent.
            BelugaError: a call failed; the class says how.
        """
        return (await self.run(messages, options=options, **keywords)).value

    async def run(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> StructuredResult[T]:
        """The value, the answer that holds it, and what it cost; see `generate`."""
        check_keywords(keywords, _TOOLS)
        check_layer(options)
        question = self._question("generate", messages, options=options, keywords=keywords)
        limits, began = time_limits(self.model, keywords, options), _now()
        conversation, again = question.messages, dict[str, Any]()
        usage, attempts = Usage(), 0
        while True:
            message = await self._answer(question, conversation, again)
            usage, attempts = usage + message.usage, attempts + 1
            question.check_finished(message, usage, attempts)
            try:
                return StructuredResult(question.value(message), message, usage, attempts)
            except (_json.JsonError, MisfitError) as problem:
                if attempts > self._max_retries:
                    raise question.given_up(
                        problem, message, usage=usage, attempts=attempts
                    ) from problem
                conversation = (*conversation, *self._objection(message, str(problem)))
            again = time_left(limits, began)

    def stream(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> StructuredStream[T]:
        """The value as it grows; nothing happens before the first iteration.

        Takes the same arguments as `generate`. There is one attempt. Errors are raised from the
        iteration, and from `result()`.
        """
        check_keywords(keywords, _TOOLS)
        check_layer(options)
        begin = functools.partial(
            self._question, "stream", messages, options=options, keywords=keywords
        )
        return StructuredStream(self._target, begin)

    # --- what it is ------------------------------------------------------------------------------

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the type, made anew each time.

        On the wire a type that is no object stands in one, as its member `value`, and strict modes
        get their own form of it.
        """
        return self._target.schema

    @property
    def name(self) -> str:
        """What the type is called on the wire."""
        return self._target.name

    @property
    def strategy(self) -> str:
        """How the model is asked: "native", "tool" or "prompt"."""
        return self._chosen().name

    def __repr__(self) -> str:
        return f"<StructuredModel {self._target.shown} of {self.model.qualified_id}>"

    async def aclose(self) -> None:
        """Closes the model, where it was made from a name; idempotent."""
        if self._owns_model:
            await self.model.aclose()

    # --- the way of a call -----------------------------------------------------------------------

    def _question(
        self,
        verb: str,
        messages: MessageInput,
        *,
        options: GenerateOptions | None,
        keywords: CallKeywords,
    ) -> Question[T]:
        check_asked(self.model, keywords, options)
        return Question(
            self._target,
            self._chosen(keywords, options),
            model=self.model,
            messages=ensure_messages(messages),
            options=options,
            keywords={name: value for name, value in keywords.items() if name != "tools"},
            op=f"structured.{verb}",
        )

    def _chosen(self, *layers: OptionLayer | None) -> Strategy:
        thinks = asks_to_think(self.model, *layers)
        return chosen(self._strategy, self.model.capabilities, thinks=thinks)

    async def _answer(
        self, question: Question[T], conversation: tuple[Message, ...], again: dict[str, Any]
    ) -> AIMessage:
        keywords: Any = {**question.keywords, **again}
        try:
            return await question.model.generate(conversation, options=question.options, **keywords)
        except InvalidRequestError as error:
            question.check_refusal(error)
            raise

    def _objection(self, message: AIMessage, problem: str) -> Iterator[Message]:
        """The bad answer, and what is said against it."""
        yield message
        for call in message.tool_calls:
            yield ToolMessage(_NOT_TAKEN, tool_call_id=call.id, name=call.name, is_error=True)
        prompt = self._retry_prompt
        if callable(prompt):
            yield HumanMessage(prompt(problem))
        else:
            yield HumanMessage((prompt or _RETRY_PROMPT).replace("{error}", problem))


def _now() -> float:
    return asyncio.get_running_loop().time()
