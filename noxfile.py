"""Every check of the project, each in an environment of its own.

    nox                   what CI runs
    nox -s tests-3.13     the tests on another Python
    nox -s tests -- -k fold -n0
    nox -l                all sessions

Sessions whose interpreter is not installed are skipped, and said to be. What is shipped is what is
tested: `core` and `plugins` run on wheels that `build` made.
"""

from __future__ import annotations

import email.parser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from nox.project import dependency_groups

ROOT = Path(__file__).parent
DIST = ROOT / ".nox" / "dist"
APART = ROOT / ".nox" / "apart"
CORE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

TEST_TOOLS = dependency_groups(CORE, "test")
LINT_TOOLS = dependency_groups(CORE, "lint")
DOCS_TOOLS = dependency_groups(CORE, "docs")
DOCS_TESTS = [
    "tests/test_docs.py",
    "tests/test_doc_pages.py",
    "tests/test_migration.py",
    "tests/test_plugin_pages.py",
]
WORKERS = "-n2"
BY_NAME = {"mcp"}
"""Plugins whose tests start real servers that need time: `nox -s plugins -- mcp`."""

UNTRACED = [
    "tests/corpus",
    "tests/io/test_corpus_io.py",
    "tests/io/test_examples.py",
    "tests/io/test_plugin_wheels.py",
    "tests/suites/test_contract.py",
    "tests/suites/test_new_provider.py",
    "tests/suites/test_strict.py",
    "tests/test_doc_pages.py",
    "tests/test_docs.py",
    "tests/test_migration.py",
]
"""Read recorded answers thousands of times, or run programs: too much for coverage.

The code that they come to is covered by the tests that are traced.
"""

ALONE = """
    import plugins registry provider_places provider_spec named_stores environment config demo mock
    cli cli_terminal cli_words resilient blocking health forbid_requests run_tools structured
"""
"""The unit tests whose subject may depend on the wheel, or on which plugins are there."""

CROWDS = "tests/io/test_rate_limits.py"
"""Measures seconds of a hundred callers: it wants the machine for itself, and no tracing."""

NO_PLUGINS = {"BELUGA_NO_PLUGINS": "1"}
"""Has tests that need a plugin skipped; elsewhere they fail without it."""

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "lint",
    "types",
    "build",
    "rows",
    "plugins",
    "core",
    f"tests-{THIS_PYTHON}",
]


@nox.session
def lint(session: nox.Session) -> None:
    """The house form: ruff's formatter and rules."""
    session.install(*(tool for tool in LINT_TOOLS if tool.startswith("ruff")))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy on everything shipped; mypy and pyright on a sample that a user could write."""
    sdk = (tool for tool in TEST_TOOLS if tool.startswith("opentelemetry-sdk"))
    session.install("-e", ".[cli,testing]", *editable_plugins(), *LINT_TOOLS, *sdk)
    packages = [str(path) for path in sorted(ROOT.glob("plugins/*/src/beluga_llm_*"))]
    session.run("mypy", "src/beluga_llm", *packages)
    session.run("mypy", "tests/typing", "docs/examples")
    session.run("pyright", env={"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"})


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests of the core with every plugin beside it, and the branch coverage of the core."""
    session.install("-e", ".[cli,testing]", *editable_plugins(), *TEST_TOOLS)
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    try:
        session.run(
            "coverage",
            "run",
            "-m",
            "pytest",
            WORKERS,
            "--hypothesis-profile=traced",
            "tests",
            *(f"--ignore={path}" for path in (*UNTRACED, CROWDS)),
        )
    finally:
        session.run("coverage", "combine", "--quiet")
        # The bar is 100; a branch that depends on timing may be missed in one run of many.
        session.run(
            "coverage",
            "report",
            "--skip-covered",
            "--show-missing",
            "--precision=2",
            "--fail-under=99.9",
        )
    session.run("pytest", WORKERS, *UNTRACED)
    session.run("pytest", "-n0", CROWDS)


