"""Real wheels in a clean environment: what is installed is found, and what is broken hurts nobody.

The core, our echo plugin and plugins written here are built and installed into a new environment.
The core's dependencies are linked into it from the running one, so that no index is needed; other
distributions of the running environment, such as editable plugins, are not visible there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

pytest.importorskip("hatchling", reason="wheels are built with hatchling")
pytest.importorskip("pip", reason="wheels are installed with pip")

ROOT = Path(__file__).parents[2]
WORKS = """
from beluga_llm import ChatModel, FinishReason, StreamChunk

class GoodModel(ChatModel):
    async def _stream(self, request):
        yield StreamChunk(delta=f"{self.qualified_id} says ")
        yield StreamChunk(delta="hello", finish_reason=FinishReason.STOP)

def create(config):
    return GoodModel(config)
"""
PLUGINS = {
    "good-llm": ("good", WORKS),
    "broken-llm": ("broken", "import a_module_that_is_not_there\n" + WORKS),
    "old-llm": ("old", "beluga_plugin_api = 0\n" + WORKS),
    "twice-a-llm": ("twice", WORKS),
    "twice-b-llm": ("twice", WORKS),
}
CONTRACT = """
from beluga_llm.testing import ChatModelConformance

class Test{name}(ChatModelConformance):
    entry = "{entry}"
    fields = {{"model": "m"}}
"""
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1.2.0"
dependencies = ["beluga-llm>=0.1,<0.2"]

[project.entry-points."beluga_llm.providers"]
{entry} = "{module}:create"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""


def run(*command: Any, cwd: Path) -> str:
    keep = {"PATH", "HOME", "SYSTEMROOT", "TMPDIR"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name in keep},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project: Path, into: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into, cwd=project)


def write_plugin(where: Path, name: str, entry: str, source: str) -> Path:
    project, module = where / name, name.replace("-", "_")
    project.mkdir()
    (project / f"{module}.py").write_text(source, encoding="utf-8")
    text = PYPROJECT.format(name=name, entry=entry, module=module)
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    return project


def dependencies(name: str) -> Iterator[Distribution]:
    """The installed distributions that one needs, at any depth."""
    seen, waiting = {name}, [distribution(name)]
    while waiting:
        for text in waiting.pop().requires or ():
            needed = Requirement(text)
            applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if applies and needed.name not in seen:
                seen.add(needed.name)
                waiting.append(found := distribution(needed.name))
                yield found


def link(found: Distribution, site: Path) -> None:
    """Makes a distribution of the running environment visible in another one."""
    for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
        source = Path(str(found.locate_file(top)))
        if top != "__pycache__" and not (site / top).exists():
            (site / top).symlink_to(source)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the core and all plugins installed from wheels."""
    home = tmp_path_factory.mktemp("wheels")
    wheels = home / "wheels"
    build(ROOT, wheels)
    build(ROOT / "plugins" / "echo", wheels)
    for name, (entry, source) in PLUGINS.items():
        build(write_plugin(home, name, entry, source), wheels)
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    python = home / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(
        run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=home).strip()
    )
    for found in dependencies("beluga-llm"):
        link(found, site)
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "-q")
    run(*pip, "install", "--no-index", "--no-compile", *wheels.iterdir(), cwd=home)
    return python


def told(python: Path, script: str) -> Any:
    """What a script prints in the clean environment, with warnings as errors."""
    return json.loads(run(python, "-I", "-W", "error", "-c", script, cwd=python.parent))


@pytest.mark.row("REGI-09", "REGI-10", "PAIN-13")
def test_a_plugin_is_found_listed_created_and_used(python: Path):
    found = told(
        python,
        """
import asyncio, json, sys
import beluga_llm as llm

names = llm.list_providers()
info = llm.provider_info("good")
early = "good_llm" in sys.modules
model = llm.create("good/m")
reply = asyncio.run(model.generate("hi"))
print(json.dumps({
    "path": llm.__file__, "names": names, "early": early, "text": reply.text,
    "info": [info.distribution, info.version, info.target, info.source, info.status],
    "status": llm.provider_info("good").status,
    "others": sorted({"broken_llm", "old_llm", "beluga_llm_echo"} & set(sys.modules)),
}))
""",
    )
    assert "site-packages" in found["path"]
    assert {"broken", "demo", "echo", "good", "mock", "old", "twice"} <= set(found["names"])
    assert found["names"] == sorted(found["names"])
    assert not found["early"]
    assert found["info"] == ["good-llm", "1.2.0", "good_llm:create", "entry_point", "unloaded"]
    assert found["text"] == "good/m says hello"
    assert found["status"] == "ok"
    assert found["others"] == []


