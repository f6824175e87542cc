"""What the command line says: help texts, hints, choices and failures, in plain words."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import beluga_llm as llm
from beluga_llm._compatible import compatible_dialect
from beluga_llm._errors import from_status
from beluga_llm._provider import ProviderSpec
from beluga_llm.cli import _choice, _specs
from beluga_llm.cli._app import app
from beluga_llm.cli._attach import read_attachment
from beluga_llm.cli._choice import Choice, choose
from beluga_llm.cli._failures import describe
from beluga_llm.cli._local import Served
from beluga_llm.cli._options import read_options
from beluga_llm.testing import MockExhaustedError


def run(*args: str, **kwargs: Any) -> Result:
    return CliRunner().invoke(app, args, prog_name="beluga-llm", **kwargs)


def spec(name: str, **fields: Any) -> ProviderSpec:
    fields = {"base_url": "https://api.example.com/v1", **fields}
    return ProviderSpec(name=name, dialect=compatible_dialect, **fields)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry without providers, and an environment without keys."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("BELUGA_MODEL", raising=False)
    with llm.registry.isolated():
        for name in llm.list_providers():
            llm.unregister(name)
        yield


def broken_plugin(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Breaks a plugin; the list of all that are loaded."""
    load, loaded = llm.registry.load, []

    def loading(asked: str) -> Any:
        loaded.append(asked)
        if asked == name:
            raise llm.PluginLoadError(f"provider '{name}' failed to load:\nno module 'foo'")
        return load(asked)

    llm.register(name, spec(name))
    monkeypatch.setattr(llm.registry, "load", loading)
    return loaded


# --- help ------------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize("command", ["", "chat", "demo", "doctor", "providers"])
def test_examples_stand_on_lines_of_their_own(command: str):
    text = run(*command.split(), "--help").output
    assert "\\b" not in text
    assert "\b" not in text
    lines = [line.strip() for line in text.splitlines()]
    start = next(n for n, line in enumerate(lines) if line in ("Example:", "Examples:"))
    examples = lines[start + 1 : lines.index("", start)]
    assert examples
    assert all(line.startswith("beluga-llm ") for line in examples)


# --- options ---------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
def test_an_option_like_none_is_no_reason_for_a_long_list():
    with pytest.raises(click.BadParameter) as caught:
        read_options(["zzzz=1"], spec("acme"))
    assert caught.value.message == "unknown option 'zzzz'"
    done = run("chat", "-m", "demo", "--option", "zzzz=1", "hi")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()[0]) < 200


@pytest.mark.row("CONF-06")
@pytest.mark.parametrize("model", ["demo", "mock", "openai-compatible/x"])
def test_retries_are_said_to_be_middleware(model: str):
    done = run("chat", "-m", model, "--option", "max_retries=3", "hi")
    assert done.exit_code == 2
    assert "use model.with_middleware(with_retry())" in done.stderr


@pytest.mark.row("CLI-04")
def test_options_of_a_provider_without_a_specification_are_left_to_it():
    assert read_options(["fallback=hello"], None).config == {"fallback": "hello"}
    assert run("chat", "-m", "mock", "--option", "fallback=hello", "hi").stdout == "hello\n"
    done = run("chat", "-m", "mock", "--option", "falback=hello", "hi")
    assert done.exit_code == 2
    assert "did you mean 'fallback'?" in done.stderr


