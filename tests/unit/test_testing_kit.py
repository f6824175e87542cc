"""The face of the testing kit, its pytest plugin, and the check of a model's form."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import ChatModel, ChatRequest, StreamChunk, testing
from beluga_llm.testing import DemoChatModel, assert_conforms


@pytest.mark.row("TEST-34")
def test_the_plugin_imports_only_pytest() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import beluga_llm.testing.pytest_plugin\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in eval(done.stdout) if not name.startswith("__editable__")]
    assert all(name.startswith("beluga_llm") for name in loaded), loaded
    assert not any(name.startswith("beluga_llm.testing._") for name in loaded), loaded


def test_the_face_is_a_sorted_list_of_what_is_there() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
    assert dir(testing) == testing.__all__
    with pytest.raises(AttributeError, match="nothing"):
        _ = testing.nothing


# --- assert_conforms -----------------------------------------------------------------------------


class Good(ChatModel):
    provider = "good"
    model_id = "g1"

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        yield StreamChunk("hi")


class NoGenerator(Good):
    async def _stream(self, request: ChatRequest) -> Any:  # type: ignore[override]  # the mistake
        return [StreamChunk("hi")]


class AsyncStream(Good):
    async def stream(self, messages: Any, *, options: Any = None, **keywords: Any) -> Any:  # type: ignore[override]  # the mistake
        return self


class NoOptions(Good):
    async def generate(self, messages: Any) -> Any:  # type: ignore[override]  # the mistake
        return messages


class NoName(Good):
    model_id = ""


class NoCopy(Good):
    def bind_tools(self, tools: Any, *, replace: bool = False) -> Any:
        return self


class Nothing(Good):
    capabilities = None  # type: ignore[assignment]  # the mistake


class NoRequest(Good):
    async def _stream(self) -> Any:  # type: ignore[override]  # the mistake
        yield StreamChunk("hi")


class NoCoroutine(Good):
    def count_tokens(self, *args: Any) -> Any:
        return 1


class OtherTools(Good):
    def bind_tools(self, tools: Any) -> Any:  # type: ignore[override]  # the mistake
        return super().bind_tools(tools)


class OtherId(Good):
    qualified_id = "other/g1"  # type: ignore[assignment]  # the mistake


class NoModelInside(Good):
    def unwrap(self) -> Any:
        return "g1"


class Renamed(Good):
    def with_options(self, *args: Any, **options: Any) -> Any:
        copy = super().with_options(*args, **options)
        copy.model_id = "g2"
        return copy


class Counting(Good):
    copies = 0

    def with_options(self, *args: Any, **options: Any) -> Any:
        self.copies += 1
        return super().with_options(*args, **options)


@pytest.mark.row("CHAT-08")
def test_good_models_conform() -> None:
    assert_conforms(Good())
    assert_conforms(DemoChatModel())
    assert_conforms(llm.DelegatingChatModel(Good()))


@pytest.mark.row("CHAT-08")
@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (NoGenerator, "_stream must be an async generator"),
        (AsyncStream, "stream must be a plain method"),
        (NoOptions, "generate must take"),
        (NoName, "model_id must be a non-empty str"),
        (NoCopy, "bind_tools must give a copy"),
        (Nothing, "capabilities must be Capabilities"),
        (NoRequest, "_stream must take one argument"),
        (NoCoroutine, "count_tokens must be `async def`"),
        (OtherTools, "bind_tools must take"),
        (OtherId, "qualified_id must be provider/model_id, got 'other/g1'"),
        (NoModelInside, r"unwrap\(\) must give a ChatModel, got str"),
        (Renamed, "with_options must keep provider and model_id"),
        (Counting, "copies must not change the original"),
    ],
)
def test_what_is_wrong_is_said(kind: type[ChatModel], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        assert_conforms(kind())


@pytest.mark.row("CHAT-08")
def test_other_things_are_no_models() -> None:
    with pytest.raises(AssertionError, match="is not a ChatModel"):
        assert_conforms("openai/gpt-4o")


@pytest.mark.row("CHAT-08")
def test_a_model_without_stream_cannot_be_made() -> None:
    class Half(ChatModel):
        pass

    with pytest.raises(TypeError, match="_stream"):
        Half()  # type: ignore[abstract]  # the mistake
