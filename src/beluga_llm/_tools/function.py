"""`@tool`: a function as something that a model can call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import attrs

from beluga_llm import _json
from beluga_llm._errors import ConfigError, ToolArgumentsError
from beluga_llm._schema import REQUIRED, parameters_of
from beluga_llm._tool_types import ToolDefinition
from beluga_llm._tools.threads import in_thread
from beluga_llm._types.build import shape_of
from beluga_llm._types.shape import MisfitError, Problem, Shape, member_path

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class FunctionTool(Generic[P, R]):
    """A function that a model can call; to everybody else it is the function still.

    A method is decorated in its class, and is bound when it is taken from an object.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> None:
        functools.update_wrapper(self, _plain(function))
        self._function = function
        self._told: dict[str, Any] = {"name": name, "description": description, "strict": strict}

    @property
    def definition(self) -> ToolDefinition:
        """The tool as a model is told of it: the function's name, docstring and parameters.

        Raises:
            ConfigError: a parameter's type has no JSON Schema, or its name is unknown.
        """
        return self._definition

    @functools.cached_property
    def _definition(self) -> ToolDefinition:
        made = ToolDefinition.from_function(_plain(self._function))
        told = {key: value for key, value in self._told.items() if value is not None}
        return attrs.evolve(made, **told)

    @functools.cached_property
    def _parameters(self) -> dict[str, tuple[Shape, Any]]:
        found = parameters_of(_plain(self._function))
        return {key: (shape_of(kind), default) for key, (kind, default) in found.items()}

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """What the function returns for arguments as a model gives them.

        They are checked and converted first: dates and enums are read, classes made. A function
        that is not async runs in a thread of its own.

        Raises:
            ToolArgumentsError: they do not fit; the message says where and why.
        """
        values = self._read(arguments)
        signature = inspect.signature(self._function)
        bound = inspect.BoundArguments(
            signature, {key: values[key] for key in signature.parameters if key in values}
        )
        bound.apply_defaults()
        call = functools.partial(self._function, *bound.args, **bound.kwargs)
        if _is_async(self._function):
            return await cast("Any", call())
        result = await in_thread(call, name=f"tool {self.definition.name}")
        return await result if inspect.isawaitable(result) else result

    def _read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        for key, (shape, default) in self._parameters.items():
            if key in arguments:
                try:
                    found[key] = shape.read(arguments[key], member_path("$", key))
                except MisfitError as error:
                    if arguments[key] is not None or default is REQUIRED:
                        problems += error.problems
                    # else null stands for "not given", as strict schemas have it
            elif default is REQUIRED:
                problems.append(Problem(member_path("$", key), "missing"))
        known = ", ".join(self._parameters) or "none"
        for key in arguments:
            if key not in self._parameters:
                problems.append(Problem(member_path("$", key), f"unknown (known: {known})"))
        if problems:
            raise ToolArgumentsError(
                f"wrong arguments for {self.definition.name!r}: {MisfitError(problems)}",
                raw=_json.dumps_text(arguments),
            )
        return found

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> FunctionTool[P, R]: ...
    @overload
    def __get__(
        self: FunctionTool[Concatenate[S, Q], R], instance: S, owner: type[Any] | None = None
    ) -> FunctionTool[Q, R]: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> FunctionTool[Any, R]:
        bind = getattr(type(self._function), "__get__", None)
        bound = bind(self._function, instance, owner) if bind else self._function
        return self if bound is self._function else FunctionTool(bound, **cast("Any", self._told))

    def __repr__(self) -> str:
        return f"<tool {self._told['name'] or getattr(self, '__name__', '?')}>"


@overload
def tool(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
) -> FunctionTool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, strict: bool | None = None
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
) -> Any:
    """A function, method or callable object as a tool.

        @llm.tool
        def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
            \"\"\"The weather in a city right now.\"\"\"

    The schema comes from the signature, the annotations, also `Annotated` with `msgspec.Meta`, and
    the docstring in Google, NumPy or Sphinx style. Wrong arguments are told to the model, with
    paths.

    An async function is awaited. Any other one runs in a thread of its own, with the context
    variables of the caller. A thread cannot be stopped: after a timeout or a cancellation it goes
    on to its end, and nobody hears its result. What must stop in time is written as async.

    Args:
        function: what is called; without it, `tool` is a decorator with arguments.
        name: instead of the function's.
        description: instead of the docstring's.
        strict: ask the provider to hold the model to the schema.

    Raises:
        ConfigError: a parameter's type has no JSON Schema, or the function takes *args or **kwargs.
    """
    told: dict[str, Any] = {"name": name, "description": description, "strict": strict}
    if function is None:
        return functools.partial(tool, **told)
    if isinstance(function, FunctionTool):
        given = {key: value for key, value in told.items() if value is not None}
        function, told = function._function, {**function._told, **given}
    made: FunctionTool[..., Any] = FunctionTool(function, **told)
    try:
        made.definition  # noqa: B018 -- what is wrong with it is said where it stands
    except ConfigError as error:
        if not _is_early(error):
            raise
    return made


def _plain(function: Any) -> Any:
    """The function in a classmethod or staticmethod that is not bound yet."""
    return function.__func__ if isinstance(function, classmethod | staticmethod) else function


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004 -- the method is wanted
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _is_early(error: BaseException | None) -> bool:
    """Whether a name of an annotation may only be unknown yet, such as that of a method's class."""
    while error is not None and not isinstance(error, NameError):
        error = error.__cause__
    return error is not None
