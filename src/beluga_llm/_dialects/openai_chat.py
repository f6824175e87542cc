"""The chat-completions dialect: OpenAI's, and that of every server which copies it.

What differs between servers is data (`ChatQuirks`); a vendor is a row of it, or a subclass that
overrides one of `tool_call_id`, `reasoning` and `finish_body`. `openai_chat_decoder` reads the
answers.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from beluga_llm._capabilities import Capabilities
from beluga_llm._dialects.chat_messages import MessageEncoder
from beluga_llm._dialects.openai_chat_decoder import ChatDecoder
from beluga_llm._dialects.quirks import OPENAI_QUIRKS, ChatQuirks
from beluga_llm._errors import BelugaError
from beluga_llm._http.dialect import Decoder, Dialect, HttpRequest
from beluga_llm._http.encoding import Notes, provider_options
from beluga_llm._http.problems import COMMON_RULES, ErrorRules, http_error
from beluga_llm._ids import new_call_id
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolDefinition

__all__ = ["OPENAI_QUIRKS", "ChatQuirks", "OpenAIChatDialect"]

_QUIRKS = {"openai": OPENAI_QUIRKS}
_PLAIN_OPTIONS = (
    "temperature", "top_p", "top_k", "seed", "n", "frequency_penalty", "presence_penalty",
    "logprobs", "top_logprobs", "logit_bias", "user",
)  # fmt: skip
_SWITCHES = ("seed", "n", "logprobs", "parallel_tool_calls")


class OpenAIChatDialect(Dialect):
    """POST /chat/completions.

    Args:
        provider: the entry name.
        quirks: how the server differs; by default OpenAI's own for "openai", else the defaults.
        new_id: makes ids for tool calls that come without one.
    """

    provider = "openai"
    path = "/chat/completions"

    def __init__(
        self,
        provider: str | None = None,
        *,
        quirks: ChatQuirks | None = None,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        super().__init__(provider, new_id=new_id)
        self.quirks = quirks or _QUIRKS.get(self.provider) or ChatQuirks()
        self.terminal = self.quirks.terminal
        self.error_rules: ErrorRules = COMMON_RULES.extended(
            codes=self.quirks.error_codes, patterns=self.quirks.error_patterns
        )

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request; what the server cannot take is in its notes."""
        notes = Notes(self.provider, self.family)
        encoder = MessageEncoder(self.quirks, notes, self.tool_call_id)
        body: dict[str, Any] = {
            "model": request.options.model,
            "messages": encoder.encode(request.messages),
        }
        body.update(self._sampling(request.options, notes))
        body.update(self._tools(request, notes))
        if request.options.response_format is not None:
            body.update(self._format(request.options.response_format, notes))
        if request.options.reasoning is not None:
            body.update(self.reasoning(request.options.reasoning, notes))
        if request.streaming:
            body["stream"] = True
            if self.quirks.stream_usage == "ask":
                body["stream_options"] = {"include_usage": True}
        body.update(provider_options(request, self.provider))
        return HttpRequest(path=self.path, json=self.finish_body(body), notes=tuple(notes))

    def decoder(self, request: ChatRequest) -> Decoder:
        """A decoder for the stream or the whole body."""
        return ChatDecoder(request, quirks=self.quirks, provider=self.provider, new_id=self.new_id)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error of an answer, or of a frame in a good one."""
        return http_error(
            status, headers, body, now=now, provider=self.provider, rules=self.error_rules
        )

    def capabilities(self, model: str) -> Capabilities:
        """What the quirks say; nothing is known of a single model."""
        quirks = self.quirks
        lacks = [name for name in _SWITCHES if name in quirks.unsupported]
        lacks += {"json_object", "json_schema"} - quirks.response_formats
        if quirks.stream_usage == "never":
            lacks.append("stream_usage")
        return Capabilities().merged(dict.fromkeys(lacks, False)).merged(quirks.capabilities)

    # --- what a vendor may override --------------------------------------------------------------

    def tool_call_id(self, id: str) -> str:
        """The id as the server accepts it; the same for the call and its result."""
        return id

    def reasoning(self, config: ReasoningConfig, notes: Notes) -> Mapping[str, Any]:
        """The body fields that ask for reasoning."""
        if self.quirks.reasoning_request == "object":
            return _reasoning_object(config)
        found = {}
        if config.effort is not None:
            if self.quirks.reasoning_request == "effort" and self._has("reasoning_effort", notes):
                found[self._field("reasoning_effort")] = str(config.effort)
            elif not self.quirks.reasoning_request:
                notes.option("reasoning_effort")
        if config.budget_tokens is not None:
            notes.option("reasoning_budget")
        return found

    def finish_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as it is sent."""
        return body

    # --- options ---------------------------------------------------------------------------------

    def _has(self, option: str, notes: Notes) -> bool:
        if option not in self.quirks.unsupported:
            return True
        notes.option(option)
        return False

    def _field(self, option: str) -> str:
        return self.quirks.option_names.get(option, option)

    def _sampling(self, options: GenerateOptions, notes: Notes) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if options.max_tokens is not None and self._has("max_tokens", notes):
            found[self.quirks.max_tokens_field] = options.max_tokens
        if options.stop and self._has("stop", notes):
            found[self._field("stop")] = list(options.stop)
        for name in _PLAIN_OPTIONS:
            value = getattr(options, name)
            if value is not None and self._has(name, notes):
                found[self._field(name)] = value
        if "top_logprobs" in found:
            found["logprobs"] = True
        return found

    def _format(self, form: ResponseFormat, notes: Notes) -> dict[str, Any]:
        kind = {"json": "json_object", "json_schema": "json_schema"}.get(form.type)
        if kind is None:
            return {}
        if kind not in self.quirks.response_formats or "response_format" in self.quirks.unsupported:
            notes.option("response_format", f"{self.provider} has no response format {kind!r}")
            return {}
        if kind == "json_object":
            return {"response_format": {"type": kind}}
        schema: dict[str, Any] = {"name": form.name, "strict": form.strict, "schema": form.schema}
        if form.description:
            schema["description"] = form.description
        return {"response_format": {"type": kind, "json_schema": schema}}

    # --- tools -----------------------------------------------------------------------------------

    def _tools(self, request: ChatRequest, notes: Notes) -> dict[str, Any]:
        if not request.tools:
            return {}
        options = request.options
        found: dict[str, Any] = {"tools": [self._tool(tool) for tool in request.tools]}
        if options.tool_choice is not None and self._has("tool_choice", notes):
            found.update(self._tool_choice(options.tool_choice, notes))
        if options.parallel_tool_calls is not None and self._has("parallel_tool_calls", notes):
            found[self._field("parallel_tool_calls")] = options.parallel_tool_calls
        return found

    def _tool(self, tool: ToolDefinition) -> dict[str, Any]:
        function: dict[str, Any] = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        function["parameters"] = tool.input_schema or {"type": "object", "properties": {}}
        if tool.strict is not None and self.quirks.strict_tools:
            function["strict"] = tool.strict
        hints = {key: tool.metadata[key] for key in self.quirks.part_hints if key in tool.metadata}
        return {"type": "function", "function": function, **hints}

    def _tool_choice(self, choice: str, notes: Notes) -> dict[str, Any]:
        if choice == "required":
            if self.quirks.tool_choice_required is None:
                notes.option("tool_choice", f"{self.provider} has no tool_choice 'required'")
                return {}
            return {"tool_choice": self.quirks.tool_choice_required}
        if choice in ("auto", "none"):
            return {"tool_choice": choice}
        if not self.quirks.tool_choice_named:
            notes.option("tool_choice", f"{self.provider} cannot be made to call one tool")
            return {}
        return {"tool_choice": {"type": "function", "function": {"name": choice}}}


def _reasoning_object(config: ReasoningConfig) -> dict[str, Any]:
    """OpenRouter's form. Source: https://openrouter.ai/docs/use-cases/reasoning-tokens."""
    found: dict[str, Any] = {}
    if config.effort is not None:
        found["effort"] = str(config.effort)
    if config.budget_tokens is not None:
        found["max_tokens"] = config.budget_tokens
    if not config.include:
        found["exclude"] = True
    return {"reasoning": found} if found else {}
