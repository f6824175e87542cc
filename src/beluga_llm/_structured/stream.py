"""A value while it grows: what is complete of the JSON so far, or the elements of a list.

There is no other attempt in a stream: what was shown would be taken back. The text so far is read
anew with each chunk, by a parser that is made for unfinished JSON.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from beluga_llm import _json
from beluga_llm._errors import InvalidRequestError, StreamInterruptedError, StructuredOutputError
from beluga_llm._messages import AIMessage
from beluga_llm._partial_json import NOTHING
from beluga_llm._structured.growing import ElementScanner, growing_value
from beluga_llm._structured.question import Question
from beluga_llm._types.shape import MisfitError
from beluga_llm._usage import NO_USAGE, Usage

if TYPE_CHECKING:
    from types import TracebackType

    from beluga_llm._chat_stream import ChatStream
    from beluga_llm._structured.target import Target

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E")


class StructuredStream(Generic[T_co]):
    """A value that arrives: iterate it, best inside `async with`, then ask for its `result()`.

        async with books.stream("Invent a book") as stream:
            async for value in stream:
                show(value)
        book = await stream.result()

    The values are plain data, a dict, a list or a str, each with more in it than the one before.
    Strings grow; numbers, true, false and null appear when they are complete. It can be iterated
    once, as values or as elements. Errors of the call are raised from the loop; what is wrong with
    the answer itself, from `result()`.
    """

    def __init__(self, target: Target[T_co], begin: Callable[[], Question[T_co]]) -> None:
        self._target = target
        self._begin = begin
        self._question: Question[T_co] | None = None
        self._chat: ChatStream | None = None
        self._iterated = False
        self._closed = False
        self._shown: Any = NOTHING
        self._last = AIMessage()
        self._outcome: T_co | Any = NOTHING
        self._failure: StructuredOutputError | None = None

    def __aiter__(self) -> Self:
        self._iterate()
        return self

    async def __anext__(self) -> Any:
        while True:
            value = self._news(await self._read())
            if value is not NOTHING:
                self._shown = value
                return value

    def _news(self, message: AIMessage) -> Any:
        """The value so far, where it has changed."""
        question = self._asked
        try:
            value = growing_value(question.unfinished(message), wrapped=question.form.wrapped)
            if value is NOTHING:
                return NOTHING
            value = question.target.plain(value, question.form)
            return value if self._shown is NOTHING or value != self._shown else NOTHING
        except (MisfitError, RecursionError):  # nested too deeply, which `result()` will tell
            return NOTHING

    def items(self: StructuredStream[Collection[E]]) -> AsyncIterator[E]:
        """The elements of a list, each once it is complete and was checked.

        This is the one iteration of the stream.

        Raises:
            TypeError: the type is no list.
            StructuredOutputError: from the loop: an element, or the whole, is wrong.
        """
        if not self._target.is_list:
            raise TypeError(f"items() needs a list of one type, not {self._target.shown}")
        self._iterate()
        return _Elements(self)

    async def result(self) -> T_co:
        """The value, after reading what is left. It may be asked again.

        Raises:
            StructuredOutputError: the answer means no value of the type, or was cut.
            ContentFilterError: the answer was withheld.
            BelugaError: what the stream failed with.
        """
        if self._outcome is NOTHING and self._failure is None:
            message = await self._whole()
            question = self._asked
            question.check_finished(message, message.usage, 1)
            try:
                self._outcome = question.value(message)
            except (_json.JsonError, MisfitError) as problem:
                raise self._failed(problem, message) from problem
        if self._failure is not None:
            raise self._failure
        return self._outcome

    def _failed(self, problem: Exception, message: AIMessage) -> StructuredOutputError:
        """The error of the stream from now on."""
        usage = message.usage
        self._failure = self._asked.given_up(problem, message, usage=usage, attempts=1)
        return self._failure

    @property
    def message(self) -> AIMessage:
        """The answer so far, at any time."""
        return AIMessage() if self._chat is None else self._chat.message

    @property
    def usage(self) -> Usage:
        """Tokens reported so far."""
        return NO_USAGE if self._chat is None else self._chat.usage

    # --- leaving ---------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Ends the call: closes every layer, then the connection. Idempotent."""
        self._closed = True
        if self._chat is not None:
            await self._chat.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._chat is not None:
            await self._chat.__aexit__(kind, error, traceback)

    # --- reading ---------------------------------------------------------------------------------

    @property
    def _asked(self) -> Question[T_co]:
        assert self._question is not None  # noqa: S101 -- it was opened
        return self._question

    def _iterate(self) -> None:
        if self._iterated:
            raise RuntimeError("stream can be iterated only once")
        self._iterated = True

    def _opened(self) -> ChatStream:
        if self._chat is None:
            if self._closed:
                raise RuntimeError("stream was closed before it was iterated")
            question = self._question = self._begin()
            self._chat = question.model.stream(
                question.messages, options=question.options, **question.keywords
            )
        return self._chat

    async def _read(self) -> AIMessage:
        """The answer with the next text."""
        chat = self._opened()
        while True:
            try:
                chunk = await chat.__anext__()
            except InvalidRequestError as error:
                self._asked.check_refusal(error)
                raise
            if chunk.reset and self._shown is not NOTHING:
                await self._begun_anew()
            if chunk.delta or chunk.tool_calls:
                self._last = chat.message
                return self._last

    async def _whole(self) -> AIMessage:
        chat = self._opened()
        try:
            return await chat.response()
        except InvalidRequestError as error:
            self._asked.check_refusal(error)
            raise

    async def _begun_anew(self) -> NoReturn:
        await self.aclose()
        raise StreamInterruptedError(
            "the answer was begun anew after a part of it was shown",
            content_started=True,
            partial=self._last,
        )


class _Elements(AsyncIterator[E]):
    """The elements of the list that a stream brings."""

    def __init__(self, stream: StructuredStream[Collection[E]]) -> None:
        self._stream = stream
        self._scanner = ElementScanner()
        self._found: deque[Any] = deque()
        self._checked: deque[E] | None = None
        self._count = 0

    async def __anext__(self) -> E:
        while self._checked is None:
            if self._found:
                return await self._element(self._found.popleft())
            await self._read()
        if not self._checked:
            raise StopAsyncIteration
        return self._checked.popleft()

    async def aclose(self) -> None:
        """Ends the call."""
        await self._stream.aclose()

    async def _read(self) -> None:
        stream = self._stream
        try:
            message = await stream._read()
        except StopAsyncIteration:
            self._checked = self._unseen(await stream.result())
            return
        self._found.extend(self._scanner.feed(stream._asked.unfinished(message)))

    def _unseen(self, value: Collection[E]) -> deque[E]:
        """What was not found on the way; elements of sets have no place to go by."""
        if isinstance(value, Sequence):
            return deque(value[self._count :])
        return deque(() if self._count else value)

    async def _element(self, data: Any) -> E:
        stream, place = self._stream, self._count
        question = stream._asked
        try:
            value: E = question.target.read_element(data, place, question.form)
        except MisfitError as problem:
            failure = stream._failed(problem, stream._last)
            await stream.aclose()
            raise failure from problem
        self._count += 1
        stream._shown = value
        return value
