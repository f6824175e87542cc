"""`batch_jsonl`: from a file of questions to a file of answers, as often as it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Unpack, cast

from beluga_llm._batch.lines import Line, LineId, read_line
from beluga_llm._batch.progress import BatchProgress, Counter, shown
from beluga_llm._batch.results import Finished, Output, lines_of
from beluga_llm._batch.shared_faults import Withheld, is_shared
from beluga_llm._batch.workers import Workers, places
from beluga_llm._delegating import as_model
from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage
from beluga_llm._options import GenerateOptions, check_keywords, check_layer
from beluga_llm._usage import NO_USAGE
from beluga_llm._validate import ToolInput

if TYPE_CHECKING:
    from beluga_llm._keywords import LoopKeywords
    from beluga_llm._model import ChatModel

StrPath = str | os.PathLike[str]

_TURN = 256
"""Lines that are passed over at a time, between which other tasks have their turn."""


async def batch_jsonl(
    model: ChatModel | str,
    in_path: StrPath,
    out_path: StrPath,
    *,
    max_concurrency: int | None = None,
    retry_failed: bool = False,
    progress: bool | Callable[[BatchProgress], object] = False,
    tools: Iterable[ToolInput] = (),
    options: GenerateOptions | None = None,
    **keywords: Unpack[LoopKeywords],
) -> BatchProgress:
    """How far the output is, after every line of the input has a result in it.

        done = await batch_jsonl("openai/gpt-4o-mini", "questions.jsonl", "answers.jsonl")

    A line of the input is `{"id": ..., "prompt": ...}`, or has `messages`, `options` and `tools`,
    or is one of OpenAI's Batch API. The output gets one line for each, in the order in which they
    are done: `{"id", "line", "text", "message"}`, or `{"id", "line", "error"}`; `line` is the
    number of the line in the input. A line that is wrong, or has the id of an earlier one, is such
    an error, with the id null.

    A wrong key, an account or budget without money, or an unknown model would fail every line: the
    third such error, with no answer in between, is raised, and such lines get no result.

    Run it again after an interruption: results that are there are not asked again, and half a line
    is removed. An id, or where there is none the number of the line, has one result. Both files are
    streamed; only the ids are held in memory.

    Args:
        model: a model, or a name that `create` takes; then it is closed at the end.
        in_path: the questions.
        out_path: the answers; it is made if it is not there.
        max_concurrency: how many calls may be under way; None is what the model is configured with.
        retry_failed: remove the errors of earlier runs from the output first, and ask again.
        progress: True shows a bar on a terminal; or a function that is called at the beginning and
            after each line.
        tools: offered in every call, beside those of a line.
        options: a layer of options under the keywords.
        **keywords: options of every call; those of a line go over them.

    Raises:
        OSError: a file cannot be read or written; what was written stays.
        StoreError: the output is being written by another process, or holds something else.
        InvalidRequestError: `max_concurrency` is less than 1, or both files are one.
        BelugaError: every line would fail, see above; what was written stays.
        ImportError: the bar was asked for, and rich is not installed.
    """
    check_keywords(keywords)
    check_layer(options)
    asked = as_model(model)
    limit = places(max_concurrency, asked._config.max_concurrency)
    call = _Call(asked, options, keywords, tuple(tools))
    job = _Job(Path(in_path), Path(out_path), call)
    async with contextlib.AsyncExitStack() as stack:
        if asked is not model:
            await stack.enter_async_context(asked)
        with shown(progress) as tell:
            return await job.run(limit, tell, retry_failed=retry_failed)


class _Call:
    """What is asked for every line."""

    def __init__(
        self,
        model: ChatModel,
        options: GenerateOptions | None,
        keywords: Any,
        tools: tuple[ToolInput, ...],
    ) -> None:
        self._model, self._options, self._keywords, self._tools = model, options, keywords, tools

    async def outcome(self, line: Line) -> AIMessage | Exception:
        """The answer to a line, or why there is none."""
        if line.problem is not None:
            return line.problem
        try:
            keywords = {**self._keywords, **line.keywords}
            keywords["tools"] = (*self._tools, *line.keywords.get("tools", ()))
            return await self._model.generate(line.messages, options=self._options, **keywords)
        except Exception as error:  # noqa: BLE001 -- the result of this line
            return error


class _Job:
    """A run from one file to another."""

    def __init__(self, in_path: Path, out_path: Path, call: _Call) -> None:
        self._in_path, self._out_path, self._call = in_path, out_path, call
        self._withheld = Withheld()

    async def run(self, limit: int, tell: Any, *, retry_failed: bool) -> BatchProgress:
        """Every line of the input that has no result gets one."""
        with _reading(self._in_path) as file:
            self._check_files(file)
            self._output = output = Output(self._out_path)
            with contextlib.closing(output):
                await output.read(retry_failed=retry_failed)
                left = await _count(file, output.finished) if tell is not None else None
                total = None if left is None else len(output.finished) + left
                self._counter = Counter(total, tell)
                self._counter.known(done=len(output.finished), failed=output.finished.failed)
                async with contextlib.aclosing(_asked(file, output.finished)) as lines:
                    await Workers(self._answer, lines, limit=limit).run()
                self._settle()
                return self._counter.now

    def _check_files(self, file: int) -> None:
        if not S_ISREG(os.fstat(file).st_mode):
            raise InvalidRequestError(f"{self._in_path} is no file")
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(self._out_path)
            if not S_ISREG(there.st_mode) and not S_ISDIR(there.st_mode):
                raise InvalidRequestError(f"{self._out_path} is no regular file")
            if os.path.samestat(os.fstat(file), there):
                raise InvalidRequestError(f"{self._in_path} cannot be input and output at once")

    async def _answer(self, index: int, line: Line) -> None:
        outcome = await self._call.outcome(line)
        if is_shared(line, outcome):
            self._withheld.add(line, cast("Exception", outcome))
            return
        if isinstance(outcome, AIMessage):
            self._settle()
        self._put(line, outcome)

    def _settle(self) -> None:
        for line, error in self._withheld.taken():
            self._put(line, error)

    def _put(self, line: Line, outcome: AIMessage | Exception) -> None:
        self._output.write(line, outcome)
        usage = outcome.usage if isinstance(outcome, AIMessage) else NO_USAGE
        self._counter.add(failed=isinstance(outcome, Exception), usage=usage)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        yield file
    finally:
        os.close(file)


async def _asked(file: int, finished: Finished) -> AsyncGenerator[Line, None]:
    """The lines that have no result yet."""
    seen: set[LineId] = set()
    lines = lines_of(file)
    try:
        async for number, text in lines:
            if number % _TURN == 0:
                await asyncio.sleep(0)
            text = text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text
            if not text.strip():
                continue
            line = read_line(number, text)
            if line.id is not None and line.id in seen:
                problem = InvalidRequestError(f"an earlier line has the id {line.id!r}")
                line = Line(number, problem=problem)
            elif line.id is not None:
                seen.add(line.id)
            if line.id in finished.ids if line.id is not None else number in finished.numbers:
                continue
            yield line
    finally:
        await lines.aclose()


async def _count(file: int, finished: Finished) -> int:
    """How many lines have no result yet."""
    count = 0
    async with contextlib.aclosing(_asked(file, finished)) as lines:
        async for _ in lines:
            count += 1
    return count
