"""The tool loop: ask the model, run the tools it calls, tell it the results, until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from attrs import frozen

from beluga_llm._delegating import as_model
from beluga_llm._errors import ToolFailedError
from beluga_llm._messages import AIMessage, Message, ToolMessage
from beluga_llm._model import ChatModel
from beluga_llm._options import UNSET, GenerateOptions, check_keywords, check_layer
from beluga_llm._tool_types import ToolCall
from beluga_llm._tools.calling import Caller, Slot
from beluga_llm._tools.settings import AfterTool, BeforeTool, OnError, OnToolError, ToolSettings
from beluga_llm._tools.toolset import Runnable, ToolSet
from beluga_llm._usage import NO_USAGE, Usage
from beluga_llm._validate import MessageInput, ensure_messages

if TYPE_CHECKING:
    from beluga_llm._keywords import LoopKeywords

UNFINISHED = "no result: the call failed or was stopped"
"""What a model is told of such a call, where a conversation that broke off is gone on with."""


@frozen
class ToolRun:
    """A tool loop that came to its end.

    Attributes:
        messages: the whole conversation, from the first message given to the final answer.
        response: the final answer.
        usage: tokens of all answers together.
        rounds: how many times the model was asked.
    """

    messages: tuple[Message, ...]
    response: AIMessage
    usage: Usage
    rounds: int


class Rounds:
    """A conversation that grows round by round; it knows when it is over."""

    def __init__(
        self,
        messages: MessageInput,
        tools: Iterable[Runnable],
        *,
        settings: ToolSettings,
        options: GenerateOptions | None,
        keywords: Any,
    ) -> None:
        check_keywords(keywords)
        check_layer(options)
        self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        self.usage = NO_USAGE
        self.rounds = 0
        self._given = messages
        self._said: list[Message] = []
        self._calls: Sequence[tuple[ToolCall, Slot]] = ()
        self._caller = Caller(self.tools, settings)
        self._most = settings.max_rounds
        self._options = options
        self._keywords = keywords

    def begin(self) -> dict[str, Any]:
        """Begins a round: what the model is asked, as keywords.

        A tool that the caller forces is forced in the first round only, for the model could never
        answer else.

        Raises:
            ToolFailedError: there were enough rounds.
        """
        if self.rounds == 0:
            self._said += ensure_messages(self._given)
        if self.rounds == self._most:
            plural = "" if self._most == 1 else "s"
            raise self._failed(ToolFailedError(f"no final answer after {self._most} round{plural}"))
        self.rounds += 1
        again = {"tool_choice": UNSET} if self.rounds > 1 else {}
        return {
            "messages": self.messages,
            "tools": self.tools,
            "options": self._options,
            **self._keywords,
            **again,
        }

    def ask(self, model: ChatModel) -> None:
        """Tells which model is asked: its tracing is around the tools too."""
        from beluga_llm._telemetry.tools import tool_spans

        self._caller.around = tool_spans(model)

    def hear(self, answer: AIMessage) -> Sequence[Slot]:
        """Takes an answer; a place for what becomes of each call that it asks for."""
        loop = asyncio.get_running_loop()
        self._said.append(answer)
        self.usage += answer.usage
        self._calls = [(call, loop.create_future()) for call in answer.tool_calls]
        return [slot for _, slot in self._calls]

    async def call(self) -> None:
        """Runs the calls of the answer, and takes their results.

        Raises:
            ToolFailedError: a tool failed, and that is not to be told to the model.
        """
        try:
            await self._caller.run_all(self._calls)
        except ToolFailedError as error:
            self._failed(error)
            raise
        self._said, self._calls = list(self.messages), ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far, to be gone on with: no call is left without a result."""
        results = (
            slot.result().result
            if slot.done()
            else ToolMessage(UNFINISHED, call.id, name=call.name, is_error=True)
            for call, slot in self._calls
        )
        return (*self._said, *results)

    def _failed(self, error: ToolFailedError) -> ToolFailedError:
        """The error with the conversation so far."""
        error.messages = self.messages
        return error

    def run(self) -> ToolRun:
        """The loop that came to its end."""
        response = self._said[-1]
        assert isinstance(response, AIMessage)  # noqa: S101 -- for type checkers
        return ToolRun(self.messages, response, self.usage, self.rounds)


async def run_tools(
    model: ChatModel | str,
    messages: MessageInput,
    tools: Iterable[Runnable],
    *,
    max_rounds: int = 10,
    parallel: bool = True,
    tool_timeout: float | None = None,
    tool_retries: int = 0,
    on_error: OnError = "raise",
    before_tool: BeforeTool | None = None,
    after_tool: AfterTool | None = None,
    on_tool_error: OnToolError | None = None,
    options: GenerateOptions | None = None,
    **keywords: Unpack[LoopKeywords],
) -> ToolRun:
    """The final answer of a model that may use tools.

        run = await run_tools(model, "What is the weather in Lisbon?", [weather])
        print(run.response.text)

    The model is asked, the tools that it calls are run, it is told the results and asked again,
    until it answers without a call. A failed result tells it what went wrong: that a tool is
    unknown, that arguments do not fit, that a tool raised ToolError or gave no result in time.

    When the caller is cancelled, so are the tools, and all have ended before that is raised; only
    functions in threads go on, unheard.

    Args:
        model: a model, or a name that `create` takes.
        messages: a str, a message, or a sequence of both; never changed.
        tools: functions, `@tool` objects, a ToolSet, or objects with the Tool protocol. They stand
            beside the tools bound to the model.
        max_rounds: how many times the model is asked at most.
        parallel: run the calls of one turn at once; else one after the other.
        tool_timeout: seconds that one attempt of a tool may take.
        tool_retries: how often a tool that failed or gave no result in time is tried again. What
            raised ToolError is not.
        on_error: what becomes of other exceptions of tools: "raise" a ToolFailedError, or "report"
            their text to the model.
        before_tool: called with each ToolCall before anything else. A ToolError that it raises
            refuses the call; any other exception ends the run unchanged. Observers may be async.
        after_tool: called with the call and its result, failed results too.
        on_tool_error: called with the call and the error. What this and `after_tool` raise is
            logged and ignored.
        options: a layer of options under the keywords.
        **keywords: options of each call of the model. `timeout` is for one call; for the whole, use
            `asyncio.timeout`. A forced `tool_choice` is for the first round only.

    Raises:
        ToolFailedError: a tool failed, or there was no final answer after `max_rounds`; `messages`
            is the conversation so far, which can be gone on with.
        ConfigError: a setting is wrong.
        BelugaError: the model failed.
    """
    rounds = Rounds(
        messages,
        tools,
        settings=ToolSettings(
            max_rounds=max_rounds,
            parallel=parallel,
            tool_timeout=tool_timeout,
            tool_retries=tool_retries,
            on_error=on_error,
            before_tool=before_tool,
            after_tool=after_tool,
            on_tool_error=on_tool_error,
        ),
        options=options,
        keywords=keywords,
    )
    if isinstance(model, ChatModel):
        return await _run(model, rounds)
    async with as_model(model) as made:
        return await _run(made, rounds)


async def _run(model: ChatModel, rounds: Rounds) -> ToolRun:
    rounds.ask(model)
    while rounds.hear(await model.generate(**rounds.begin())):
        await rounds.call()
    return rounds.run()
