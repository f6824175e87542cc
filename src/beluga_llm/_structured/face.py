"""`structured`: the door to typed values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, overload

from beluga_llm._errors import ConfigError
from beluga_llm._model import ChatModel
from beluga_llm._structured.model import StructuredModel
from beluga_llm._structured.strategies import STRATEGY_NAMES, StrategyName
from beluga_llm._structured.target import OP, Target

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Adapter(Protocol[T_co]):
    """A pydantic.TypeAdapter, as far as types go."""

    def validate_json(self, data: str | bytes | bytearray, /) -> T_co:
        """The value of a JSON text."""
        ...


@overload
def structured(
    model: ChatModel | str,
    kind: type[T],
    *,
    max_retries: int = 2,
    strategy: StrategyName = "auto",
    retry_prompt: str | Callable[[str], str] | None = None,
    name: str | None = None,
    strict: bool | None = None,
    validators: Iterable[Callable[[T], T]] = (),
) -> StructuredModel[T]: ...
@overload
def structured(
    model: ChatModel | str,
    kind: Adapter[T],
    *,
    max_retries: int = 2,
    strategy: StrategyName = "auto",
    retry_prompt: str | Callable[[str], str] | None = None,
    name: str | None = None,
    strict: bool | None = None,
    validators: Iterable[Callable[[T], T]] = (),
) -> StructuredModel[T]: ...
@overload
def structured(
    model: ChatModel | str,
    kind: object,
    *,
    max_retries: int = 2,
    strategy: StrategyName = "auto",
    retry_prompt: str | Callable[[str], str] | None = None,
    name: str | None = None,
    strict: bool | None = None,
    validators: Iterable[Callable[[Any], Any]] = (),
) -> StructuredModel[Any]: ...
def structured(
    model: ChatModel | str,
    kind: Any,
    *,
    max_retries: int = 2,
    strategy: StrategyName = "auto",
    retry_prompt: str | Callable[[str], str] | None = None,
    name: str | None = None,
    strict: bool | None = None,
    validators: Iterable[Callable[[Any], Any]] = (),
) -> StructuredModel[Any]:
    """A model that answers with values of a type.

        person = await structured(model, Person).generate("Who was the first on the moon?")

    Args:
        model: a model, or a name that `create` takes.
        kind: an attrs class, dataclass, TypedDict, NamedTuple, msgspec.Struct, pydantic model or
            TypeAdapter; a plain type such as int or list[Person]; a union, Literal or Enum.
        max_retries: how often the model is asked again after a wrong answer.
        strategy: "native" (the provider's own), "tool" (a forced call), "prompt" (words), or
            "auto": the first of these that the model is known to be capable of.
        retry_prompt: what is said to a wrong answer, with `{error}` where the error is to stand; or
            a function of the error.
        name: what the type is called on the wire; from the type by default.
        strict: True asks for a strict form of the schema always, False never; None does so with the
            native strategy, where the type has a strict form.
        validators: functions of the value that give it back, changed or not, or raise ValueError,
            which counts as a wrong answer.

    Raises:
        ConfigError: the type has no JSON Schema, or an argument is wrong.
    """
    found = (validators,) if callable(validators) else tuple(validators)
    _check(max_retries, strategy, retry_prompt, strict=strict, validators=found)
    target = Target[Any](kind, name=name, strict=strict, validators=found)
    return StructuredModel(
        model,
        target,
        max_retries=max_retries,
        strategy=strategy,
        retry_prompt=retry_prompt,
    )


def _check(
    max_retries: Any, strategy: Any, retry_prompt: Any, *, strict: Any, validators: tuple[Any, ...]
) -> None:
    problems = []
    if type(max_retries) is not int or max_retries < 0:
        problems.append(f"max_retries must be an int of at least 0, got {max_retries!r}")
    if strategy not in STRATEGY_NAMES:
        known = ", ".join(STRATEGY_NAMES)
        problems.append(f"strategy must be one of {known}, got {strategy!r}")
    if not (retry_prompt is None or isinstance(retry_prompt, str) or callable(retry_prompt)):
        problems.append(f"retry_prompt must be a str or a function, got {retry_prompt!r}")
    if strict not in (None, True, False):
        problems.append(f"strict must be a bool or None, got {strict!r}")
    problems += [f"validator {one!r} is no function" for one in validators if not callable(one)]
    if problems:
        raise ConfigError.of(problems, op=OP)
