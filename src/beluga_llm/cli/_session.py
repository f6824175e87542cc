"""A conversation on the terminal: models opened and closed around it, answers shown as they come.

One event loop serves all turns (`asyncio.Runner`), but runs only during a turn: between turns the
program waits in `input`, where Ctrl-C works as everywhere. Connections are closed after each turn,
because a loop that stands still does not notice when the server closes them. During a turn Ctrl-C
cancels the task that reads the stream, and leaving the stream disconnects at once.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

import click
from attrs import evolve

import beluga_llm as llm
from beluga_llm._compatible import openai_compatible
from beluga_llm._messages import Content
from beluga_llm.cli._choice import DEMO
from beluga_llm.cli._markdown import MarkdownStyle, harmless
from beluga_llm.cli._options import Options, read_options
from beluga_llm.cli._shared import has_styles, on_terminal
from beluga_llm.cli._specs import spec_of

OVER_HTTP = "openai-compatible"
"""The provider through which the embedded demo is spoken to."""

READABLE = 0.03
"""Seconds between two words of the demo, where somebody watches."""

_CUT = {
    llm.FinishReason.LENGTH: "the answer was cut at its limit of tokens (--option max_tokens=N)",
    llm.FinishReason.CONTENT_FILTER: "the provider's content filter ended the answer",
    llm.FinishReason.ERROR: "the provider ended the answer because of an error",
}


@contextmanager
def opened_model(
    runner: asyncio.Runner, name: str, options: Sequence[str] = (), *, watched: bool = False
) -> Iterator[llm.ChatModel]:
    """A model by name; "demo" is served on loopback and spoken to over HTTP.

    Args:
        runner: the loop that the demo's server runs on.
        name: as `create` takes it.
        options: "k=v" each.
        watched: whether somebody reads along, for whom the demo takes its time.

    Raises:
        click.UsageError: the name or an option is wrong.
        BelugaError: the model cannot be made.
    """
    stack = AsyncExitStack()
    try:
        if name.partition("/")[0] == DEMO:
            pace = (f"chunk_delay={READABLE}",) if watched else ()
            yield _served_demo(runner, stack, name, (*pace, *options))
        else:
            yield make_model(name, options)
    finally:
        runner.run(stack.aclose())


def make_model(name: str, pairs: Sequence[str]) -> llm.ChatModel:
    """A model with the options of a command line.

    Raises:
        click.UsageError: the name or an option is wrong.
        BelugaError: the model cannot be made: no key, a broken plugin.
    """
    try:
        spec = spec_of(name.partition("/")[0])
    except llm.ProviderNotFoundError as error:
        raise click.UsageError(error.message) from error
    return _made(name, read_options(pairs, spec))


def _served_demo(
    runner: asyncio.Runner, stack: AsyncExitStack, name: str, pairs: Sequence[str]
) -> llm.ChatModel:
    """The embedded demo over HTTP; its own options go to the server, the others to the client."""
    from beluga_llm.testing import demo_server
    from beluga_llm.testing.demo import OPTIONS

    if name.partition("/")[2] not in ("", DEMO):
        raise click.UsageError(f"the demo has no other models: -m {DEMO}, not -m {name}")
    options = read_options(pairs, evolve(openai_compatible, name=DEMO, options=OPTIONS))
    if "base_url" in options.config:
        where = f"-m {OVER_HTTP}/MODEL --option base_url=URL"
        raise click.UsageError(f"the demo is served by this command; another server: {where}")
    own = {key: options.config.pop(key) for key in OPTIONS if key in options.config}
    try:
        base_url = runner.run(stack.enter_async_context(demo_server(**own)))
    except llm.ConfigError as error:
        raise click.BadParameter(error.message, param_hint="--option") from error
    options.config["base_url"] = base_url
    return _made(f"{OVER_HTTP}/{DEMO}", options)


def _made(name: str, options: Options) -> llm.ChatModel:
    try:
        model = llm.create(name, **options.config)
    except llm.ConfigError as error:
        raise click.UsageError(_with_example(name, error)) from error
    try:
        return model.with_options(**options.call)
    except llm.InvalidRequestError as error:
        raise click.BadParameter(error.message, param_hint="--option") from error


def _with_example(name: str, error: llm.BelugaError) -> str:
    if "model is required" not in error.message:
        return error.message
    entry = name.partition("/")[0]
    spec = spec_of(entry)
    model = (spec.chat_example if spec else None) or "MODEL"
    return f"{error.message} (name the model after the provider, as in -m {entry}/{model})"


class Conversation:
    """Turns with one model: what was said is kept, what is answered is shown.

    Args:
        model: closed after each turn.
        system: instructions that go before everything.
        as_json: show each answer as one line of JSON.
        show_usage: tell the tokens on stderr.
    """

    def __init__(
        self, model: llm.ChatModel, *, system: str | None, as_json: bool, show_usage: bool
    ) -> None:
        self._model = model
        self._history: list[llm.Message] = [llm.SystemMessage(system)] if system else []
        self._as_json = as_json
        self._show_usage = show_usage

    async def ask(self, content: Content) -> None:
        """One turn. If it fails, it is not kept."""
        messages = [*self._history, llm.HumanMessage(content)]
        shown = Shown()
        async with self._model as model, model.stream(messages) as stream:
            try:
                async for chunk in stream:
                    if not self._as_json:
                        shown.add(chunk)
            finally:
                shown.end()
            answer = await stream.response()
        self._history = [*messages, answer]
        if self._as_json:
            click.echo(json.dumps(llm.to_dict(answer), ensure_ascii=not _writes_unicode()))
        self._tell(answer)

    def _tell(self, answer: llm.AIMessage) -> None:
        if note := _CUT.get(answer.finish_reason or llm.FinishReason.STOP):
            click.echo(f"note: {note}", err=True)
        if self._show_usage:
            click.echo(f"tokens: {usage_line(answer.usage)}", err=True)


def _writes_unicode() -> bool:
    """Whether stdout can write every character."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return codecs.lookup(encoding).name.startswith("utf")


class Shown:
    """The text of an answer on stdout, as it arrives.

    On a terminal reasoning is shown too, and Markdown has styles; elsewhere nothing is changed.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._watched = on_terminal()
        self._styled = has_styles()
        self._markdown = MarkdownStyle()

    def add(self, chunk: llm.StreamChunk) -> None:
        """Shows what a chunk adds to the first answer."""
        if chunk.choice:
            return
        if chunk.reset:
            self.end()
        if chunk.reasoning_delta and self._watched:
            self._write("reasoning", chunk.reasoning_delta)
        if chunk.delta or chunk.refusal_delta:
            self._write("text", chunk.delta + chunk.refusal_delta)

    def end(self) -> None:
        """Ends the line."""
        if self._kind:
            click.echo(self._markdown.end())
        self._kind = ""

    def _write(self, kind: str, text: str) -> None:
        if self._kind not in ("", kind):
            click.echo(self._markdown.end() + "\n")
        self._kind = kind
        if self._watched:
            text = harmless(text)
        if self._styled:
            text = self._markdown.feed(text) if kind == "text" else click.style(text, dim=True)
        click.echo(text, nl=False)


def usage_line(usage: llm.Usage) -> str:
    """Tokens in words; what the provider did not report is left out."""
    parts = [
        (usage.input_tokens, "input"),
        (usage.cached_tokens, "of them cached"),
        (usage.output_tokens, "output"),
        (usage.reasoning_tokens, "of them reasoning"),
    ]
    said = [f"{count} {what}" for count, what in parts if count is not None]
    return ", ".join(said) or "not reported"
