"""What is sent to actors, and what is refused before anything is."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from typing import Any

import pytest

import beluga_llm as llm
import beluga_llm_ray
from beluga_llm.plugin import LocalLimits
from beluga_llm.testing import MockChatModel
from beluga_llm_ray._actor import Answers
from beluga_llm_ray._settings import Settings, make_model, make_store

pytestmark = pytest.mark.row("DIST-03")


def make_demo() -> llm.ChatModel:
    return llm.create("demo")


def make_nothing() -> Any:
    return "openai/gpt"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"model": ""}, "model must be a name"),
        ({"model": 3}, "model must be a name"),
        ({"prompt": ""}, "prompt must be a column"),
        ({"prompt": 3}, "prompt must be a column"),
        ({"max_concurrency": 0}, "max_concurrency must be"),
        ({"max_concurrency": True}, "max_concurrency must be"),
        ({"limits": 600}, "limits must be"),
        ({"limits": {"rpm": -1}}, "rpm must be"),
        ({"limits": {"rpx": 1}}, "limits: .*rpx"),
        ({"store": 3}, "store must be"),
        ({"prefix": 3}, "prefix must be a string"),
        ({"options": {"temperature": 1}}, "options must be GenerateOptions, got dict"),
        ({"schema": 3}, "has no JSON Schema"),
        ({"model": make_demo, "limits": {"rpm": 1}}, "have it put with_limits around it"),
        ({"model": {"model": "mock", "limits": {}}, "store": "redis://"}, "given twice"),
    ],
)
def test_wrong_settings_are_told_at_once(wrong: dict[str, Any], told: str):
    with pytest.raises(llm.ConfigError, match=told):
        Settings(**{"model": "demo", "prompt": "q", **wrong})


@pytest.mark.parametrize("wrong", [4, {"batch_size": 4}, {"fn": print}, {"compute": None}])
def test_arguments_of_ray_that_the_stage_gives_itself_are_refused(wrong: Any):
    with pytest.raises(llm.ConfigError, match="ray_options must be a mapping"):
        beluga_llm_ray.generate(None, model="demo", prompt="q", ray_options=wrong)  # type: ignore[arg-type]


def test_a_model_cannot_be_sent_but_what_makes_it_can():
    with pytest.raises(llm.ConfigError, match="a function that makes it"):
        Settings(model=make_demo(), prompt="q")  # type: ignore[arg-type]  # the point


def test_all_problems_are_told_together():
    with pytest.raises(llm.ConfigError, match="max_concurrency .*; store "):
        Settings(model="demo", prompt="q", max_concurrency=0, store=3)  # type: ignore[arg-type]


def test_an_unknown_option_is_told_at_once():
    with pytest.raises(TypeError, match="temprature"):
        Settings(model="demo", prompt="q", keywords={"temprature": 1})
    Settings(model="demo", prompt="q", keywords={"reasoning_effort": "low", "timeout": 3})


def test_settings_and_the_class_of_actors_go_to_another_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    settings = Settings(
        model="openai/gpt-5.4-mini",
        prompt="q",
        limits=llm.ProviderLimits(rpm=3),
        options=llm.GenerateOptions(temperature=0),
    )
    data = pickle.dumps((Answers, settings))
    assert pickle.loads(data) == (Answers, settings)
    assert b"sk-secret" not in data


def test_neither_keys_nor_passwords_are_shown():
    config = {"provider": "openai", "api_key": "sk-secret"}
    settings = Settings(model=config, prompt="q", store="redis://:sk-secret@host")
    assert "sk-secret" not in repr(settings)


def test_a_name_is_retried_and_a_mapping_says_itself(beluga_registry: Any):
    error = llm.RateLimitError("slow down", retry_after=0.001)
    llm.register("flaky", lambda config: MockChatModel([error, "well"]))

    async def text(source: Any) -> str:
        model = make_model(Settings(model=source, prompt="q"), llm.with_limits(adaptive=False))
        return (await model.generate("Hi")).text

    assert asyncio.run(text("flaky/m")) == "well"
    with pytest.raises(llm.RateLimitError):
        asyncio.run(text({"provider": "flaky", "model": "m"}))


def test_a_function_makes_the_whole_model():
    assert make_model(Settings(model=make_demo, prompt="q"), None).provider == "demo"
    with pytest.raises(llm.ConfigError, match="gave str, not a ChatModel"):
        make_model(Settings(model=make_nothing, prompt="q"), None)


def test_a_store_is_made_by_a_function_or_a_url(monkeypatch: pytest.MonkeyPatch):
    assert make_store(None) is None
    assert isinstance(make_store(LocalLimits), LocalLimits)
    monkeypatch.setitem(sys.modules, "beluga_llm_redis", None)
    with pytest.raises(ImportError, match=r'pip install "beluga-llm-ray\[redis\]"'):
        make_store("redis://localhost")


def test_a_url_is_that_of_redis():
    redis = pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")
    assert isinstance(make_store("redis://localhost:6379/0"), redis.RedisLimiter)


def test_ray_is_imported_when_a_dataset_is_given(monkeypatch: pytest.MonkeyPatch):
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "beluga-llm-ray\[ray\]"'):
        beluga_llm_ray.generate(None, model="demo", prompt="q")


@pytest.mark.parametrize("actors", [0, True, (2, 1), (0, 1), "2", (1, 2, 3)])
def test_the_number_of_actors_is_checked(actors: Any):
    with pytest.raises(llm.ConfigError, match="actors must be"):
        beluga_llm_ray.generate(None, model="demo", prompt="q", actors=actors)


def test_the_size_of_blocks_is_checked():
    with pytest.raises(llm.ConfigError, match="batch_size must be"):
        beluga_llm_ray.generate(None, model="demo", prompt="q", batch_size=0)


def test_the_import_is_light():
    code = """
import sys, beluga_llm, aiohttp
before = set(sys.modules)
import beluga_llm_ray
heavy = {"ray", "pyarrow", "numpy", "pandas"} & {n.partition(".")[0] for n in sys.modules}
print(sorted(set(sys.modules) - before), heavy)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "['beluga_llm.plugin', 'beluga_llm_ray'] set()\n"