# --- attachments -----------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.png", b"", "empty.png is empty"),
        ("empty.txt", b"", "empty.txt is empty"),
        ("page.jpg", b"<html>404</html>", "page.jpg holds no PNG, JPEG, GIF or WebP image"),
        ("sound.webp", b"RIFF\0\0\0\0WAVE", "sound.webp holds no PNG"),
    ],
)
def test_files_that_cannot_be_images_are_not_sent(
    tmp_path: Path, name: str, data: bytes, says: str
):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(click.BadParameter, match=says):
        read_attachment(tmp_path / name)


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize("data", [b"\x89PNG", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP"])
def test_images_are_images_by_their_first_bytes(tmp_path: Path, data: bytes):
    (tmp_path / "a.png").write_bytes(data)
    assert isinstance(read_attachment(tmp_path / "a.png"), llm.ImagePart)


# --- the choice of a model -------------------------------------------------------------------


def chosen() -> Choice:
    return asyncio.run(choose(None))


@pytest.mark.row("CLI-04")
def test_a_broken_plugin_with_a_key_is_told(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    broken_plugin(monkeypatch, "openai")
    assert chosen().why == "no key of an installed provider is set and no local server answers"
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert chosen() == Choice(
        "demo", "no provider whose key is set can be used and no local server answers"
    )
    assert capsys.readouterr().err == (
        "passed over openai: provider 'openai' failed to load: no module 'foo'; "
        "see beluga-llm doctor\n"
    )


@pytest.mark.row("CLI-04")
def test_plugins_are_loaded_until_one_has_a_key(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    loaded = broken_plugin(monkeypatch, "openai")
    for name in ("anthropic", "groq"):
        llm.register(name, spec(name, env=("SHARED_KEY",), default_model="m"))
    monkeypatch.setenv("SHARED_KEY", "k")
    assert chosen().model == "anthropic/m"
    assert loaded == ["openai", "anthropic"]


@pytest.mark.row("CLI-04", "REGI-25")
def test_another_name_of_a_provider_is_not_told_again(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    one = spec("qwen", env=("DASHSCOPE_API_KEY",))
    llm.register("qwen", one)
    llm.register("dashscope", one)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "k")
    assert chosen().model == "demo"
    assert capsys.readouterr().err.count("passed over") == 1


@pytest.mark.row("CLI-04")
def test_the_order_of_servers_on_this_machine(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    names = ["vllm", "acme", "llamacpp", "ollama", "lmstudio"]
    for name in names:
        llm.register(name, spec(name, local=True, base_url="http://localhost:1/v1"))
    asked = []

    async def served(of: Any) -> Any:
        asked.append(of.name)
        return Served("m", "http://localhost:1/v1") if of.name in up else None

    monkeypatch.setattr(_choice, "served_model", served)
    up = {"vllm", "llamacpp", "acme"}
    assert chosen().model == "llamacpp/m"
    assert asked == ["ollama", "lmstudio", "llamacpp", "vllm", "acme"]


@pytest.mark.row("CLI-04")
def test_keys_that_lead_nowhere_are_told(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    llm.register("azure", spec("azure", env=("AZURE_KEY",)))
    monkeypatch.setenv("AZURE_KEY", "canary-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-2")
    assert chosen().why == ("no provider whose key is set can be used and no local server answers")
    assert capsys.readouterr().err.splitlines() == [
        "passed over azure: AZURE_KEY is set, name a model with -m azure/MODEL",
        (
            "ANTHROPIC_API_KEY is set, but anthropic is not installed: "
            "pip install beluga-llm-anthropic"
        ),
    ]
    llm.register("openai", spec("openai", env=("AZURE_KEY",), default_model="m"))
    assert chosen().model == "openai/m"
    assert capsys.readouterr().err == ""


@pytest.mark.row("CLI-04", "CLI-02")
def test_what_a_plugin_prints_is_no_part_of_the_output(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    load = llm.registry.load

    def chatty(name: str) -> Any:
        print("hello from a plugin")
        return load(name)

    monkeypatch.setattr(llm.registry, "load", chatty)
    llm.register("acme", spec("acme"))
    assert _specs.spec_of("acme") is not None
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello from a plugin\n")
    done = run("doctor", "--json")
    assert json.loads(done.stdout)["ok"]
    assert "hello from a plugin" in done.stderr


# --- the doctor ------------------------------------------------------------------------------


@pytest.mark.row("CLI-02")
def test_the_doctor_tells_the_general_variables(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BELUGA_MODEL", "canary/model")
    monkeypatch.setenv("BELUGA_MOCK_FIXTURES", " ")
    done = run("doctor")
    assert "BELUGA_MODEL set, BELUGA_MOCK_FIXTURES unset" in done.stdout
    assert "canary" not in done.stdout
    variables = json.loads(run("doctor", "--json").stdout)["variables"]
    assert variables == {_choice.BELUGA_MODEL: True, "BELUGA_MOCK_FIXTURES": False}


# --- failures --------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    "error",
    [
        MockExhaustedError("mock: fixture queue exhausted"),
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied", "/some/file"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_surroundings_did_is_no_bug(error: Exception):
    lines = describe(error).lines
    assert "bug" not in " ".join(lines)
    assert len(lines) <= 2
    assert "Errno" not in lines[0]


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize("status", [400, 403, 404, 413, 429, 500, 503])
def test_every_status_has_advice(status: int):
    assert len(describe(from_status(status)("no", status=status)).lines) == 2


@pytest.mark.row("CLI-04")
def test_a_script_without_answers_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BELUGA_MOCK_FIXTURES", raising=False)
    done = run("chat", "-m", "mock", "hi")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == "error: mock: fixture queue exhausted"
    assert "BELUGA_MOCK_FIXTURES" in done.stderr


def in_a_shell(line: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m beluga_llm {line}"
    return subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip


@pytest.mark.row("CLI-04")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["--help", "providers", "chat -m demo hi"])
def test_a_full_disk_is_told_in_one_line(command: str):
    done = in_a_shell(f"{command} > /dev/full")
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


@pytest.mark.row("CLI-04")
@pytest.mark.skipif(sys.platform == "win32", reason="the shell is another one")
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("chat -m demo <&-", 2, "there is no prompt"),
        ("chat -m demo hi >&-", 0, ""),
        ("chat -m demo < /dev/null", 2, "there is no prompt"),
    ],
)
def test_streams_may_be_closed(line: str, code: int, says: str):
    done = in_a_shell(line)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.row("CLI-04")
def test_a_prompt_that_is_no_text_is_a_usage_error():
    done = run("chat", "-m", "demo", input=b"\xff\xfe\x00")
    assert done.exit_code == 2
    assert "stdin is no text" in done.stderr
