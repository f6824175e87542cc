"""The chat-completions dialect: OpenAI's, and that of every server which copies it.

What differs between servers is data (`ChatQuirks`); a vendor is a row of it, or a subclass that
overrides one of `content_item`, `tool_call_id`, `reasoning` and `finish_body`.
`openai_chat_decoder` reads the answers.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from beluga_llm._capabilities import Capabilities
from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.chat_answer import read_answer
from beluga_llm._dialects.chat_messages import JsonObject, MessageEncoder
from beluga_llm._dialects.chat_reasoning import reasoning_fields
from beluga_llm._dialects.openai_chat_decoder import ChatDecoder
from beluga_llm._dialects.quirks import OPENAI_QUIRKS, ChatQuirks
from beluga_llm._errors import BelugaError
from beluga_llm._http.dialect import Decoder, Dialect, HttpRequest, Note
from beluga_llm._http.encoding import Notes, provider_options
from beluga_llm._http.problems import COMMON_RULES, ErrorRules, http_error
from beluga_llm._ids import new_call_id
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import ContentPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolDefinition

__all__ = ["OPENAI_QUIRKS", "ChatQuirks", "OpenAIChatDialect"]

_QUIRKS = {"openai": OPENAI_QUIRKS}
_PLAIN_OPTIONS = (
    "temperature", "top_p", "top_k", "seed", "n", "frequency_penalty", "presence_penalty",
    "logprobs", "top_logprobs", "logit_bias", "user",
)  # fmt: skip
_plain_options = operator.attrgetter(*_PLAIN_OPTIONS)
_NO_PLAIN_OPTIONS = (None,) * len(_PLAIN_OPTIONS)
_SWITCHES = ("seed", "n", "logprobs", "parallel_tool_calls", "tools")
_PARTS = {"image": "images", "audio": "audio", "file": "files"}
_ASKS_NOTHING: Mapping[str, Any] = {
    "temperature": 1, "top_p": 1, "n": 1, "frequency_penalty": 0, "presence_penalty": 0,
    "logprobs": False,
}  # fmt: skip


_MOST = 16
"""How many sets of fields a dialect remembers."""


class _Kept(NamedTuple):
    """Fields of a request, and of what they were made: as long as it is kept, so are its ids."""

    options: GenerateOptions
    tools: tuple[ToolDefinition, ...]
    fields: JsonObject
    notes: tuple[Note, ...]


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
        self._families: dict[str, Self] = {}
        self._kept: dict[tuple[int, int, bool], _Kept] = {}
        self._reads = type(self).decoder is OpenAIChatDialect.decoder
        self.terminal = self.quirks.terminal
        self.error_rules: ErrorRules = COMMON_RULES.extended(
            codes=self.quirks.error_codes, patterns=self.quirks.error_patterns
        )

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request; what the server cannot take is in its notes."""
        if (own := self._of_model(request.options.model)) is not self:
            return OpenAIChatDialect.encode(own, request)
        notes = Notes(self.provider, self.family)
        encoder = MessageEncoder(self.quirks, notes, self.tool_call_id, own_item=self.content_item)
        messages = encoder.encode(request.messages)
        kept = self._beside(request)
        body = {"model": request.options.model, "messages": messages, **_own(kept.fields)}
        return HttpRequest(path=self.path, json=self.finish_body(body), notes=(*notes, *kept.notes))

    def _beside(self, request: ChatRequest) -> _Kept:
        """What a request has beside its messages, with notes: the same for many requests."""
        key = id(request.options), id(request.tools), request.streaming
        kept = self._kept.get(key)
        if kept is not None and kept.options is request.options and kept.tools is request.tools:
            return kept  # in a copy of a dialect the ids are those of other objects
        notes = Notes(self.provider, self.family)
        fields = self._sampling(request.options, notes)
        fields.update(self._tools(request, notes))
        if request.options.response_format is not None:
            fields.update(self._format(request.options.response_format, notes))
        if request.options.reasoning is not None:
            fields.update(self.reasoning(request.options.reasoning, notes))
        if request.streaming:
            fields["stream"] = True
            if self.quirks.stream_usage == "ask":
                fields["stream_options"] = {"include_usage": True}
        fields.update(provider_options(request, self.provider))
        if len(self._kept) >= _MOST:
            self._kept.clear()
        kept = self._kept[key] = _Kept(request.options, request.tools, fields, tuple(notes))
        return kept

    def read_usual(self, request: ChatRequest, body: bytes) -> StreamChunk | None:
        """An answer that is one text, unless a vendor reads answers in a way of its own."""
        if not self._reads:
            return None
        model = request.options.model
        return read_answer(body, self._of_model(model).quirks, model)

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models, or what the server has in its place."""
        path = self.quirks.probe_path
        root = self.path.removesuffix("/chat/completions")
        return HttpRequest(path=root + path, method="GET") if path else None

    def decoder(self, request: ChatRequest) -> Decoder:
        """A decoder for the stream or the whole body."""
        quirks = self._of_model(request.options.model).quirks
        return ChatDecoder(request, quirks=quirks, provider=self.provider, new_id=self.new_id)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error of an answer, or of a frame in a good one."""
        return http_error(
            status, headers, body, now=now, provider=self.provider, rules=self.error_rules
        )

    def capabilities(self, model: str) -> Capabilities:
        """What the quirks say of the server and of this model."""
        quirks = self._of_model(model).quirks
        lacks = [name for name in _SWITCHES if name in quirks.unsupported]
        lacks += [_PARTS[kind] for kind in _PARTS if kind in quirks.unsupported_parts]
        lacks += {"json_object", "json_schema"} - quirks.response_formats
        if quirks.stream_usage == "never":
            lacks.append("stream_usage")
        found = Capabilities(tool_choice=_choices(quirks)).merged(dict.fromkeys(lacks, False))
        return found.merged(quirks.capabilities)

    def _of_model(self, model: str | None) -> Self:
        """This dialect as a model needs it, by the quirks of its family."""
        if not self.quirks.models or (family := self.quirks.family(model or "")) is None:
            return self
        if family not in self._families:
            own = copy.copy(self)
            own._kept = {}
            own.quirks = self.quirks.of_family(family)
            self._families[family] = own
        return self._families[family]

    # --- what a vendor may override --------------------------------------------------------------

    def content_item(self, part: ContentPart) -> dict[str, Any] | None:
        """The item of a part that the server wants in a form of its own; None for the usual one."""
        return None

    def tool_call_id(self, id: str) -> str:
        """The id as the server accepts it; the same for the call and its result."""
        return id

    def reasoning(self, config: ReasoningConfig, notes: Notes) -> Mapping[str, Any]:
        """The body fields that ask for reasoning."""
        return reasoning_fields(config, self.quirks, notes)

    def finish_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as it is sent."""
        return body

    # --- options ---------------------------------------------------------------------------------

    def _has(self, option: str, notes: Notes, value: Any = None) -> bool:
        """Whether the server has an option; a value that asks for nothing is no loss."""
        if option not in self.quirks.unsupported:
            return True
        if value is None or value != _ASKS_NOTHING.get(option):
            notes.option(option)
        return False

    def _field(self, option: str) -> str:
        return self.quirks.option_names.get(option, option)

    def _sampling(self, options: GenerateOptions, notes: Notes) -> dict[str, Any]:
        found: dict[str, Any] = {}
        values = _plain_options(options)
        if options.max_tokens is not None and self._has("max_tokens", notes):
            found[self.quirks.max_tokens_field] = options.max_tokens
        if options.stop and self._has("stop", notes):
            found[self._field("stop")] = list(options.stop)
        if values == _NO_PLAIN_OPTIONS:
            return found
        for name, value in zip(_PLAIN_OPTIONS, values, strict=True):
            if value is not None and self._has(name, notes, value):
                found[self._field(name)] = value
        if self.quirks.logprobs_count and found.keys() & {"logprobs", "top_logprobs"}:
            found["logprobs"] = found.pop("top_logprobs", None) or int(found["logprobs"])
        elif "top_logprobs" in found:
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
        if not request.tools or not self._has("tools", notes):
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


def _own(value: Any) -> Any:
    """A copy of what a vendor's `encode` or `finish_body` could change; all else is read-only."""
    if type(value) is dict:
        return {name: _own(item) for name, item in value.items()}
    return [*map(_own, value)] if type(value) is list else value


def _choices(quirks: ChatQuirks) -> frozenset[str] | None:
    """What may be asked as tool_choice, where the server lacks some of it."""
    if "tool_choice" in quirks.unsupported:
        return frozenset()
    has = {"required": bool(quirks.tool_choice_required), "named": quirks.tool_choice_named}
    if all(has.values()):
        return None
    return frozenset(("auto", "none", *(word for word in has if has[word])))
