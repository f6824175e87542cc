"""What is shipped: the layout, the dependencies, the public names and the two commands."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import beluga_llm
from beluga_llm._http_seal import USER_AGENT

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "beluga_llm"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
NO_PROVIDERS = {
    "mcp": "tools, which are asked for by name",
    "ray": "a stage of datasets, for the models of others",
    "redis": "stores, which are found by the URL",
}
"""Plugins without models, and what they have."""

FACES = {
    "beluga_llm": {"plugin", "testing", "streams", "middleware", "blocking", "cli"},
    "beluga_llm.plugin": set(),
    "beluga_llm.testing": {"demo", "mock", "pytest_plugin", "record"},
}
"""Lazy modules, and the public modules below each."""


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


CORE = toml(ROOT / "pyproject.toml")
plugins = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)


# --- PACK-01: the layout ---------------------------------------------------------------------


@pytest.mark.row("PACK-01")
def test_there_are_no_namespace_packages():
    sources = [ROOT / "src", *(plugin / "src" for plugin in PLUGINS)]
    folders = {path.parent for source in sources for path in source.rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@pytest.mark.row("PACK-01", "CHAT-29")
@plugins
def test_a_plugin_is_a_distribution_with_its_own_tests(plugin: Path):
    package = plugin / "src" / f"beluga_llm_{plugin.name}"
    assert (package / "py.typed").exists()
    assert (plugin / "README.md").read_text("utf-8").strip()
    assert list(plugin.glob("tests/test_*.py"))
    assert toml(plugin / "pyproject.toml")["project"]["name"] == f"beluga-llm-{plugin.name}"


CONTRACT = {"ChatModelConformance", "DialectConformance"}


@pytest.mark.row("PROV-23")
@pytest.mark.parametrize(
    "plugin",
    [path for path in PLUGINS if path.name not in NO_PROVIDERS],
    ids=lambda path: path.name,
)
def test_a_plugin_holds_its_contract_in_about_ten_lines(plugin: Path):
    """Each entry has a class of the kit, which is filled in, not changed."""
    path = plugin / "tests" / "test_contract.py"
    tree = ast.parse(path.read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes
    for one in classes:
        assert {ast.unparse(base) for base in one.bases} <= CONTRACT
        assert (one.end_lineno or 0) - one.lineno < 10
        assert not [node for node in one.body if isinstance(node, ast.FunctionDef)]
    imported = {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    ours = {name for name in imported if name.partition(".")[0] == "beluga_llm"}
    assert ours == {"beluga_llm.testing"}
    if plugin.name != "compatible":  # its classes are made of its table
        tested = {
            node.value.value
            for one in classes
            for node in one.body
            if isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "entry"
            and isinstance(node.value, ast.Constant)
        }
        entries = toml(plugin / "pyproject.toml")["project"]["entry-points"]
        targets = entries["beluga_llm.providers"]
        assert {targets[name] for name in tested} == set(targets.values())


@pytest.mark.row("PACK-01")
def test_the_core_is_typed():
    assert (PACKAGE / "py.typed").exists()


# --- PACK-02: the dependencies ---------------------------------------------------------------


@pytest.mark.row("PACK-02", "PAIN-15")
def test_the_core_has_these_dependencies_and_no_others():
    names = [re.split(r"[<>=!~\[; ]", line)[0] for line in CORE["project"]["dependencies"]]
    assert names == ["aiohttp", "anyio", "attrs", "jiter", "msgspec", "opentelemetry-api"]
    assert sorted(CORE["project"]["optional-dependencies"]) == [
        "cli",
        "prices",
        "testing",
        "tiktoken",
    ]


@pytest.mark.row("PACK-02")
def test_the_core_bounds_its_dependencies_from_below_only():
    assert [
        line for line in CORE["project"]["dependencies"] if not re.search(r">=[\d.]+$", line)
    ] == []


@pytest.mark.row("PACK-02", "REGI-09")
@plugins
def test_a_plugin_needs_a_range_of_the_core(plugin: Path):
    project = toml(plugin / "pyproject.toml")["project"]
    core = [line for line in project["dependencies"] if re.match(r"beluga-llm(?![\w-])", line)]
    assert len(core) == 1
    assert re.search(r">=[\d.]+", core[0])
    assert re.search(r"<[\d.]+", core[0])
    assert "==" not in core[0]


@pytest.mark.row("REGI-08")
@plugins
def test_the_entry_points_of_a_plugin_lead_to_its_own_package(plugin: Path):
    points = toml(plugin / "pyproject.toml")["project"].get("entry-points", {})
    if plugin.name in NO_PROVIDERS:
        assert "beluga_llm.providers" not in points
        return
    points = points["beluga_llm.providers"]
    assert points
    for name, target in points.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
        assert re.fullmatch(rf"beluga_llm_{plugin.name}(\.\w+)*:\w+", target)


@pytest.mark.row("REGI-08", "PROV-12")
def test_the_entry_points_of_the_core_exist():
    points = CORE["project"]["entry-points"]
    assert sorted(points["beluga_llm.providers"]) == ["demo", "mock", "openai-compatible"]
    for target in [
        *points["beluga_llm.providers"].values(),
        CORE["project"]["scripts"]["beluga-llm"],
    ]:
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_every_place_tells_the_same_version():
    version = beluga_llm.__version__
    assert CORE["project"]["dynamic"] == ["version"]
    assert f"beluga-llm/{version}" == USER_AGENT
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@plugins
def test_a_plugin_has_the_version_of_the_core(plugin: Path):
    assert toml(plugin / "pyproject.toml")["project"]["version"] == beluga_llm.__version__


# --- PACK-05: the quality bars ---------------------------------------------------------------


@pytest.mark.row("PACK-05")
def test_the_core_is_covered_by_branches():
    coverage = CORE["tool"]["coverage"]
    assert coverage["run"]["branch"] is True
    assert coverage["run"]["source"] == ["beluga_llm"]
    assert coverage["report"]["fail_under"] == 100


@pytest.mark.row("PACK-05")
def test_types_are_strict():
    assert CORE["tool"]["mypy"] == {"strict": True, "mypy_path": "src"}
    assert CORE["tool"]["pyright"]["typeCheckingMode"] == "strict"


_EXCEPTION = re.compile(
    r"#\s*(?:type:\s*ignore|pyright:\s*ignore|noqa|pragma:\s*no\s*(?:cover|branch))(.*)"
)
_REASON = re.compile(r"""
    (?: \[[\w-]+\] | : \s? [A-Z]+\d+ )?  # which rule
    \s+ (?: -- | \# ) \s+ \S+ .*       # why
""", re.VERBOSE)  # fmt: skip


@pytest.mark.row("PACK-05")
def test_every_exception_to_a_rule_has_its_reason():
    sources = [PACKAGE, *(plugin / "src" for plugin in PLUGINS)]
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for source in sources
        for path in sorted(source.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (found := _EXCEPTION.search(line)) and not _REASON.fullmatch(found[1])
    ]
    assert bare == []


# --- PACK-03: the public names ---------------------------------------------------------------


def face_source(face: str) -> ast.Module:
    module = importlib.import_module(face)
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text("utf-8"))


def lazy_table(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    """The table of a lazy face: submodule to names."""
    found = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_WHERE"
    )
    table: dict[str, tuple[str, ...]] = ast.literal_eval(found)
    return table


def typed_names(tree: ast.Module) -> set[tuple[str, str]]:
    """(submodule, name) of the imports for type checkers."""
    block = next(
        (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"),
        None,
    )
    return {
        ((node.module or "").removeprefix("beluga_llm."), alias.name)
        for node in (block.body if block else ())
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }


@pytest.mark.row("PACK-03")
@pytest.mark.parametrize("face", FACES)
def test_all_is_sorted_and_every_name_is_there(face: str):
    module = importlib.import_module(face)
    assert module.__all__ == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.row("PACK-03")
@pytest.mark.parametrize("face", FACES)
def test_nothing_else_is_visible(face: str):
    module = importlib.import_module(face)
    for name in module.__all__:
        getattr(module, name)
    machinery = {"TYPE_CHECKING", "annotations", "lazy_face"} - set(module.__all__)
    visible = {name for name in vars(module) if re.match(r"[A-Za-z]", name)} - machinery
    assert visible - FACES[face] == set(module.__all__)


@pytest.mark.row("PACK-03", "CHAT-29")
@pytest.mark.parametrize("face", FACES)
def test_type_checkers_see_the_names_that_are_loaded(face: str):
    tree = face_source(face)
    lazy = {(module, name) for module, names in lazy_table(tree).items() for name in names}
    assert typed_names(tree) == lazy


@pytest.mark.row("PACK-03")
def test_private_modules_start_with_an_underscore():
    public = {
        path.stem if path.name != "__init__.py" else path.parent.name
        for path in PACKAGE.glob("*")
        if path.suffix == ".py" or (path / "__init__.py").exists()
        if not path.name.startswith("_")
    }
    assert public <= FACES["beluga_llm"]


@pytest.mark.row("PACK-03")
def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'beluga_llm' has no attribute 'craete'"):
        beluga_llm.craete  # noqa: B018


# --- the two commands, and the sessions behind them ------------------------------------------


def readme_commands() -> list[str]:
    """The commands of the first shell block of the README, one per line."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```(?:bash|sh)\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = block[1].replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


@pytest.mark.row("DOCS-26")
def test_the_readme_opens_with_two_commands():
    start, test = readme_commands()
    assert start.endswith('.venv/bin/beluga-llm chat "Tell me a story"')
    assert test.endswith(".venv/bin/nox")


def test_ci_runs_the_second_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text("utf-8").splitlines()[-1] == readme_commands()[1]


@pytest.mark.row("PACK-04")
def test_there_is_a_session_for_everything():
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    sessions = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(one) for one in node.decorator_list)
    }
    assert sessions >= {
        "tests", "lowest", "plugins", "core", "lint", "types", "docs", "examples", "build",
        "rows", "bench",
    }  # fmt: skip


@pytest.mark.row("DOCS-23")
def test_the_changelog_is_kept():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]" or headings[0].startswith("[")