@nox.session
def lowest(session: nox.Session) -> None:
    """The tests of the core with the oldest dependencies that it says it works with."""
    extras = CORE["project"]["optional-dependencies"]
    bounded = [*CORE["project"]["dependencies"], *extras["cli"]]
    constraints = Path(session.virtualenv.location) / "lowest.txt"
    constraints.write_text("\n".join(line.replace(">=", "==") for line in bounded), "utf-8")
    session.install("-e", ".[cli,testing]", *TEST_TOOLS, "--constraint", str(constraints))
    session.run("pytest", WORKERS, *(session.posargs or ["tests"]), env=NO_PLUGINS)


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and source distribution of the core and of every plugin, and what must be in them."""
    session.install("build", *CORE["build-system"]["requires"])
    for old in DIST.glob("*"):
        old.unlink()
    for project in (ROOT, *(ROOT / "plugins" / name for name in PLUGINS)):
        session.run(
            "python",
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(DIST),
            str(project),
            silent=True,
        )
    for archive in sorted(DIST.iterdir()):
        if problems := distribution_problems(archive):
            session.error(f"{archive.name}: {'; '.join(problems)}")
        session.log(f"{archive.name} is complete")


@nox.session(requires=["build"])
def core(session: nox.Session) -> None:
    """The core on its wheel, with no plugin installed: what may depend on that."""
    install_wheels(session, "beluga_llm", extras="[cli,testing]")
    files = [f"tests/unit/test_{name}.py" for name in ALONE.split()]
    chosen = session.posargs or [*files, "tests/io/test_own_provider.py"]
    session.run("pytest", WORKERS, *chosen, env={**NO_PLUGINS, "BELUGA_SHARED": ""})


@nox.session(requires=["build"])
def plugins(session: nox.Session) -> None:
    """Each plugin alone, on its wheel and that of the core; names after `--` choose some.

    A wheel is put into a folder of its own, which only its own tests see. Two run at a time.
    """
    names = session.posargs or [name for name in PLUGINS if name not in BY_NAME]
    install_wheels(session, "beluga_llm", extras="[cli,testing]")
    if needs := sorted({need for name in names for need in needs_of(name)}):
        session.install(*needs)
    python = str(Path(session.bin, "python"))
    shutil.rmtree(APART, ignore_errors=True)
    for name in names:
        wheel = next(DIST.glob(f"beluga_llm_{name}-*.whl"))
        session.install("--no-deps", "--target", str(APART / name), str(wheel))
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(run_alone, python, name) for name in names}
        for name, run in runs.items():
            session.log(f"pytest plugins/{name}/tests")
            sys.stdout.write(run.result().stdout)
            sys.stdout.flush()
    if failed := [name for name, run in runs.items() if run.result().returncode]:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(requires=["build"])
def ray(session: nox.Session) -> None:
    """beluga-llm-ray on a local Ray, which is 600 MB of packages and wants some minutes."""
    names = ("beluga_llm", "beluga_llm_openai", "beluga_llm_ray")
    install_wheels(session, *names, extras="[cli,testing]")
    session.install(f"{next(DIST.glob('beluga_llm_ray-*.whl'))}[ray]")
    if session.posargs[:1] == ["bench"]:
        session.run("python", "plugins/ray/tests/benchmark.py", *session.posargs[1:])
        return
    session.run("pytest", "-n0", *(session.posargs or ["plugins/ray/tests"]))


@nox.session
def docs(session: nox.Session) -> None:
    """The site, in .nox/site, without a broken link; every Python block of the docs, executed."""
    session.install("-e", ".[cli,testing]", *editable_plugins(), *TEST_TOOLS, *DOCS_TOOLS)
    session.run("python", "docs/site/build.py")
    session.run("pytest", "-n0", *(session.posargs or DOCS_TESTS))


@nox.session
def examples(session: nox.Session) -> None:
    """Every example, run without a key."""
    files = sorted(ROOT.glob("docs/examples/*.py"))
    sdk = (tool for tool in TEST_TOOLS if tool.startswith("opentelemetry-sdk"))
    session.install("-e", ".[cli,testing]", *editable_plugins(), *sdk)
    for path in files:
        session.run("python", "-W", "error", str(path))


@nox.session(python=False)
def rows(session: nox.Session) -> None:
    """The rows of requirements.md, from the folder in $BELUGA_SHARED, that no test names."""
    if not os.environ.get("BELUGA_SHARED"):
        session.skip("$BELUGA_SHARED is not set: requirements.md is not here")
    session.run(sys.executable, str(ROOT / "tests" / "support" / "rows.py"), *session.posargs)


@nox.session
def real(session: nox.Session) -> None:
    """The tests against real servers on this machine; those that are not here are skipped."""
    session.install("-e", ".[testing]", *editable_plugins(), *TEST_TOOLS)
    arguments = session.posargs or ["tests/real"]
    session.run("pytest", "-n0", *arguments, env={"BELUGA_REAL_SERVERS": "1"})


@nox.session
def sdks(session: nox.Session) -> None:
    """The vendors' own SDKs against the fake server: what it says is what they accept."""
    session.install("-e", ".[testing]", "openai", "anthropic", *TEST_TOOLS)
    session.run("pytest", WORKERS, *(session.posargs or ["tests/sdks"]))


