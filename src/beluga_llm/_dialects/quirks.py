"""How a chat-completions server differs from the others, as data.

The defaults suit an unknown server: what it sends is read in every known form, and what it may
refuse is not sent unless the caller asks for it. A vendor is a row that changes a few fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import evolve, field, fields, frozen, validators

from beluga_llm import _errors
from beluga_llm._capabilities import Capabilities
from beluga_llm._errors import BelugaError
from beluga_llm._frozen import EMPTY, freeze_mapping
from beluga_llm._usage import FinishReason

ErrorClass = type[BelugaError]


def _names(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value or ())


def _name_set(value: str | Iterable[str] | None) -> frozenset[str]:
    return frozenset(_names(value))


def _error_class(value: Any) -> ErrorClass:
    found = getattr(_errors, value, None) if isinstance(value, str) else value
    if isinstance(found, type) and issubclass(found, BelugaError):
        return found
    raise ValueError(f"{value!r} is not the name of an error class")


def _error_codes(value: Mapping[str, Any] | None) -> Mapping[str, ErrorClass]:
    pairs = (value or EMPTY).items()
    return freeze_mapping({code.lower(): _error_class(kind) for code, kind in pairs})


def _error_patterns(value: Any) -> tuple[tuple[str, ErrorClass], ...]:
    pairs = value.items() if isinstance(value, Mapping) else value or ()
    return tuple((_pattern(text), _error_class(kind)) for text, kind in pairs)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _finish_reasons(value: Mapping[str, str] | None) -> Mapping[str, str]:
    return freeze_mapping({word: FinishReason(reason) for word, reason in (value or EMPTY).items()})


def _optional_text(value: str | None) -> str | None:
    return value or None


def _models(value: Mapping[str, Mapping[str, Any]] | None) -> Mapping[str, Mapping[str, Any]]:
    found = {start: freeze_mapping(changes) for start, changes in (value or EMPTY).items()}
    if unknown := {name for changes in found.values() for name in changes} - _NAMES:
        raise ValueError(f"models cannot change {', '.join(sorted(unknown))}")
    return freeze_mapping(found)


@frozen(kw_only=True)
class ChatQuirks:
    """What distinguishes one chat-completions server from another.

    Attributes:
        max_tokens_field: the field for `max_tokens=`.
        option_names: option to field, where the server's name for it differs.
        unsupported: options that the server lacks, such as "seed", "tools" or "reasoning_effort".
        logprobs_count: whether `logprobs` is a number of alternatives, as at Together.
        reasoning_request: "effort" sends `reasoning_effort`; "object" sends `reasoning` with
            effort or max_tokens, and exclude, as OpenRouter has it; "" sends neither.
        reasoning_efforts: efforts to the server's words for them; "" for one that it lacks.
        reasoning_on: body fields that go with every effort but "none".
        reasoning_off: body fields that are sent in place of the effort "none".
        reasoning_hidden: body fields that keep reasoning out of the answer.
        reasoning_budget: body fields for a budget, with None in the place of the number.
        reasoning_fields: where reasoning text may stand, the first that has any counts.
        replay_reasoning_field: the field in which reasoning text is sent back:
            "reasoning_content", "reasoning", "reasoning_details", or in the list of `content` as
            items of thinking ("content") or signed reasoning ("summary", as Databricks has it);
            "" sends back only `reasoning_details` that are signed or encrypted.
        replay_reasoning_empty: what stands in that field of an answer that calls tools and has no
            reasoning text, where the server demands something; None leaves the field out.
        stream_usage: "ask" for it by `stream_options`; the others do not ask.
        strict_tools: whether a tool's `strict` is sent.
        tool_choice_required: the server's word for "required"; "" where it has none.
        tool_choice_named: whether one tool can be demanded by its name.
        merge_system: join all system messages into one, with a blank line between.
        system_role: the role of system messages.
        text_lists: whether several texts may be sent as a list; else they are joined.
        names: whether `name` may stand on messages.
        tool_result_names: whether results of tools carry the tool's name.
        refusals: whether a refusal is sent back in its own field; else as text.
        file_urls: whether a file may be given by its URL.
        unsupported_parts: kinds of parts that the server refuses: "image", "audio", "file", or
            "image_url" for images by URL only.
        part_hints: keys of a part's or tool's metadata that are sent, such as "cache_control".
        response_formats: which of "json_object" and "json_schema" the server has.
        usage_path: where token counts may stand, with dots; of a list, its first object counts;
            later ones are merged over.
        finish_reasons: the server's own words for why an answer ended, beside the known ones.
        terminal: "optional" where the server gives no evidence that an answer is complete.
        end_marker: whether streams end with `[DONE]`.
        probe_path: what is asked for to see whether the server takes the key; "" where only an
            answer tells.
        error_codes: error codes in lower case, beside the common ones, to classes or their names.
        error_patterns: regular expressions for error messages, to classes or their names.
        capabilities: what is known of every model of the server.
        models: how models differ, by the beginning of their ids, of which the longest counts:
            fields to values. `unsupported`, `unsupported_parts` and `capabilities` add to what
            stands above; the others go in its place.
    """

    max_tokens_field: str = "max_tokens"
    option_names: Mapping[str, str] = field(default=EMPTY, converter=freeze_mapping)
    unsupported: frozenset[str] = field(default=(), converter=_name_set)
    logprobs_count: bool = False
    reasoning_request: Literal["effort", "object", ""] = field(
        default="effort", validator=validators.in_(("effort", "object", ""))
    )
    reasoning_efforts: Mapping[str, str] = field(default=EMPTY, converter=freeze_mapping)
    reasoning_on: Mapping[str, Any] = field(default=EMPTY, converter=freeze_mapping)
    reasoning_off: Mapping[str, Any] = field(default=EMPTY, converter=freeze_mapping)
    reasoning_hidden: Mapping[str, Any] = field(default=EMPTY, converter=freeze_mapping)
    reasoning_budget: Mapping[str, Any] = field(default=EMPTY, converter=freeze_mapping)
    reasoning_fields: tuple[str, ...] = field(
        default=("reasoning_details", "reasoning_content", "reasoning"), converter=_names
    )
    replay_reasoning_field: str = field(
        default="",
        validator=validators.in_(
            ("", "reasoning_content", "reasoning", "reasoning_details", "content", "summary")
        ),
    )
    replay_reasoning_empty: str | None = None
    stream_usage: Literal["ask", "always", "never"] = field(
        default="ask", validator=validators.in_(("ask", "always", "never"))
    )
    strict_tools: bool = True
    tool_choice_required: str | None = field(default="required", converter=_optional_text)
    tool_choice_named: bool = True
    merge_system: bool = False
    system_role: str = "system"
    text_lists: bool = True
    names: bool = True
    tool_result_names: bool = False
    refusals: bool = False
    file_urls: bool = False
    unsupported_parts: frozenset[str] = field(default=(), converter=_name_set)
    part_hints: tuple[str, ...] = field(default=(), converter=_names)
    response_formats: frozenset[str] = field(
        default=("json_object", "json_schema"), converter=_name_set
    )
    usage_path: tuple[str, ...] = field(
        default=("choices.usage", "x_groq.usage", "usage"), converter=_names
    )
    finish_reasons: Mapping[str, str] = field(default=EMPTY, converter=_finish_reasons)
    terminal: Literal["required", "optional"] = field(
        default="required", validator=validators.in_(("required", "optional"))
    )
    end_marker: bool = True
    probe_path: str = "/models"
    error_codes: Mapping[str, ErrorClass] = field(default=EMPTY, converter=_error_codes)
    error_patterns: tuple[tuple[str, ErrorClass], ...] = field(
        default=(), converter=_error_patterns
    )
    capabilities: Capabilities = field(default=Capabilities(), repr=False)
    models: Mapping[str, Mapping[str, Any]] = field(default=EMPTY, converter=_models, repr=False)

    def family(self, model: str) -> str | None:
        """The entry of `models` that a model belongs to; None where it is like all others."""
        return max(
            (start for start in self.models if model.startswith(start)), key=len, default=None
        )

    def of_family(self, start: str) -> ChatQuirks:
        """These quirks as they are for an entry of `models`."""
        changes = {"models": EMPTY, **self.models[start]}
        for name in _ADDED & changes.keys():
            changes[name] = getattr(self, name) | _name_set(changes[name])
        if "capabilities" in changes:
            changes["capabilities"] = self.capabilities.merged(changes["capabilities"])
        changed: ChatQuirks = evolve(self, **changes)
        return changed


_ADDED = frozenset(("unsupported", "unsupported_parts"))
_SERVER_WIDE = frozenset(("terminal", "probe_path", "error_codes", "error_patterns", "models"))
_NAMES = frozenset(attribute.name for attribute in fields(ChatQuirks)) - _SERVER_WIDE


OPENAI_QUIRKS = ChatQuirks(
    max_tokens_field="max_completion_tokens",  # the newer models refuse `max_tokens`
    unsupported=frozenset(("top_k",)),
    refusals=True,
)
"""OpenAI's own API. Source: https://platform.openai.com/docs/api-reference/chat/create"""
