"""`beluga-llm conformance`, and the commands that plugins bring."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click", reason="the extra `cli` is not installed")

import click
from click.testing import CliRunner, Result
from support.plugins import entry

import beluga_llm as llm
from beluga_llm.cli import _plugin_commands, _suite
from beluga_llm.cli._app import app
from beluga_llm.cli._plugin_commands import CommandRegistry
from beluga_llm.cli._suite import Report, Subject, suite_of
from beluga_llm.plugin import ChatQuirks, Dialect, HttpRequest, OpenAIChatDialect, ProviderSpec

RECORDED = Path(llm.__file__).parent / "data/new_provider/dialect/tests/fixtures"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="beluga-llm")


def conform(*arguments: str, setup: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as pytest runs in it."""
    program = (
        f"import beluga_llm as llm\n{setup}\nfrom beluga_llm.cli._app import app\n"
        f"app(['conformance', *{arguments!r}], prog_name='beluga-llm')"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


SICK = """
from beluga_llm._compatible import openai_compatible
from beluga_llm.plugin import ProviderModel
class Sick(ProviderModel):
    spec = openai_compatible
    async def _stream(self, request):
        async for chunk in super()._stream(request):
            yield llm.replace(chunk, usage=None)
llm.register("sick", Sick)
import beluga_llm.testing._conformance._base as base
base.create = llm.create
"""


@pytest.mark.row("CLI-05", "TEST-06")
def test_a_good_provider_passes():
    done = conform("openai-compatible", "-k", "usage or registered or Dialect")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed, 0 failed in" in done.stdout


@pytest.mark.row("CLI-05")
def test_a_broken_provider_fails_by_the_name_of_its_fault():
    done = conform("sick", "-k", "usage_is_what", "-v", setup=SICK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED TestModel::test_usage_is_what_was_reported[stream]" in done.stdout
    assert "Token counts are those of the provider" in done.stdout
    assert "0 passed, 2 failed in" in done.stdout


@pytest.mark.row("CLI-05")
def test_what_does_not_apply_is_told_with_its_reason():
    done = conform("demo", "-k", "form or usage_is_what", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed   TestModel::test_it_has_the_form_of_a_model" in done.stdout
    assert "2 skipped: no HTTP service: `api` is not set" in done.stdout


@pytest.mark.row("CLI-05")
def test_a_check_that_does_not_exist_is_no_success():
    done = conform("demo", "-k", "no_such_check")
    assert done.returncode == 1
    assert "no check has a name like 'no_such_check'" in done.stderr


@pytest.mark.row("CLI-05")
def test_words_that_pytest_cannot_read_are_told_with_what_it_says():
    done = conform("demo", "-k", "(((")
    assert done.returncode == 1
    assert "error: pytest cannot run the checks:" in done.stderr
    assert "-k" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.row("CLI-05")
def test_checks_that_cannot_be_imported_are_a_failure():
    broken = (
        "import sys, beluga_llm.cli._app\n"
        "commands = sys.modules['beluga_llm.cli.conformance']\n"
        "commands.suite_of = lambda *_, **__: 'import nowhere_at_all'"
    )
    done = conform("demo", setup=broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED the test file\n  It can be imported." in done.stdout
    assert "No module named 'nowhere_at_all'" in done.stdout
    assert "0 passed, 1 failed in" in done.stdout


@pytest.mark.row("CLI-05")
def test_a_provider_that_does_not_exist_is_named():
    done = run("conformance", "nonsense")
    assert done.exit_code == 1
    assert "unknown provider 'nonsense'" in done.output


class Own(OpenAIChatDialect):
    def encode(self, request: llm.ChatRequest) -> HttpRequest:
        return llm.replace(super().encode(request), path="/of-its-own")


class Plain(Dialect):
    """Says nothing about ways of its vendor."""

    def encode(self, request: llm.ChatRequest) -> HttpRequest:
        return OpenAIChatDialect("plain").encode(request)

    def decoder(self, request: llm.ChatRequest) -> Any:
        raise NotImplementedError

    def error(self, *answer: Any, **more: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def registered() -> Any:
    with llm.registry.isolated():
        llm.register("own", ProviderSpec(name="own", dialect=lambda config: Own("own")))
        llm.register(
            "quirky",
            ProviderSpec(
                name="quirky",
                dialect=lambda config: OpenAIChatDialect(
                    "quirky",
                    quirks=ChatQuirks(
                        stream_usage="always", error_codes={"broke": llm.QuotaExceededError}
                    ),
                ),
                options={"region": str},
                required_options=("region",),
            ),
        )
        llm.register("late", late)
        llm.register("plain", ProviderSpec(name="plain", dialect=lambda config: Plain("plain")))
        yield


def late(config: llm.ProviderConfig) -> llm.ChatModel:
    """Tells only when it is called that it wants a model."""
    if config.model is None:
        raise llm.ConfigError("model is required")
    return llm.create("openai-compatible", model=config.model, base_url=config.base_url)


@pytest.mark.row("CLI-05")
def test_what_the_kit_must_know_is_found_out(registered: None):
    found = Subject.of("quirky", None, ())
    assert (found.api, found.usage_unasked, found.quota_code) == ("chat", True, "broke")
    assert found.fields == {"region": "kit", "model": "kit"}
    assert Subject.of("quirky", "m", ("region=eu",)).fields == {"region": "eu", "model": "m"}
    assert Subject.of("late", None, ()).fields == {"model": "kit"}
    assert Subject.of("late", "m", ()).fields == {"model": "m"}
    plain = Subject.of("plain", None, ())
    assert (plain.api, plain.usage_unasked, plain.quota_code) == ("chat", False, None)
    assert Subject.of("echo" if "echo" in llm.list_providers() else "demo", None, ()).api is None
    with pytest.raises(llm.ConfigError):
        Subject.of("openai-compatible", None, ("base_url=nonsense",))


@pytest.mark.row("CLI-05")
def test_a_wire_format_of_its_own_needs_recordings(registered: None, tmp_path: Path):
    done = run("conformance", "own")
    assert done.exit_code == 2
    assert "--recorded FOLDER" in done.output
    done = run("conformance", "own", "--recorded", str(tmp_path))
    assert done.exit_code == 2
    assert "hello.sse does not exist" in done.output
    fixtures = tmp_path / "fixtures"
    fixtures.mkdir()
    for name in ("hello.sse", "hello.json"):
        (fixtures / name).write_bytes((RECORDED / f"{name}.txt").read_bytes())
    suite = suite_of(Subject.of("own", None, ()), recorded=fixtures)
    compile(suite, "suite", "exec")
    assert "recorded_stream = b'data: " in suite
    assert "api = " not in suite


def test_what_pytest_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(click.ClickException, match=r"beluga-llm\[testing\]"):
        _suite.run_suite("")


@pytest.mark.row("CLI-05")
def test_ctrl_c_ends_the_checks():
    interrupted = (
        "import sys, beluga_llm.cli._app\n"
        "commands = sys.modules['beluga_llm.cli.conformance']\n"
        "commands.suite_of = lambda *_, **__: 'def test_it(): raise KeyboardInterrupt'"
    )
    done = conform("demo", setup=interrupted)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\n")


def test_a_long_failure_is_cut_unless_asked_for(capsys: pytest.CaptureFixture[str]):
    report = Report()
    report.failed["test_it"] = ("It works.", "\n".join(f"line {n}" for n in range(20)))
    report.show()
    assert "line 19" not in capsys.readouterr().out
    report.show(verbose=True)
    assert "line 19" in capsys.readouterr().out


# --- commands of plugins -------------------------------------------------------------------------

Write = Callable[[str, str], str]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that works, one that cannot be imported, and one that is none."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "kit_costs.py").write_text(
        "import click\nprint('imported')\n@click.command()\n@click.option('--by')\n"
        "def costs(by):\n    'Tell what was spent.'\n    click.echo(f'by {by}')\n"
    )
    points = [
        entry("costs", "kit_costs:costs", "acme-costs 1.0", "beluga_llm.commands"),
        entry("gone", "kit_nowhere:command", "acme-gone 2.0", "beluga_llm.commands"),
        entry("wrong", "json:dumps", "acme-wrong 3.0", "beluga_llm.commands"),
        entry("doctor", "kit_costs:costs", "acme-rival 1.0", "beluga_llm.commands"),
    ]
    registry = CommandRegistry("command", discover=lambda: points)
    monkeypatch.setattr(_plugin_commands, "registry", registry)
    monkeypatch.setattr("beluga_llm.cli._app.plugin_commands", registry)


@pytest.mark.row("CLI-06")
def test_a_command_of_a_plugin_runs(commands: None):
    done = run("costs", "--by", "model")
    assert (done.exit_code, done.stdout) == (0, "by model\n")


@pytest.mark.row("CLI-06")
def test_a_broken_command_hurts_only_itself(commands: None):
    listed = run("--help").output
    assert "costs" in listed
    assert "gone" in listed
    assert "cannot be used" in listed
    assert run("providers").exit_code == 0
    for name, why in (
        ("gone", "No module named 'kit_nowhere'"),
        ("wrong", "must be a click.Command"),
    ):
        done = run(name, "--with", "anything")
        assert done.exit_code == 1
        assert f"command '{name}' (acme-{name}" in done.output
        assert why in done.output


@pytest.mark.row("CLI-06")
def test_the_doctor_tells_of_broken_commands(commands: None):
    told = run("doctor")
    assert told.exit_code == 1
    assert "command 'gone' (acme-gone 2.0) failed to load" in told.output
    assert "must be a click.Command" in told.output
    report = json.loads(run("doctor", "--json").stdout)
    assert {"gone", "wrong"} <= report["broken_commands"].keys()
    assert "costs" not in report["broken_commands"]
    assert report["ok"] is False


@pytest.mark.row("CLI-06")
def test_no_plugin_takes_the_place_of_a_command_of_ours(commands: None):
    assert "Load every plugin" in run("doctor", "--help").output
    assert run("no-such-command").exit_code == 2
