"""The tool loop: ask the model, run the tools it calls, tell it the results, until it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from attrs import frozen

from beluga_llm._delegating import as_model
from beluga_llm._errors import ToolFailedError
from beluga_llm._messages import AIMessage, Message
from beluga_llm._model import ChatModel
from beluga_llm._options import UNSET, GenerateOptions, check_keywords, check_layer
from beluga_llm._tool_types import ToolCall
from beluga_llm._tools.calling import Caller, ToolEvent
from beluga_llm._tools.settings import AfterTool, BeforeTool, OnError, OnToolError, ToolSettings
from beluga_llm._tools.toolset import Runnable, ToolSet
from beluga_llm._usage import NO_USAGE, Usage
from beluga_llm._validate import MessageInput, ensure_messages

if TYPE_CHECKING:
    from beluga_llm._keywords import LoopKeywords


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
        self.caller = Caller(self.tools, settings)
        self.messages: list[Message] = []
        self.usage = NO_USAGE
        self.rounds = 0
        self._given = messages
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
            self.messages += ensure_messages(self._given)
        if self.rounds == self._most:
            plural = "" if self._most == 1 else "s"
            raise self.failed(ToolFailedError(f"no final answer after {self._most} round{plural}"))
        self.rounds += 1
        again = {"tool_choice": UNSET} if self.rounds > 1 else {}
        return {
            "messages": tuple(self.messages),
            "tools": self.tools,
            "options": self._options,
            **self._keywords,
            **again,
        }

    def hear(self, answer: AIMessage) -> Sequence[ToolCall]:
        """Takes an answer; the calls that it asks for."""
        self.messages.append(answer)
        self.usage += answer.usage
        return answer.tool_calls

    def tell(self, events: Iterable[ToolEvent]) -> None:
        """Takes the results of the calls."""
        self.messages += [event.result for event in events]

    def failed(self, error: ToolFailedError) -> ToolFailedError:
        """The error with the conversation so far."""
        error.messages = tuple(self.messages)
        return error

    def run(self) -> ToolRun:
        """The loop that came to its end."""
        response = self.messages[-1]
        assert isinstance(response, AIMessage)  # noqa: S101 -- for type checkers
        return ToolRun(tuple(self.messages), response, self.usage, self.rounds)


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
            is the conversation so far.
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
    while calls := rounds.hear(await model.generate(**rounds.begin())):
        try:
            rounds.tell(await rounds.caller.run_all(calls))
        except ToolFailedError as error:
            rounds.failed(error)
            raise
    return rounds.run()
