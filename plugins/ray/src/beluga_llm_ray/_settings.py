"""What goes to the actors: plain data, and functions that Ray can pickle.

No key is in here, unless somebody has written one into the model's configuration: an actor makes
its model itself, and finds the key in its own environment.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import beluga_llm as llm
from beluga_llm.plugin import LimitStore

ModelSource: TypeAlias = str | Mapping[str, Any] | Callable[[], llm.ChatModel]
"""A name, what `create_from_config` takes, or a function that makes a model."""

Prompt: TypeAlias = str | Callable[[dict[str, Any]], Any]
"""A column, or a function of a row, which gives what `ChatModel.generate` takes."""

Store: TypeAlias = str | Callable[[], LimitStore]
"""The URL of a Redis server, or a function that makes a store."""

OP = "ray.generate"
_SHORTCUTS = ("reasoning_effort", "reasoning_budget")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an actor needs to know.

    Raises:
        ConfigError: lists all settings that are wrong; or the type has no JSON Schema.
        TypeError: an option is unknown.
    """

    model: ModelSource = field(repr=False)  # a key may be in it
    prompt: Prompt
    schema: Any = None
    max_concurrency: int = 32
    limits: llm.ProviderLimits | Mapping[str, Any] | None = None
    store: Store | None = field(default=None, repr=False)  # a URL may hold a password
    prefix: str = ""
    options: llm.GenerateOptions | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise llm.ConfigError("; ".join(problems), op=OP)
        llm.GenerateOptions(**{k: v for k, v in self.keywords.items() if k not in _SHORTCUTS})
        if self.schema is not None and not isinstance(self.schema, dict):
            from beluga_llm.testing import MockChatModel

            llm.structured(MockChatModel([]), self.schema)  # an error here, not in every actor
        if isinstance(self.limits, Mapping):
            try:
                llm.ProviderLimits(**self.limits)
            except TypeError as error:
                raise llm.ConfigError(f"limits: {error}", op=OP) from None

    def _problems(self) -> Iterator[str]:
        if isinstance(self.model, llm.ChatModel):
            yield "model: give its name, or a function that makes it: connections cannot be sent"
        elif not self.model or not (callable(self.model) or isinstance(self.model, str | Mapping)):
            yield f"model must be a name, a mapping or a function, got {self.model!r:.40}"
        if not self.prompt or not (callable(self.prompt) or isinstance(self.prompt, str)):
            yield f"prompt must be a column or a function of a row, got {self.prompt!r:.40}"
        if type(self.max_concurrency) is not int or self.max_concurrency < 1:
            yield f"max_concurrency must be an integer of at least 1, got {self.max_concurrency!r}"
        if not isinstance(self.limits, llm.ProviderLimits | Mapping | None):
            yield f"limits must be ProviderLimits or its fields, got {self.limits!r}"
        if not (self.store is None or isinstance(self.store, str) or callable(self.store)):
            yield "store must be a URL or a function that makes a store"
        if not isinstance(self.prefix, str):
            yield f"prefix must be a string, got {self.prefix!r:.40}"
        if not isinstance(self.options, llm.GenerateOptions | None):
            yield f"options must be GenerateOptions, got {type(self.options).__name__}"
        limited = self.limits is not None or self.store is not None
        if limited and callable(self.model):
            yield "limits: the function makes the whole model; have it put with_limits around it"
        if limited and isinstance(self.model, Mapping) and self.model.get("limits") is not None:
            yield "limits are given twice, here and in the model's configuration"


def make_model(settings: Settings, layer: llm.Middleware | None) -> llm.ChatModel:
    """The model of an actor.

    A model that is given by name alone is retried in the usual way; a mapping or a function says
    for itself what is around the model.

    Raises:
        ConfigError: it makes something else, or `create_from_config` says so.
    """
    source = settings.model
    if callable(source):
        made = source()
        if not isinstance(made, llm.ChatModel):
            text = f"the function of the model gave {type(made).__name__}, not a ChatModel"
            raise llm.ConfigError(text, op=OP)
        return made
    config = {"provider": source, "retry": True} if isinstance(source, str) else dict(source)
    if layer is not None:
        config["limits"] = layer
    return llm.create_from_config(config)


def make_store(source: Store | None) -> Any:
    """Where the limits of an actor are counted; None: in its own memory.

    Raises:
        ImportError: `beluga-llm-redis` is not installed.
    """
    if not isinstance(source, str):
        return None if source is None else source()
    try:
        redis: Any = importlib.import_module("beluga_llm_redis")
    except ModuleNotFoundError as error:
        text = 'limits in Redis need beluga-llm-redis: pip install "beluga-llm-ray[redis]"'
        raise ImportError(text) from error
    return redis.RedisLimiter(source)
