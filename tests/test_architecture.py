"""The floors of the house: values <- protocol <- shell <- faces, and no arrow runs back.

Every import counts, also inside functions and under TYPE_CHECKING. A module that is missing in the
table fails the test: say on which floor it stands.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
CORE = "beluga_llm"

FLOORS = {
    "values": """
        _answer_facts _answer_so_far _capabilities _chunks _config _config_checks _docstrings
        _errors _faults _fold _frozen _ids _json _lazy _messages _option_ranges _option_types
        _options _partial_json _parts _redaction _replay _request _request_context _schema
        _serialize _tool_merge _tool_types _type_schema _types _usage _version
    """,
    "protocol": "_dialects _http",
    "shell": """
        _accept _around _batch _breaker _caching _call _call_context _chat_stream _clock _closing
        _compatible _context _conversation _deadline _delegating _environment _events _health
        _http_model _http_seal _installed _keywords _layers _log_records _loop_thread _model
        _named_stores
        _plugins _pricing _protocols _provider _rate _registry _resilient _routing _signers
        _sqlite _structured _telemetry _token_checks _tokenizers _tokens _tools _transcript
        _validate _waiting _watching _windows middleware
    """,
    "faces": "__init__ __main__ blocking cli plugin streams testing",
}

EXCEPTIONS = {
    ("_config", "_environment"): "ProviderConfig.from_env is a door; it imports when it is called",
}
"""(from, to) of arrows that run back, and why."""

AIOHTTP = {
    "_http.transport": "the one transport",
    "_registry": "the same, where `create` takes it",
    "_http.pool": "the type of a session, for type checkers",
    "_http.response": "the type of an answer, for type checkers",
    "_config": "the type of a caller's session, for type checkers",
    "testing": "fake servers and fixtures",
    "cli": "allowed, should a command need it",
}
"""Where aiohttp may be imported, and why."""

TYPES_ONLY = ("_config", "_registry", "_http.pool", "_http.response")

PUBLIC_TO_PLUGINS = {CORE, f"{CORE}.plugin", f"{CORE}.testing"}


class Import(NamedTuple):
    """One import of a module of interest."""

    importer: str
    imported: str
    checked_only: bool
    top_level: bool


def module_name(path: Path, base: Path) -> str:
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str, base: Path) -> bool:
    places = [root.joinpath(*name.split(".")) for root in (base, SRC)]
    return any(p.with_suffix(".py").exists() or (p / "__init__.py").exists() for p in places)


def imports_of(path: Path, base: Path) -> Iterator[Import]:
    """The absolute and relative imports of a file."""
    name = module_name(path, base)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    def walk(node: ast.AST, checked_only: bool, top_level: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(name, alias.name, checked_only, top_level)
            elif isinstance(child, ast.ImportFrom):
                origin = child.module or ""
                if child.level:
                    up = package.split(".")[: len(package.split(".")) - child.level + 1]
                    origin = ".".join([*up, origin] if origin else up)
                for alias in child.names:
                    inner = f"{origin}.{alias.name}"
                    imported = inner if is_module(inner, base) else origin
                    yield Import(name, imported, checked_only, top_level)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for statement in child.body:
                    yield from walk(ast.Module([statement], []), True, top_level)
                for statement in child.orelse:
                    yield from walk(ast.Module([statement], []), checked_only, top_level)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from walk(child, checked_only, top_level and not inside)

    yield from walk(ast.parse(path.read_text("utf-8")), False, True)


def core_imports() -> list[Import]:
    files = sorted((SRC / CORE).rglob("*.py"))
    return [found for path in files for found in imports_of(path, SRC)]


def unit_of(module: str) -> str:
    """The name under which a module of the core stands in the table: its first part."""
    return module.removeprefix(CORE).removeprefix(".").partition(".")[0] or "__init__"


UNITS = {unit: height for height, floor in enumerate(FLOORS.values()) for unit in floor.split()}


def floor_of(module: str) -> int:
    """How high a module stands; what is not in the table stands nowhere, below all."""
    return UNITS.get(unit_of(module), -1)


CORE_IMPORTS = core_imports()
INSIDE = [one for one in CORE_IMPORTS if one.imported.split(".")[0] == CORE]


@pytest.mark.row("DIAL-08")
def test_every_module_stands_on_a_floor():
    modules = {module_name(path, SRC) for path in (SRC / CORE).rglob("*.py")}
    assert not sorted(module for module in modules if unit_of(module) not in UNITS)


@pytest.mark.row("DIAL-08")
def test_no_arrow_runs_back():
    back = {
        (unit_of(one.importer), unit_of(one.imported))
        for one in INSIDE
        if floor_of(one.importer) < floor_of(one.imported)
    }
    assert back - set(EXCEPTIONS) == set()


@pytest.mark.row("DIAL-08")
def test_exceptions_wait_until_they_are_called():
    eager = {
        (unit_of(one.importer), unit_of(one.imported))
        for one in INSIDE
        if one.top_level and not one.checked_only
    }
    assert eager & set(EXCEPTIONS) == set()


@pytest.mark.row("DIAL-08")
def test_modules_load_without_a_circle():
    """Imports at the top of modules have an order."""
    graph: dict[str, set[str]] = {}
    for one in INSIDE:
        if one.top_level and not one.checked_only and one.imported != one.importer:
            graph.setdefault(one.importer, set()).add(one.imported)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for imported in sorted(graph.get(module, ())):
                visit(imported, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.row("DIAL-03", "DIAL-08")
def test_aiohttp_stays_in_the_transport():
    importers = {
        one.importer.removeprefix(f"{CORE}.")
        for one in CORE_IMPORTS
        if one.imported.split(".")[0] == "aiohttp"
    }
    assert (
        sorted(
            module
            for module in importers
            if module not in AIOHTTP and module.partition(".")[0] not in AIOHTTP
        )
        == []
    )
    outside = [
        one
        for one in CORE_IMPORTS
        if one.imported.split(".")[0] == "aiohttp"
        and not one.checked_only
        and one.importer.removeprefix(f"{CORE}.")
        in ("_config", "_registry", "_http.pool", "_http.response")
    ]
    assert outside == []


@pytest.mark.row("DIAL-03")
def test_the_transport_imports_aiohttp_when_it_is_used():
    eager = [
        one.importer
        for one in CORE_IMPORTS
        if one.imported.split(".")[0] == "aiohttp"
        and one.top_level
        and not one.checked_only
        and unit_of(one.importer) == "_http"
    ]
    assert eager == []


@pytest.mark.row("DIAL-08", "OBSE-01")
def test_opentelemetry_is_imported_nowhere_but_in_telemetry():
    importers = {
        one.importer
        for one in CORE_IMPORTS
        if one.imported.split(".")[0] == "opentelemetry" and unit_of(one.importer) != "testing"
    }
    assert importers <= {f"{CORE}._telemetry"}


@pytest.mark.row("PACK-02")
def test_the_core_imports_only_what_it_depends_on():
    allowed = {CORE, "aiohttp", "anyio", "attr", "attrs", "jiter", "msgspec", "opentelemetry"}
    allowed |= {"yarl"}  # a part of aiohttp's own interface
    extras = {
        "_batch": {"rich"},
        "cli": {"click", "rich", "pytest"},  # pytest for `conformance`, which says if it is absent
        "testing": {"pytest", "pytest_asyncio", "aioresponses"},
    }
    foreign = {
        (one.importer, one.imported)
        for one in CORE_IMPORTS
        if (top := one.imported.split(".")[0]) not in sys.stdlib_module_names
        and top not in allowed | extras.get(unit_of(one.importer), set())
    }
    assert foreign == set()


def test_anext_is_given_no_default():
    """Where `__anext__` itself raises, as that of a closed stream, CPython 3.11 to 3.13 crash."""
    given = [
        f"{path.name}:{node.lineno}"
        for path in (*(SRC / CORE).rglob("*.py"), *plugin_files())
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and (node.func.id, len(node.args)) == ("anext", 2)
    ]
    assert given == []


def plugin_files() -> list[Path]:
    return sorted(ROOT.glob("plugins/*/src/**/*.py"))


@pytest.mark.row("DIAL-08", "PROV-23", "REGI-09")
@pytest.mark.parametrize("path", plugin_files(), ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_plugins_use_public_faces_only(path: Path):
    base = next(parent for parent in path.parents if parent.name == "src")
    used = {one.imported for one in imports_of(path, base) if one.imported.split(".")[0] == CORE}
    assert used <= PUBLIC_TO_PLUGINS


def test_relative_and_nested_imports_are_seen(tmp_path: Path):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("")
    (package / "one.py").write_text(
        "from . import other\nif TYPE_CHECKING:\n    import aiohttp\n"
        "def f():\n    from pkg.other import name\n"
    )
    assert list(imports_of(package / "one.py", tmp_path)) == [
        Import("pkg.one", "pkg.other", False, True),
        Import("pkg.one", "aiohttp", True, True),
        Import("pkg.one", "pkg.other", False, False),
    ]
