"""The fields of `POST /v1/messages` beside the conversation: the same for many requests.

What this API, or this model, does not have is left out and noted. Source: "Messages" of the Claude
Platform docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import GenerateOptions, ToolDefinition
from beluga_llm.plugin import ChatRequest, Notes
from beluga_llm_anthropic._models import Accepts, model_facts
from beluga_llm_anthropic._schema import grammar_schema, tool_schema
from beluga_llm_anthropic._thinking import Thinking, output_limit, plan_thinking

_TOOL_FIELDS = (
    "cache_control", "defer_loading", "input_examples", "eager_input_streaming", "allowed_callers",
)  # fmt: skip
_ABSENT: Mapping[str, Any] = {
    "n": 1,
    "seed": None,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "top_logprobs": None,
    "logit_bias": None,
}
"""Options that the API does not have, and the values that ask for nothing."""


class FieldEncoder:
    """Makes the fields of one request.

    Attributes:
        fields: what is sent beside the conversation.
    """

    def __init__(self, request: ChatRequest, notes: Notes, *, samples: bool) -> None:
        """Encodes options and tools.

        Args:
            request: the request.
            notes: takes what is left out.
            samples: False where the API's version has no sampling parameters.
        """
        options = request.options
        self._notes = notes
        self._facts = model_facts(options.model or "")
        self._thinking = plan_thinking(options.reasoning, self._facts, notes)
        self.fields: dict[str, Any] = {
            "model": options.model,
            "max_tokens": output_limit(
                options.max_tokens, self._facts, self._thinking, provider=notes.provider
            ),
            **({"stream": True} if request.streaming else {}),
            **self._tool_fields(options, request.tools),
            **self._thinking_fields(options),
            **self._sampling_fields(options, samples),
            **self._other_fields(options),
        }

    def _tool_fields(
        self, options: GenerateOptions, tools: tuple[ToolDefinition, ...]
    ) -> dict[str, Any]:
        if not tools:
            return {}
        fields: dict[str, Any] = {"tools": [self._tool(tool) for tool in tools]}
        if (choice := self._tool_choice(options)) is not None:
            fields["tool_choice"] = choice
        return fields

    def _tool(self, tool: ToolDefinition) -> dict[str, Any]:
        strict = bool(tool.strict)
        if strict and not self._facts.schemas:
            self._notes.option("strict", "strict tools are not supported by this model")
            strict = False
        found: dict[str, Any] = {"name": tool.name}
        if tool.description:
            found["description"] = tool.description
        found["input_schema"] = tool_schema(tool.input_schema, strict=strict)
        if strict:
            found["strict"] = True
        given = ((name, tool.metadata.get(name)) for name in _TOOL_FIELDS)
        return {**found, **{name: value for name, value in given if value is not None}}

    def _tool_choice(self, options: GenerateOptions) -> dict[str, Any] | None:
        choice = options.tool_choice
        one_at_a_time = options.parallel_tool_calls is False
        if choice is None and not one_at_a_time:
            return None
        if choice == "none":
            return {"type": "none"}
        if choice not in (None, "auto") and not _takes(self._facts.forced_tools, self._thinking):
            self._notes.option(
                "tool_choice",
                f"tool_choice {choice!r} is refused by this model while it thinks: auto is used",
            )
            choice = "auto"
        found: dict[str, Any] = {"type": "tool", "name": choice}
        if choice in (None, "auto"):
            found = {"type": "auto"}
        elif choice == "required":
            found = {"type": "any"}
        return {**found, "disable_parallel_tool_use": True} if one_at_a_time else found

    def _thinking_fields(self, options: GenerateOptions) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        output: dict[str, Any] = {}
        if self._thinking.field is not None:
            fields["thinking"] = self._thinking.field
        if self._thinking.effort is not None:
            output["effort"] = self._thinking.effort
        if (schema := self._response_schema(options)) is not None:
            output["format"] = {"type": "json_schema", "schema": schema}
        return {**fields, "output_config": output} if output else fields

    def _response_schema(self, options: GenerateOptions) -> dict[str, Any] | None:
        wanted = options.response_format
        if wanted is None or wanted.type == "text":
            return None
        if wanted.schema is None:
            self._notes.option(
                "response_format", "response_format json needs a schema with this API"
            )
            return None
        if not self._facts.schemas:
            self._notes.option("response_format", "response_format is not supported by this model")
            return None
        return grammar_schema(wanted.schema)

    def _sampling_fields(self, options: GenerateOptions, samples: bool) -> dict[str, Any]:
        free = samples and self._facts.sampling != "no"
        takes = free and _takes(self._facts.sampling, self._thinking)
        fields: dict[str, Any] = {}
        for name in ("temperature", "top_p", "top_k"):
            value = getattr(options, name)
            if value is None:
                continue
            if name == "temperature" and value > 1:
                self._notes.option(name, f"temperature goes from 0 to 1 here, got {value}")
            elif takes or (free and _goes_with_thinking(name, value)):
                fields[name] = value
            elif name == "top_k" or value != 1:  # 1 is what applies without it
                when = "while it thinks" if free else "or this version of the API"
                self._notes.option(name, f"{name} is refused by this model {when}")
        return fields

    def _other_fields(self, options: GenerateOptions) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if stop := [text for text in options.stop if text.strip()]:
            fields["stop_sequences"] = stop
        if len(stop) < len(options.stop):
            self._notes.option("stop", "stop sequences that are blank are refused")
        if options.user is not None:
            fields["metadata"] = {"user_id": options.user}
        for name, nothing in _ABSENT.items():
            if getattr(options, name) not in (None, nothing):
                self._notes.option(name)
        return fields


def _takes(accepts: Accepts, thinking: Thinking) -> bool:
    return accepts == "yes" or (accepts == "without_thinking" and not thinking.active)


def _goes_with_thinking(name: str, value: float) -> bool:
    """Whether a value is one that "Extended thinking" allows: temperature 1, top_p from 0.95."""
    return (name == "temperature" and value == 1) or (name == "top_p" and value >= 0.95)
