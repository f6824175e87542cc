"""The contract kit on one provider: what is known of it, the test file made of that, and its run.

pytest runs in this process, without the settings and plugins of any project, and tells a `Report`
what came of each check.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

import beluga_llm as llm
from beluga_llm._http.dialect import Dialect
from beluga_llm.cli._options import read_options
from beluga_llm.cli._specs import spec_of

PLACEHOLDER = "kit"
"""What is given for a model and for options that a provider cannot do without."""
KEY = "test-key"
NOWHERE = "http://127.0.0.1:9"
"""Given as the address of models that are made to be looked at."""


class Subject(NamedTuple):
    """What the kit must know of a provider.

    Attributes:
        entry: its entry name.
        fields: what `create` needs besides the address and the key.
        is_http: whether it has a dialect.
        api: its wire format, if the fake server speaks that.
        usage_unasked, quota_code: as `ChatModelConformance` has them.
    """

    entry: str
    fields: Mapping[str, Any]
    is_http: bool = False
    api: str | None = None
    usage_unasked: bool = False
    quota_code: str | None = None

    @classmethod
    def of(cls, entry: str, model: str | None, pairs: Sequence[str]) -> Subject:
        """A provider, as far as it can be found out by making a model.

        Raises:
            BelugaError: there is no such provider, or it cannot be used so.
        """
        spec = spec_of(entry)
        options = read_options(pairs, spec)
        fields: dict[str, Any] = {**options.config}
        if spec is not None:
            needed = [name for name in spec.required_options if spec.options.get(name) is str]
            fields = {**dict.fromkeys(needed, PLACEHOLDER), **fields}
            fields["model"] = model or spec.default_model or spec.chat_example or PLACEHOLDER
        elif model:
            fields["model"] = model
        made = _made(entry, fields)
        dialect = getattr(made.unwrap(), "dialect", None)
        if not isinstance(dialect, Dialect):
            return cls(entry, fields)
        return cls(entry, fields, True, _api_of(dialect), *_ways_of(dialect))


def _made(entry: str, fields: dict[str, Any]) -> llm.ChatModel:
    """A model to look at; a provider that has told nothing before may want a model's id."""
    given = {"base_url": NOWHERE, "api_key": KEY}
    try:
        return llm.create(entry, **{**given, **fields})
    except llm.ConfigError as error:
        if "model" in fields or "model is required" not in error.message:
            raise
    fields["model"] = PLACEHOLDER
    return llm.create(entry, **{**given, **fields})


def _api_of(dialect: Dialect) -> str | None:
    """The wire format that a dialect asks for, if the fake server speaks it."""
    from beluga_llm.testing._answers import wire_of

    options = llm.GenerateOptions(model=PLACEHOLDER)
    wire = wire_of(dialect.encode(llm.ChatRequest((llm.HumanMessage("Hello"),), options)).path)
    return None if wire is None else wire.name


def _ways_of(dialect: Dialect) -> tuple[bool, str | None]:
    """What the quirks of a vendor say that the kit must know."""
    quirks = getattr(dialect, "quirks", None)
    if quirks is None:
        return False, None
    codes = quirks.error_codes.items()
    quota = next((code for code, kind in codes if kind is llm.QuotaExceededError), None)
    return quirks.stream_usage != "ask", quota


def suite_of(subject: Subject, *, api: str | None = None, recorded: Path | None = None) -> str:
    """The test file of a provider."""
    facts: dict[str, Any] = {"entry": subject.entry, "fields": dict(subject.fields)}
    samples: dict[str, Any] = {}
    if recorded is not None:
        facts["recorded_stream"] = _read(recorded, "hello.sse")
        facts["recorded_body"] = _read(recorded, "hello.json")
        samples["streams"] = _all(recorded, "*.sse")
        samples["bodies"] = _all(recorded, "*.json")
        samples["errors"] = _all(recorded, "errors/*.sse")
    elif wire := api or subject.api:
        facts["api"] = samples["api"] = wire
        facts["usage_unasked"], facts["quota_code"] = subject.usage_unasked, subject.quota_code
    parts = [
        "import beluga_llm as llm",
        "from beluga_llm.testing import ChatModelConformance, DialectConformance",
        _class("TestModel(ChatModelConformance)", facts),
    ]
    if subject.is_http:
        given = {"base_url": NOWHERE, "api_key": KEY, **subject.fields}
        parts.append(f"model = llm.create({subject.entry!r}, **{given!r})")
        parts.append(
            _class("TestDialect(DialectConformance)", samples)
            + "    dialect = model.unwrap().dialect\n"
        )
    return "\n".join(parts)