@pytest.mark.row("REGI-09", "PROV-13")
def test_the_echo_plugin_works_from_its_wheel(python: Path):
    script = """
import asyncio, json
import beluga_llm as llm

model = llm.create("echo", prefix="> ")
async def main():
    async with model.stream("good morning") as stream:
        return [chunk.delta async for chunk in stream if chunk.delta]
print(json.dumps([model.qualified_id, asyncio.run(main())]))
"""
    assert told(python, script) == ["echo/echo", [">", " good", " morning"]]


@pytest.mark.row("REGI-16", "REGI-17", "REGI-24", "REGI-26", "PAIN-13")
def test_broken_plugins_hurt_only_themselves_and_are_reported(python: Path):
    found = told(
        python,
        """
import json
import beluga_llm as llm

before = {name: error.message for name, error in llm.plugin_errors().items()}
raised = {}
for name in ("broken", "old", "twice"):
    try:
        llm.create(name)
    except llm.PluginError as error:
        raised[name] = [type(error).__name__, error.message]
llm.create("good")
print(json.dumps({
    "before": before, "raised": raised, "version": llm.__version__,
    "after": {name: error.message for name, error in llm.plugin_errors(load=True).items()},
    "status": {name: llm.provider_info(name).status for name in (*raised, "good")},
}))
""",
    )
    twice = (
        "provider 'twice' is provided by two distributions: twice-a-llm 1.2.0, "
        "twice-b-llm 1.2.0; uninstall one or register 'twice' with replace=True"
    )
    assert found["before"] == {"twice": twice}
    missing = "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    old = f"plugin API 0 is not supported by beluga-llm {found['version']} (needs 1)"
    assert found["raised"] == {
        "broken": [
            "PluginLoadError",
            f"provider 'broken' (broken-llm 1.2.0) failed to load: {missing}",
        ],
        "old": ["PluginLoadError", f"provider 'old' (old-llm 1.2.0) failed to load: {old}"],
        "twice": ["DuplicateProviderError", twice],
    }
    assert {name: found["after"][name] for name in found["raised"]} == {
        name: message for name, (_, message) in found["raised"].items()
    }
    assert found["status"] == {
        "broken": "broken",
        "old": "broken",
        "twice": "conflict",
        "good": "ok",
    }


@pytest.mark.row("REGI-09", "NONE-05", "TEST-06", "TEST-07")
def test_a_third_party_runs_the_contract_kit_from_the_wheel(python: Path, tmp_path: Path):
    """With pytest and nothing else; warnings are errors."""
    site = Path(told(python, "import json, site; print(json.dumps(site.getsitepackages()[0]))"))
    for found in (distribution("pytest"), *dependencies("pytest")):
        link(found, site)
    for entry in ("good", "echo"):
        text = CONTRACT.format(name=entry.title(), entry=entry)
        (tmp_path / f"test_{entry}.py").write_text(text, encoding="utf-8")
    output = run(python, "-I", "-W", "error", "-m", "pytest", "-q", "-rs", tmp_path, cwd=tmp_path)
    assert " passed" in output
    assert "no HTTP service: `api` is not set" in output


@pytest.mark.timeout(180)
@pytest.mark.row("CLI-09", "CLI-05", "NONE-05", "TEST-06", "TEST-07")
def test_a_new_plugin_is_made_built_installed_and_tested(python: Path, tmp_path: Path):
    """All from wheels, outside this repository: both forms, and the kit on what is installed."""
    site = Path(told(python, "import json, site; print(json.dumps(site.getsitepackages()[0]))"))
    for name in ("click", "rich", "pytest", "pytest-asyncio"):
        for found in (distribution(name), *dependencies(name)):
            link(found, site)
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "-q")
    beluga = (python, "-I", "-m", "beluga_llm")
    for name, form in (("acme", []), ("my-vendor", ["--chat-compatible"])):
        run(*beluga, "new-provider", name, *form, cwd=tmp_path)
        folder = tmp_path / f"beluga-llm-{name}"
        build(folder, tmp_path / name)
        wheels = (tmp_path / name).iterdir()
        run(*pip, "install", "--no-index", "--no-deps", "--no-compile", *wheels, cwd=tmp_path)
        output = run(python, "-I", "-m", "pytest", "-q", cwd=folder)
        assert " passed" in output
    assert "0 failed" in run(*beluga, "conformance", "my-vendor", "-k", "usage", cwd=tmp_path)


@pytest.mark.row("REGI-07")
def test_the_wheel_knows_what_to_install(python: Path):
    script = """
import json
import beluga_llm as llm

try:
    llm.create("cohere/command")
except llm.ProviderNotFoundError as error:
    print(json.dumps(error.message))
"""
    assert "install it with: pip install beluga-llm-cohere" in told(python, script)
