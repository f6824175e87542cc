"""What stands in which page of the docs, and that their tables say what the code does."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.doc_blocks import python_blocks

import beluga_llm as llm
from beluga_llm import blocking, plugin, streams, testing
from beluga_llm._conversation.named import stores
from beluga_llm._named_stores import cache_stores, limit_stores
from beluga_llm._tokenizers import GROUP
from beluga_llm.cli._plugin_commands import registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SITE: dict[str, Any] = tomllib.loads((DOCS / "site" / "site.toml").read_text("utf-8"))


def section(page: str, heading: str) -> str:
    """The text below a heading of level two, to the next one; "" where it is not there."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def headings(page: str) -> list[str]:
    """The headings of level two."""
    return re.findall(r"^## (.*)$", (DOCS / f"{page}.md").read_text("utf-8"), re.MULTILINE)


def site() -> ModuleType:
    """docs/site/build.py."""
    spec = importlib.util.spec_from_file_location("site_build", DOCS / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the site ----------------------------------------------------------------------------------


@pytest.mark.row("DOCS-07", "DOCS-26")
def test_every_page_is_once_in_the_navigation():
    named = Counter(name for group in SITE["pages"] for name in group["names"])
    assert named == Counter(path.stem for path in DOCS.glob("*.md") if path.stem != "index")
    assert [group["title"] for group in SITE["pages"]] == [
        "Tutorials", "How-to guides", "Reference", "Explanation",
    ]  # fmt: skip


@pytest.mark.row("DOCS-07")
def test_every_page_is_linked_from_the_first_one():
    linked = set(re.findall(r"\]\(([a-z-]+)\.md\)", (DOCS / "index.md").read_text("utf-8")))
    assert {path.stem for path in DOCS.glob("*.md")} - linked == {"index"}


def names_of(module: str) -> list[str]:
    """The names of a face that the reference has."""
    sections = (one for one in SITE["api"] if one.get("module", "beluga_llm") == module)
    return sorted(name for one in sections for name in one["names"])


@pytest.mark.row("DOCS-04")
@pytest.mark.parametrize("face", [llm, streams, blocking, testing], ids=lambda face: face.__name__)
def test_every_public_name_is_once_in_the_reference(face: ModuleType):
    assert names_of(face.__name__) == sorted(face.__all__), "see docs/site/site.toml"


@pytest.mark.row("DOCS-04")
def test_the_names_for_plugins_are_there_unless_they_are_told_elsewhere():
    elsewhere = set(plugin.__all__) & set(llm.__all__)
    assert names_of("beluga_llm.plugin") == sorted(set(plugin.__all__) - elsewhere)


@pytest.mark.row("DOCS-04")
def test_the_reference_has_its_sections():
    titles = [one["title"].partition(" ")[0] for one in SITE["api"]]
    assert set(titles) >= {
        "ChatModel", "Registry", "Streaming", "Options", "Reasoning", "Middleware", "Hooks",
        "Structured", "Context", "Tokens", "Limits", "Routing", "Errors", "Testing",
    }  # fmt: skip


@pytest.mark.row("DOCS-04")
def test_a_broken_link_is_found(tmp_path: Path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="b.html"></a><a href="#here"></a><a href="https://x.example/"></a>'
        '<a href="c.html"></a><a href="b.html#there"></a><a href="#gone"></a></p>'
    )
    (tmp_path / "b.html").write_text("<p></p>")
    found = sorted(site().broken_links(tmp_path))
    assert found == ["a.html: #gone", "a.html: b.html#there", "a.html: c.html"]


@pytest.mark.row("DOCS-04")
def test_links_suit_the_site():
    text = "[a](tools.md#x) [b](../CHANGELOG.md) [c](../tests/conftest.py) [d](https://x.example/a)"
    assert site().adapted(text, DOCS) == (
        "[a](tools.md#x) [b](changelog.md) `c` [d](https://x.example/a)"
    )


@pytest.mark.row("DOCS-15")
def test_what_a_plugin_says_of_itself_is_a_page():
    text = "[`beluga-llm-openai`](../plugins/openai/README.md)"
    assert site().adapted(text, DOCS) == "[`beluga-llm-openai`](plugin-openai.md)"
    assert text in (DOCS / "providers.md").read_text("utf-8")
    assert "\nplugin-openai\n" in "".join(site().navigation())
    assert {path.parent.name for path in site().PLUGINS} == {
        path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")
    }


@pytest.mark.row("DOCS-04")
def test_public_names_in_the_text_lead_to_the_reference():
    text = "# `Usage`\n\nA `Usage`, [`Usage`](x.md), `usage`.\n\n```python\n`Usage`\n```\n"
    linked = text.replace("A `Usage`", "A {py:obj}`Usage <beluga_llm.Usage>`")
    assert site().with_references(text) == linked


# --- what the README has -----------------------------------------------------------------------


@pytest.mark.row("DOCS-26")
def test_the_readme_has_its_parts_in_their_order():
    text = (ROOT / "README.md").read_text("utf-8")
    parts = [
        "\npip install 'beluga-llm",
        'model = llm.create("demo")',
        "async with model.stream(",
        'llm.create("openai/',
        "| promise | held by |",
        "class AcmeDialect(Dialect):",
        "MockChatModel([",
        "docs/migration.md",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)
    assert len(text.splitlines()) < 220


@pytest.mark.row("DOCS-26")
def test_a_provider_is_40_lines():
    (code,) = (
        block.code for block in python_blocks(ROOT / "README.md") if "(Dialect)" in block.code
    )
    assert len([line for line in code.splitlines() if line.strip()]) <= 40


@pytest.mark.row("DOCS-26")
def test_each_promise_of_the_readme_is_held_by_its_test():
    text = (ROOT / "README.md").read_text("utf-8").partition("| promise | held by |")[2]
    rows = re.findall(r"^\| ([^|]+) \| \[(\w+)\]\(([\w/.]+)\) \|$", text, re.MULTILINE)
    assert len(rows) >= 8
    for promise, name, place in rows:
        test = (ROOT / place).read_text("utf-8")
        assert Path(place).stem == name
        assert "PAIN-" in test, promise


# --- topics ------------------------------------------------------------------------------------

TOPICS = [
    ("quickstart", "An answer"),
    ("options", "Which temperature"),
    ("options", "Where options come from"),
    ("switching-models", "1. By configuration"),
    ("switching-models", "2. For one call"),
    ("switching-models", "3. When one fails"),
    ("switching-models", "4. By what is asked"),
    ("streaming", "With tools"),
    ("streaming", "On a budget"),
    ("reasoning", "Sending it back"),
    ("structured", "A type as a question"),
    ("context", "Around a model"),
    ("context", "Tokens"),
    ("middleware", "Cache: the same question again"),
    ("middleware", "Limits: what a provider allows"),
    ("middleware", "Retry: a failure that may pass"),
    ("conversations", "Stores"),
    ("timeouts", "Cancellation"),
    ("batch", "Health"),
    ("configuration", "Keywords, environment, file"),
    ("security", "Keys"),
]


@pytest.mark.row("DOCS-07")
@pytest.mark.parametrize(("page", "heading"), TOPICS, ids=lambda value: value)
def test_each_topic_has_its_place(page: str, heading: str):
    text = section(page, heading)
    assert len(text) > 200
    if heading != "Which temperature":  # a table of advice
        assert "```python\n" in text


@pytest.mark.row("DOCS-07")
def test_the_quickstart_begins_without_a_key():
    first = python_blocks(DOCS / "quickstart.md")[0]
    assert 'create("demo")' in first.code
    assert first.shown


@pytest.mark.row("DOCS-02")
def test_the_provider_guide_has_its_topics():
    assert headings("provider-guide") == [
        "Dialect", "Options", "Streaming", "Errors", "Tools", "Testing", "Best practices",
        "Publishing",
    ]  # fmt: skip
    for heading in ("Dialect", "Streaming", "Errors"):
        assert "```python\n" in section("provider-guide", heading)


@pytest.mark.row("DOCS-03")
def test_models_are_made_and_handed_in_without_the_registry():
    assert "OpenAIChatModel(" in section("without-the-registry", "Direct construction")
    assert "llm.Generates" in section("without-the-registry", "Injection")
    assert "```python\n" in section("without-the-registry", "A registry of your own")


@pytest.mark.row("DOCS-10")
def test_the_guide_to_observability_has_its_topics():
    text = (DOCS / "observability.md").read_text("utf-8")
    assert {"Set up the SDK", "Spans", "Metrics", "Content", "Logs", "Other services"} <= set(
        headings("observability")
    )
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in text
    assert "llm.Hooks" in section("observability", "Other services")


# --- errors ------------------------------------------------------------------------------------


def error_table() -> dict[str, list[str]]:
    """The rows of the table of errors: its name to code, retried, fails over, advice."""
    text = section("errors", "Which error, and who deals with it")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return {name: cells.split(" | ") for name, cells in rows}


def errors() -> dict[str, type[llm.BelugaError]]:
    """All public classes of errors of calls."""
    found = ((name, getattr(llm, name)) for name in llm.__all__ if name.endswith("Error"))
    return {name: kind for name, kind in found if issubclass(kind, llm.BelugaError)}


@pytest.mark.row("DOCS-11")
def test_the_table_of_errors_has_all_of_them():
    assert sorted(error_table()) == sorted(errors())


async def answers(error: Exception, layer: llm.Middleware) -> str:
    """ "yes" where a call that first fails with the error is answered with the layer around it."""
    model = testing.MockChatModel([error, "answered"]).with_middleware(layer)
    try:
        return {"answered": "yes"}[(await model.generate("hi")).text]
    except llm.BelugaError:
        return "no"


@pytest.mark.row("DOCS-11")
@pytest.mark.parametrize("name", sorted(errors()))
async def test_the_table_of_errors_says_what_the_code_does(name: str):
    code, retried, over, advice = error_table()[name]
    error = errors()[name]("what happened")
    retry = llm.with_retry(clock=testing.VirtualClock(auto=True))
    assert retried == await answers(error, retry)
    if name == "AllModelsFailedError":
        assert (code, over) == ("of the last", "of the last")
    else:
        fallback = llm.with_fallback(testing.MockChatModel(["answered"]))
        assert (code, over) == (error.code, await answers(error, fallback))
    assert advice


@pytest.mark.row("DOCS-11")
@pytest.mark.parametrize("layer", ["retry", "fallback"])
async def test_nothing_is_tried_again_once_content_was_shown(layer: str):
    around = {
        "retry": llm.with_retry(clock=testing.VirtualClock(auto=True)),
        "fallback": llm.with_fallback("demo"),
    }
    async with testing.FakeServer() as server:
        server.reply("Once upon a time there was a whale", cut_after=900)
        async with llm.create("openai-compatible/m", base_url=server.base_url("chat")) as model:
            with pytest.raises(llm.StreamInterruptedError):
                await model.with_middleware(around[layer]).stream("A story").response()
        assert len(server.requests) == 1


@pytest.mark.row("DOCS-11")
@pytest.mark.parametrize("heading", ["Retry", "A breaker, and another model", "A text instead"])
def test_the_cookbook_has_its_recipes(heading: str):
    assert "```python\n" in section("errors", heading)


TROUBLES = [
    ("Provider not found", "unknown provider 'opnai'"),
    ("`api_key is required`", "set MISTRAL_API_KEY or pass api_key="),
    ("The stream stops", "stream ended before the answer was complete"),
    ("The stream stops", "no content within 0.1 s (first_chunk)"),
    ("Tools are not called", "answers 'c1', which is no open call"),
    ("No metrics, no traces", "_ProxyMeterProvider"),
    ("Event loop is closed, unclosed connections", "the session given to the model is closed"),
    ("429, too many requests", "RateLimitError"),
]


@pytest.mark.row("DOCS-06")
@pytest.mark.parametrize(("heading", "said"), TROUBLES)
def test_each_trouble_is_provoked_and_its_text_shown(heading: str, said: str):
    """test_docs.py provokes it, and compares the text."""
    text = section("troubleshooting", heading)
    shown = re.findall(
        r"^```python\n.*?^```\n\n```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert said in "".join(shown)


@pytest.mark.row("DOCS-06")
def test_the_warning_of_an_unclosed_model_is_quoted_as_it_is():
    from beluga_llm._http.pool import Reminder

    with pytest.warns(ResourceWarning) as told:
        Reminder("openai/gpt-4o-mini").tell()
    assert str(told[0].message) in (DOCS / "troubleshooting.md").read_text("utf-8")


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.row("DOCS-18")
def test_what_is_a_middleware_and_what_a_hook_stands_in_a_table():
    text = (DOCS / "extending.md").read_text("utf-8")
    assert re.search(r"^\| change or surround a call.*\| a middleware \|$", text, re.MULTILINE)
    assert re.search(r"^\| observe a moment.*\| a hook \|$", text, re.MULTILINE)
    for heading in ("A middleware", "A hook", "A model"):
        assert "```python\n" in section("extending", heading)


@pytest.mark.row("DOCS-18")
def test_the_groups_of_entry_points_are_those_that_are_read():
    table = section("extending", "Entry points")
    named = re.findall(r"^\| `(beluga_llm\.\w+)` \|", table, re.MULTILINE)
    registries = (llm.Registry(), stores, limit_stores, cache_stores, registry)
    assert sorted(named) == sorted([*(one.group for one in registries), GROUP])


@pytest.mark.row("DOCS-21")
def test_the_checklist_has_its_topics():
    found = headings("production")
    for topic in ("Timeouts", "Limits, retries, fallbacks", "Telemetry", "Secrets", "Closing"):
        assert topic in found
        assert section("production", topic).count("- [ ] ") >= 3


@pytest.mark.row("DOCS-22")
def test_what_is_out_of_scope_is_said():
    text = section("status", "Out of scope")
    for word in (
        "agents", "RAG", "voice", "vector stores", "embeddings", "semantic cache",
        "provider batch APIs", "hot reload", "no chat models", "other async backends",
    ):  # fmt: skip
        assert word in text
    whole = (DOCS / "status.md").read_text("utf-8")
    assert {"| stable |", "| beta |"} <= set(re.findall(r"\| (?:stable|beta) \|", whole))
    assert "\nPlanned: " in whole


@pytest.mark.row("DOCS-15")
def test_the_page_of_providers_helps_to_choose():
    text = section("providers", "Which provider")
    names = set(re.findall(r"`([a-z-]+)`", text))
    assert names <= {*llm.list_providers()}
    assert len(names) >= 12
    assert headings("providers") == [
        "Which provider", "Vendors", "Clouds", "Gateways", "Local servers", "Testing",
    ]  # fmt: skip