def _class(head: str, facts: Mapping[str, Any]) -> str:
    return f"class {head}:\n" + "".join(f"    {name} = {facts[name]!r}\n" for name in facts)


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.exists():
        raise click.BadParameter(f"{path} does not exist", param_hint="--recorded")
    return path.read_bytes()


def _all(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(folder.glob(pattern))}


# --- running it ----------------------------------------------------------------------------------


class Report:
    """What came of each check; pytest calls the methods with its names.

    Attributes:
        passed: how many checks passed.
        failed: what a failed check promises, and what was found, by its name.
        skipped: how many were skipped, by their reason.
        interrupted: whether Ctrl-C ended the run.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.interrupted = False
        self.failed: dict[str, tuple[str, str]] = {}
        self.skipped: Counter[str] = Counter()
        self._lines: list[str] = []
        self._promises: dict[str, str] = {}
        self._began = time.monotonic()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Remembers what each check promises: the docstring of its function."""
        for item in items:
            promise = (item.function.__doc__ or "").strip().partition("\n")[0]
            self._promises[item.nodeid] = promise

    def pytest_collectreport(self, report: Any) -> None:
        """Tells what keeps the checks from being found."""
        if report.failed:
            lines = str(report.longrepr).splitlines()
            lines.sort(key=lambda line: not line.startswith("E "))  # what it is, before its place
            self.failed["the test file"] = ("It can be imported.", "\n".join(lines))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Counts a check that is over."""
        name = report.nodeid.partition("::")[2]
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            found = str(crash.message if crash is not None else report.longrepr)
            self.failed[name] = (self._promises.get(report.nodeid, ""), found)
            self._lines.append(f"FAILED   {name}")
        elif report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.skipped[reason] += 1
            self._lines.append(f"skipped  {name}: {reason}")
        elif report.when == "call":
            self.passed += 1
            self._lines.append(f"passed   {name}")

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        """Remembers Ctrl-C; pytest's own reasons to stop are kinds of it."""
        self.interrupted = excinfo.type is KeyboardInterrupt

    def show(self, *, verbose: bool = False) -> None:
        """Tells what failed and why, what was skipped and why, and how many passed."""
        for line in self._lines if verbose else ():
            click.echo(line)
        for name, (promise, found) in self.failed.items():
            click.echo(f"FAILED {name}\n  {promise}")
            for line in found.splitlines()[: None if verbose else _LINES]:
                click.echo(f"    {line}")
        for reason, count in self.skipped.most_common():
            click.echo(f"{count} skipped: {reason}")
        seconds = time.monotonic() - self._began
        click.echo(f"{self.passed} passed, {len(self.failed)} failed in {seconds:.1f} s")


_LINES = 8
"""How much of a failure is told without being asked for more."""


def run_suite(source: str, *, only: str | None = None) -> Report:
    """Runs a test file, and tells what came of it.

    Raises:
        click.ClickException: pytest is not installed, or no check has such a name.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    try:
        import pytest
    except ModuleNotFoundError:
        raise click.ClickException(
            "the contract kit needs pytest: pip install 'beluga-llm[testing]'"
        ) from None
    report = Report()
    with tempfile.TemporaryDirectory() as folder, _no_settings(), _quiet() as said:
        path = Path(folder, "test_conformance.py")
        path.write_text(source, "utf-8")
        Path(folder, "pytest.ini").write_text("[pytest]\n", "utf-8")
        chosen = ["-k", only] if only else []
        plugins = ["-p", "beluga_llm.testing.pytest_plugin", "-p", "no:cacheprovider"]
        code = pytest.main(
            ["-q", "--capture=sys", f"--rootdir={folder}", *plugins, *chosen, str(path)],
            plugins=[report],
        )
    if report.interrupted:
        raise KeyboardInterrupt
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise click.ClickException(f"no check has a name like {only!r}")
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not report.failed:
        raise click.ClickException(f"pytest cannot run the checks:\n{said.getvalue()}")
    return report


@contextlib.contextmanager
def _no_settings() -> Any:
    """An environment in which pytest has no options and loads no plugins but ours."""
    kept = dict(os.environ)
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextlib.contextmanager
def _quiet() -> Any:
    """Keeps what pytest itself prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said
