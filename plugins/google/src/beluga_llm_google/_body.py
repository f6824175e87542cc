"""A request as the body of generateContent.

What this API, or this model, does not have is left out and noted. Sources: "Generating content",
"Function calling" and "Structured output" of the Gemini API docs and reference, and the API's own
words ("Function calling with a response mime type: 'application/json' is unsupported").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import GenerateOptions, ToolDefinition
from beluga_llm.plugin import ChatRequest, Notes
from beluga_llm_google._cycles import with_optional_cycles
from beluga_llm_google._models import ModelFacts, Where, model_facts
from beluga_llm_google._schema import wire_schema
from beluga_llm_google._thinking import thinking_config
from beluga_llm_google._turns import encode_conversation

MOST_STOPS = 5
_SAME = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
}
_PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}
_ABSENT: Mapping[str, Any] = {"logit_bias": None, "user": None, "parallel_tool_calls": True}
"""Options that the API does not have, and the values that ask for nothing."""


class BodyEncoder:
    """Makes the body of one request."""

    def __init__(
        self, request: ChatRequest, notes: Notes, *, on_vertex: bool, files: str | None
    ) -> None:
        """An encoder.

        Args:
            request: the request.
            notes: takes what is left out.
            on_vertex: whether it goes to Vertex AI, where some models take more.
            files: the address to put before the id of a file; None where ids must be addresses.
        """
        self._options, self._tools = request.options, request.tools
        self._messages = request.messages
        self._notes, self._files = notes, files
        self._facts: ModelFacts = model_facts(request.options.model or "")
        self._on_vertex = on_vertex

    def body(self) -> dict[str, Any]:
        """The whole body."""
        config = self._generation_config(self._options)
        return {
            **self.prompt(),
            **self._tool_config(self._options),
            **({"generationConfig": config} if config else {}),
        }

    def prompt(self) -> dict[str, Any]:
        """What costs input tokens: the conversation and the tools."""
        conversation = encode_conversation(
            self._messages, self._notes, self._facts, files=self._files
        )
        found: dict[str, Any] = {"contents": conversation.contents()}
        if conversation.system:
            found["systemInstruction"] = {"parts": conversation.system}
        if self._tools:
            found["tools"] = [{"functionDeclarations": list(map(_declaration, self._tools))}]
        return found

    # --- tools ---------------------------------------------------------------------------------

    def _tool_config(self, options: GenerateOptions) -> dict[str, Any]:
        if not self._tools:
            return {}
        choice = options.tool_choice
        config: dict[str, Any] = {"mode": "ANY", "allowedFunctionNames": [choice]}
        if choice in (None, "auto"):
            strict = self._is_strict()
            if choice is None and not strict:
                return {}
            config = {"mode": "VALIDATED" if strict else "AUTO"}
        elif choice == "none":
            config = {"mode": "NONE"}
        elif choice == "required":
            config = {"mode": "ANY"}
        return {"toolConfig": {"functionCallingConfig": config}}

    def _is_strict(self) -> bool:
        """Whether calls are to be held to their schemas; forced ones always are."""
        if not any(tool.strict for tool in self._tools):
            return False
        if not self._facts.validates:
            self._notes.option("strict", "strict tools are not supported by this model")
        return self._facts.validates

    # --- generationConfig ----------------------------------------------------------------------

    def _generation_config(self, options: GenerateOptions) -> dict[str, Any]:
        given = {wire: getattr(options, name) for name, wire in _SAME.items()}
        thinking = thinking_config(options.reasoning, self._facts, self._notes)
        for name, nothing in _ABSENT.items():
            if getattr(options, name) not in (None, nothing):
                self._notes.option(name)
        return {
            **{wire: value for wire, value in given.items() if value is not None},
            **self._penalties(options),
            **self._stops(options),
            **self._candidates(options),
            **_logprobs(options),
            **self._format(options),
            **({"thinkingConfig": thinking} if thinking else {}),
        }

    def _takes(self, where: Where) -> bool:
        return where == "everywhere" or (where == "vertex" and self._on_vertex)

    def _penalties(self, options: GenerateOptions) -> dict[str, Any]:
        found = {}
        for name, wire in _PENALTIES.items():
            value = getattr(options, name)
            if value is None:
                continue
            if self._takes(self._facts.penalties):
                found[wire] = value
            elif value:
                self._notes.option(name, f"{name} is refused by this model")
        return found

    def _stops(self, options: GenerateOptions) -> dict[str, Any]:
        stops = [text for text in options.stop if text][:MOST_STOPS]
        if len(stops) < len(options.stop):
            text = f"stop takes at most {MOST_STOPS} texts here, none of them empty"
            self._notes.option("stop", text)
        return {"stopSequences": stops} if stops else {}

    def _candidates(self, options: GenerateOptions) -> dict[str, Any]:
        if options.n in (None, 1):
            return {}
        if not self._takes(self._facts.candidates):
            self._notes.option("n", "several candidates are refused by this model")
            return {}
        return {"candidateCount": options.n}

    def _format(self, options: GenerateOptions) -> dict[str, Any]:
        wanted = options.response_format
        if wanted is None or wanted.type == "text":
            return {}
        forced = options.tool_choice not in (None, "auto", "none")
        if self._tools and (forced or not self._facts.json_with_tools):
            what = "a forced call" if self._facts.json_with_tools else "tools"
            text = f"response_format is not supported by this model beside {what}"
            self._notes.option("response_format", text)
            return {}
        found: dict[str, Any] = {"responseMimeType": "application/json"}
        if wanted.schema is not None:
            found["responseJsonSchema"] = with_optional_cycles(wire_schema(wanted.schema))
        return found


def _logprobs(options: GenerateOptions) -> dict[str, Any]:
    if options.top_logprobs:
        return {"responseLogprobs": True, "logprobs": options.top_logprobs}
    return {"responseLogprobs": True} if options.logprobs or options.top_logprobs == 0 else {}


def _declaration(tool: ToolDefinition) -> dict[str, Any]:
    found: dict[str, Any] = {"name": tool.name}
    if tool.description:
        found["description"] = tool.description
    if tool.input_schema:
        found["parametersJsonSchema"] = wire_schema(tool.input_schema)
    return found
