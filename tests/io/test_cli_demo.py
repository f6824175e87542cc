"""`beluga-llm chat -m demo`: the embedded model over HTTP, and every error that it can provoke."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner, Result

import beluga_llm as llm
from beluga_llm.cli._app import app
from beluga_llm.cli._session import opened_model
from beluga_llm.testing import demo_server

BY_HTTP = [
    llm.AuthenticationError, llm.ContentFilterError, llm.ContextLengthError,
    llm.EmptyResponseError, llm.InvalidRequestError, llm.MalformedResponseError,
    llm.ModelNotFoundError, llm.OverloadedError, llm.PermissionDeniedError,
    llm.ProviderUnavailableError, llm.QuotaExceededError, llm.RateLimitError,
    llm.RequestTimeoutError, llm.StreamInterruptedError,
]  # fmt: skip
"""The errors of which a server can be the reason."""


def demo(*args: str, **kwargs: Any) -> Result:
    return CliRunner().invoke(app, ["chat", *args], prog_name="beluga-llm", **kwargs)


@pytest.mark.row("CLI-07")
@pytest.mark.parametrize("kind", BY_HTTP)
async def test_each_error_class_is_provoked_over_http(kind: type[llm.BelugaError]):
    async with demo_server(error=kind.__name__) as url:
        model = llm.create("openai-compatible/demo", base_url=url)
        async with model:
            with pytest.raises(kind) as caught:
                await model.stream("hi").response()
        assert type(caught.value) is kind


@pytest.mark.row("CLI-07")
def test_an_option_provokes_an_error():
    done = demo("-m", "demo", "--option", "error=rate_limit", "--option", "retry_after=7", "hi")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0].startswith("error: [openai-compatible] rate_limit: ")
    assert done.stderr.splitlines()[1] == "wait 7 s"


@pytest.mark.row("CLI-07")
def test_an_interrupted_answer_shows_what_came():
    done = demo(
        "-m", "demo", "--option", "error=stream_interrupted", "--option", "error_after=9", "hi"
    )
    assert (done.exit_code, done.stdout) == (1, "I am\n")
    assert "stream_interrupted" in done.stderr


@pytest.mark.row("CLI-07")
def test_other_options_of_the_demo_and_of_the_call_work_together():
    done = demo("-m", "demo", "--option", "finish=length", "--option", "max_tokens=2", "hi")
    assert (done.exit_code, done.stdout) == (0, "I am\n")
    assert "cut at its limit" in done.stderr


@pytest.mark.row("CLI-07")
@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-m", "demo", "--option", "error=nope"], "unknown error 'nope'"),
        (["-m", "demo", "--option", "delay=soon"], "option 'delay' must be float"),
        (["-m", "demo", "--option", "base_url=http://x"], "the demo is served by this command"),
        (["-m", "demo/other"], "the demo has no other models"),
        (["-m", "demo", "--option", "eror=timeout"], "did you mean 'error'?"),
    ],
)
def test_what_the_demo_cannot_do_is_said(args: list[str], says: str):
    done = demo(*args, "hi")
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.row("CLI-07")
def test_a_story_is_told_where_one_is_asked_for():
    done = demo("-m", "demo", "Tell me a story")
    assert done.stdout.startswith("Once upon a time")
    assert done.stdout.count(".") > 3


@pytest.mark.row("CLI-07")
@pytest.mark.parametrize("watched", [True, False])
def test_the_demo_takes_its_time_only_where_somebody_watches(
    monkeypatch: pytest.MonkeyPatch, watched: bool
):
    given: dict[str, Any] = {}

    def served(**options: Any) -> Any:
        given.update(options)
        return demo_server()

    monkeypatch.setattr("beluga_llm.testing.demo_server", served)
    with asyncio.Runner() as runner:
        with opened_model(runner, "demo", watched=watched):
            assert given == ({"chunk_delay": 0.03} if watched else {})
        with opened_model(runner, "demo", ["chunk_delay=0"], watched=watched):
            assert given == {"chunk_delay": 0}


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/v1", "cannot connect to 127.0.0.1:9: connection refused"),
        ("http://nowhere.invalid/v1", "cannot connect to nowhere.invalid:80: "),
    ],
)
def test_nobody_at_the_address_is_said_shortly(url: str, says: str):
    done = demo("-m", "openai-compatible/x", "--option", f"base_url={url}", "hi")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"error: [openai-compatible] {says}")
    assert "ssl:default" not in first
    assert "--option base_url=" in second


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("typed", "says"), [("/help", "/help  "), ("Gr\udcfc\udcdfe", "this is no text in UTF-8")]
)
def test_what_is_typed_and_no_question(monkeypatch: pytest.MonkeyPatch, typed: str, says: str):
    from beluga_llm.cli import chat

    lines = iter([typed, None])
    monkeypatch.setattr(chat, "_line", lambda: next(lines))

    class NoModel:
        async def ask(self, content: object) -> None:
            raise AssertionError("it was asked")

    with CliRunner().isolation() as (_, errors, *_rest):
        with asyncio.Runner() as runner:
            chat._talk(runner, NoModel(), [])  # type: ignore[arg-type]  # only what is used
        text = errors.getvalue().decode()
    assert "/quit" in text.splitlines()[0]
    assert any(line.startswith(says) for line in text.splitlines()[1:])
