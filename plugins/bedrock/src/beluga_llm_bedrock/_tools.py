"""Tools and the choice among them, as `toolConfig`.

The API has no choice "none": the tools are left out. It demands `toolConfig` where the conversation
holds calls or results; then the tools are sent, and without any the ones that were called.

Sources: "ToolConfiguration" and "ToolChoice" of the Amazon Bedrock API reference; the error "The
toolConfig field must be defined when using toolUse and toolResult content blocks".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from beluga_llm import GenerateOptions, ToolDefinition
from beluga_llm.plugin import ChatRequest, Notes
from beluga_llm_bedrock._blocks import cache_points
from beluga_llm_bedrock._models import Accepts, ModelFacts
from beluga_llm_bedrock._reasoning import Reasoning
from beluga_llm_bedrock._schema import tool_schema
from beluga_llm_bedrock._turns import Conversation


class ToolFields:
    """The tools of one request.

    Attributes:
        config: the request's `toolConfig`; None where it has none.
        more: what goes into `additionalModelRequestFields`.
    """

    def __init__(
        self,
        request: ChatRequest,
        conversation: Conversation,
        *,
        facts: ModelFacts,
        reasoning: Reasoning,
        notes: Notes,
    ) -> None:
        self.config: dict[str, Any] | None = None
        self.more: dict[str, Any] = {}
        self._facts, self._reasoning, self._notes = facts, reasoning, notes
        options, tools = request.options, request.tools
        hidden = options.tool_choice == "none"
        if tools and not (hidden and not conversation.has_tool_blocks):
            self.config = {"tools": [entry for tool in tools for entry in self._tool(tool)]}
            if hidden:
                notes.option(
                    "tool_choice",
                    "tool_choice 'none' is not supported where the conversation holds tool calls: "
                    "the tools are sent",
                )
            else:
                self._choose(options)
        elif not tools and conversation.has_tool_blocks:
            self.config = {"tools": list(_called(conversation))}

    def _tool(self, tool: ToolDefinition) -> Iterator[dict[str, Any]]:
        strict = bool(tool.strict)
        if strict and self._facts.schemas is False:
            self._notes.option("strict", "strict tools are not supported by this model")
            strict = False
        spec: dict[str, Any] = {"name": tool.name}
        if tool.description.strip():
            spec["description"] = tool.description
        schema = tool_schema(tool.input_schema, strict=strict, claude=self._facts.claude)
        spec["inputSchema"] = {"json": schema}
        if strict:
            spec["strict"] = True
        yield {"toolSpec": spec}
        yield from cache_points(tool)

    def _choose(self, options: GenerateOptions) -> None:
        choice = options.tool_choice
        if choice not in (None, "auto") and not _takes(self._facts.forced_tools, self._reasoning):
            self._notes.option(
                "tool_choice", f"tool_choice {choice!r} is refused by this model: auto is used"
            )
            choice = None
        if options.parallel_tool_calls is False and not self._facts.claude:
            self._notes.option("parallel_tool_calls")
        if options.parallel_tool_calls is False and self._facts.claude:
            self.more = {"tool_choice": {**_claudes(choice), "disable_parallel_tool_use": True}}
        elif choice is not None and self._facts.forced_tools != "no":
            self.config = {**(self.config or {}), "toolChoice": _converses(choice)}


def _takes(accepts: Accepts | None, reasoning: Reasoning) -> bool:
    return accepts in (None, "yes") or (accepts == "without_thinking" and not reasoning.active)


def _converses(choice: str) -> dict[str, Any]:
    if choice == "auto":
        return {"auto": {}}
    return {"any": {}} if choice == "required" else {"tool": {"name": choice}}


def _claudes(choice: str | None) -> dict[str, Any]:
    """A choice in the form of Claude's own API; the API refuses one in both places."""
    if choice in (None, "auto"):
        return {"type": "auto"}
    return {"type": "any"} if choice == "required" else {"type": "tool", "name": choice}


def _called(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """Tools that were called, as far as the API must know them."""
    for name, is_servers in (conversation.called or {"tool": False}).items():
        if is_servers:
            yield {"systemTool": {"name": name}}
        else:
            schema = {"type": "object", "properties": {}}
            yield {"toolSpec": {"name": name, "inputSchema": {"json": schema}}}
