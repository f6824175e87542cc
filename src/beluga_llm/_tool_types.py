"""Tools as values: what is offered to a model, and the calls it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from beluga_llm import _json
from beluga_llm._errors import ToolArgumentsError
from beluga_llm._frozen import EMPTY, freeze_mapping


def _arguments(value: Any) -> Any:
    """Absent arguments are an empty object; everything else is kept as received."""
    if value is None or value in ("", "null"):
        return "{}"
    return _json.dumps_text(value) if isinstance(value, Mapping) else value


@frozen
class ToolCall:
    """A call that a model asks for.

    Attributes:
        id: pairs the call with the ToolMessage that answers it.
        name: the tool's name.
        arguments: the JSON text as received; absent arguments read "{}".
        signature: opaque proof of the provider named, sent back unchanged.
        part_index: the call's place among the blocks of the answer on the wire.
    """

    id: str
    name: str
    arguments: str = field(default="{}", converter=_arguments)
    signature: str | None = None
    provider: str | None = None
    part_index: int | None = None

    @property
    def args(self) -> dict[str, Any]:
        """The arguments as a dict.

        Raises:
            ToolArgumentsError: they are not a JSON object; `raw` holds the text.
        """
        try:
            value = _json.loads(self.arguments)
        except _json.JsonError as error:
            raise ToolArgumentsError(
                f"arguments of {self.name!r} are not JSON: {error}", raw=self.arguments
            ) from None
        if not isinstance(value, dict):
            raise ToolArgumentsError(
                f"arguments of {self.name!r} are not a JSON object", raw=self.arguments
            )
        return value


@frozen
class ToolDefinition:
    """A tool as a model is told of it.

    Attributes:
        name: what the model calls it by.
        description: what it does and when to use it.
        input_schema: JSON Schema of an object with the arguments.
        strict: ask the provider to hold the model to the schema; None leaves its default.
        metadata: hints to a provider, such as `{"cache_control": {"type": "ephemeral"}}`.
    """

    name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default=EMPTY, converter=freeze_mapping)
    strict: bool | None = None
    metadata: Mapping[str, Any] = field(
        default=EMPTY, converter=freeze_mapping, kw_only=True, repr=False
    )

    @classmethod
    def from_function(cls, function: Callable[..., Any]) -> ToolDefinition:
        """The definition of a function: its name, its docstring, and a schema of its parameters.

        Raises:
            ConfigError: a parameter's type has no JSON Schema.
        """
        from beluga_llm._schema import describe_function

        name, description, schema = describe_function(function)
        return cls(name, description, schema)


@runtime_checkable
class Tool(Protocol):
    """What `run_tools` can run: a `@tool` function, a tool of an MCP server, or one of your own."""

    @property
    def definition(self) -> ToolDefinition:
        """The tool as a model is told of it."""
        ...

    async def run(self, arguments: Mapping[str, Any], /) -> Any:
        """The result for a model's arguments: text, parts, or JSON-able data.

        Args:
            arguments: the JSON object that the model gave, not checked against the schema.

        Raises:
            ToolError: its text goes to the model as a failed result.
            ToolArgumentsError: likewise, about the arguments.
        """
        ...
