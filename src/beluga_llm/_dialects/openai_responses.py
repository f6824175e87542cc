"""The Responses dialect: OpenAI's newer API, which several other vendors speak too.

Nothing is stored by the server unless asked for (`store`): the conversation is sent whole, and
reasoning comes and goes as encrypted items. `provider_options` go over the body, mappings key by
key; `tools` there, such as {"type": "web_search"}, are added to ours.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm._capabilities import Capabilities
from beluga_llm._dialects.openai_responses_decoder import ResponsesDecoder
from beluga_llm._dialects.openai_responses_input import InputEncoder
from beluga_llm._errors import BelugaError, ContentFilterError
from beluga_llm._http.dialect import Decoder, Dialect, HttpRequest
from beluga_llm._http.encoding import Notes, provider_options
from beluga_llm._http.problems import COMMON_RULES, ErrorRules, http_error
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions, merge_deeply
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolDefinition

__all__ = ["OpenAIResponsesDialect"]

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

_FIELDS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_output_tokens",
    "user": "user",
    "top_logprobs": "top_logprobs",
}
_MISSING = ("top_k", "seed", "frequency_penalty", "presence_penalty", "logit_bias")

_REFUSED = "bio_policy cyber_policy image_content_policy_violation invalid_prompt"
_INVALID = """
    data_residency_mismatch empty_image_file failed_to_download_image image_file_not_found
    image_file_too_large image_parse_error image_too_large image_too_small invalid_base64_image
    invalid_image invalid_image_format invalid_image_mode invalid_image_url
    unsupported_image_media_type"""
_RULES = COMMON_RULES.extended(
    codes=dict.fromkeys(_REFUSED.split(), ContentFilterError),
    statuses={**dict.fromkeys(_INVALID.split(), 400), "vector_store_timeout": 503},
)


class OpenAIResponsesDialect(Dialect):
    """POST /responses.

    Args:
        provider: the entry name.
        new_id: makes ids for tool calls that come without one.
    """

    provider = "openai"
    path = "/responses"
    error_rules: ErrorRules = _RULES

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request; what the API cannot take is in its notes."""
        notes = Notes(self.provider, self.family)
        options = request.options
        reasons = self.capabilities(options.model or "").reasoning is not False
        theirs = provider_options(request, self.provider)
        messages = InputEncoder(notes, stored=bool(theirs.get("store")), reasons=reasons)
        body: dict[str, Any] = {
            "model": options.model,
            **messages.encode(request.messages),
            "store": False,
            **self._sampling(options, notes),
            **self._tools(request, theirs),
            **self._format(options.response_format),
            **self._reasoning(options.reasoning, notes, reasons),
        }
        if include := self._include(options, reasons):
            body["include"] = include
        if request.streaming:
            body["stream"] = True
        return HttpRequest(path=self.path, json=_merged(body, theirs), notes=tuple(notes))

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models."""
        return HttpRequest(path=self.path.removesuffix("/responses") + "/models", method="GET")

    def decoder(self, request: ChatRequest) -> Decoder:
        """A decoder for the stream or the whole body."""
        options = request.options
        wanted = (options.logprobs, options.top_logprobs) != (None, None)
        asked = LOGPROBS in _listed(provider_options(request, self.provider).get("include"))
        return ResponsesDecoder(
            self.provider,
            model=options.model,
            new_id=self.new_id,
            logprobs=(wanted and options.logprobs is not False) or asked,
            streaming=request.streaming,
        )

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error of an answer, or of an event in a good one."""
        return http_error(
            status, headers, body, now=now, provider=self.provider, rules=self.error_rules
        )

    def capabilities(self, model: str) -> Capabilities:
        """What the API lacks; nothing is known of a single model."""
        return Capabilities(n=False, seed=False, audio=False, video=False)

    # --- options ---------------------------------------------------------------------------------

    def _include(self, options: GenerateOptions, reasons: bool) -> list[str]:
        """What the answer shall hold beside the usual.

        Models that do not reason say "Encrypted content is not supported with this model".
        """
        found = [ENCRYPTED] if reasons else []
        if options.logprobs or options.top_logprobs is not None:
            found.append(LOGPROBS)
        return found

    def _sampling(self, options: GenerateOptions, notes: Notes) -> dict[str, Any]:
        for name in _MISSING:
            if getattr(options, name) is not None:
                notes.option(name, f"the Responses API has no option {name!r}")
        if options.stop:
            notes.option("stop", "the Responses API has no option 'stop'")
        if options.n not in (None, 1):
            notes.option("n", "the Responses API gives one answer")
        found = {field: getattr(options, name) for name, field in _FIELDS.items()}
        return {field: value for field, value in found.items() if value is not None}

    def _format(self, form: ResponseFormat | None) -> dict[str, Any]:
        if form is None or form.type == "text":
            return {}
        if form.type == "json":
            return {"text": {"format": {"type": "json_object"}}}
        found: dict[str, Any] = {
            "type": "json_schema",
            "name": form.name,
            "schema": form.schema,
            "strict": form.strict,
        }
        if form.description:
            found["description"] = form.description
        return {"text": {"format": found}}

    def _reasoning(
        self, config: ReasoningConfig | None, notes: Notes, reasons: bool
    ) -> dict[str, Any]:
        if config is None:
            return {}
        if config.budget_tokens is not None:
            notes.option("reasoning_budget", "the Responses API knows an effort, but no budget")
        if not reasons:
            if config.effort is not None:
                notes.option("reasoning_effort", "this model does not reason")
            return {}
        found = {} if config.effort is None else {"effort": str(config.effort)}
        if config.include:
            found["summary"] = "auto"
        return {"reasoning": found} if found else {}

    # --- tools -----------------------------------------------------------------------------------

    def _tools(self, request: ChatRequest, theirs: Mapping[str, Any]) -> dict[str, Any]:
        tools = [*map(_tool, request.tools), *_listed(theirs.get("tools"))]
        if not tools:
            return {}
        options = request.options
        found: dict[str, Any] = {"tools": tools}
        if options.tool_choice in ("auto", "none", "required"):
            found["tool_choice"] = options.tool_choice
        elif options.tool_choice is not None:
            found["tool_choice"] = {"type": "function", "name": options.tool_choice}
        if options.parallel_tool_calls is not None:
            found["parallel_tool_calls"] = options.parallel_tool_calls
        return found


def _listed(value: Any) -> list[Any]:
    """A list as it is; one thing that should stand in a list, as such a list."""
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None else [value]


def _merged(body: dict[str, Any], theirs: Mapping[str, Any]) -> Any:
    return merge_deeply(body, {name: theirs[name] for name in theirs if name != "tools"})


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    """A function. Without `strict` the API would make it strict, and rewrite its schema."""
    found: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description:
        found["description"] = tool.description
    found["parameters"] = tool.input_schema or {"type": "object", "properties": {}}
    return {**found, "strict": bool(tool.strict)}