@nox.session
def bench(session: nox.Session) -> None:
    """What a call and a chunk cost, as ratios to a hand-written client."""
    sdk = (tool for tool in TEST_TOOLS if tool.startswith("opentelemetry-sdk"))
    session.install(".", "./plugins/anthropic", "orjson", *sdk)
    session.run("python", "tests/benchmarks/bench.py", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """The same, with other clients beside; takes about half an hour."""
    others = ["openai", "anthropic", "litellm", "langchain-openai", "pydantic-ai-slim[openai]"]
    sdk = (tool for tool in TEST_TOOLS if tool.startswith("opentelemetry-sdk"))
    session.install(".", "./plugins/anthropic", "orjson", *others, *sdk)
    session.run("python", "tests/benchmarks/bench.py", "--peers", *session.posargs)


# --- helpers ---------------------------------------------------------------------------------


def editable_plugins() -> list[str]:
    """Arguments that make pip install every plugin from its folder, with its extras."""
    folders = (f"./plugins/{name}{'[all]' if has_extra(name, 'all') else ''}" for name in PLUGINS)
    return [word for folder in folders for word in ("-e", folder)]


def install_wheels(session: nox.Session, *names: str, extras: str) -> None:
    """Installs built wheels with their dependencies, and the test tools.

    Args:
        session: where to.
        *names: the distributions, as in the names of their wheels; the first is the core.
        extras: extras of the first.
    """
    wheels = [str(next(DIST.glob(f"{name}-*.whl"))) for name in names]
    session.install(wheels[0] + extras, *wheels[1:], *TEST_TOOLS)
    again = "--reinstall" if session.venv_backend == "uv" else "--force-reinstall"
    session.install(again, "--no-deps", *wheels)  # a kept environment has old ones


def needs_of(plugin: str) -> list[str]:
    """What a plugin wants of others, with all of its extras that can be had together."""
    project = tomllib.loads((ROOT / "plugins" / plugin / "pyproject.toml").read_text("utf-8"))
    wanted = list(project["project"]["dependencies"])
    if has_extra(plugin, "all"):
        extras = project["project"]["optional-dependencies"]
        wanted += [need for extra in extras.values() for need in extra]
    return [need for need in wanted if not need.startswith("beluga-llm")]


def run_alone(python: str, plugin: str) -> subprocess.CompletedProcess[str]:
    """The tests of a plugin, in one process that sees no other plugin."""
    return subprocess.run(  # noqa: S603 -- words of ours; a session cannot run two at a time
        [python, "-m", "pytest", "-n0", "-p", "no:cacheprovider", f"plugins/{plugin}/tests"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(APART / plugin)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def has_extra(plugin: str, name: str) -> bool:
    """Whether a plugin declares an extra."""
    project = tomllib.loads((ROOT / "plugins" / plugin / "pyproject.toml").read_text("utf-8"))
    return name in project["project"].get("optional-dependencies", {})


def distribution_problems(archive: Path) -> list[str]:
    """What is missing in a wheel or source distribution."""
    names, metadata = contents(archive)
    facts = email.parser.Parser().parsestr(metadata)
    needed = ["Name", "Version", "Summary", "License-Expression", "Requires-Python"]
    problems = [f"no {key} in the metadata" for key in needed if not facts.get(key)]
    if facts.get("Description-Content-Type") != "text/markdown" or not facts.get_payload():
        problems.append("the README is not its description")
    if not any(name.endswith("/py.typed") for name in names):
        problems.append("py.typed is missing")
    if strays := [name for name in names if "__pycache__" in name or name.endswith(".pyc")]:
        problems.append(f"compiled files: {json.dumps(strays[:3])}")
    return problems


def contents(archive: Path) -> tuple[list[str], str]:
    """The names of the files in a distribution, and its metadata."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = wheel.namelist()
            place = next(name for name in names if name.endswith(".dist-info/METADATA"))
            return names, wheel.read(place).decode("utf-8")
    with tarfile.open(archive) as sdist:
        names = sdist.getnames()
        place = next(name for name in names if name.endswith("/PKG-INFO"))
        member = sdist.extractfile(place)
        return names, member.read().decode("utf-8") if member else ""
