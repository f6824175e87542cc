"""The options of a call, and how layers of them are merged.

The same keywords work for `generate` and `stream`. A field that is None is not sent: the
provider's default applies. Layers, lowest first: the configuration's defaults, `with_options`,
`options=`, the call's keywords. None in a higher layer does not unset a lower one; `UNSET` does.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from beluga_llm._frozen import EMPTY, FrozenDict, freeze
from beluga_llm._option_types import ReasoningConfig, ResponseFormat, Timeouts
from beluga_llm._redaction import HIDDEN

UNSET = msgspec.UNSET
_MAPPINGS = (
    "logit_bias",
    "provider_options",
    "extra_headers",
    "extra_query",
    "extra_body",
    "metadata",
)
_mappings_of = operator.attrgetter(*_MAPPINGS)
_NO_MAPPINGS = (None, *[EMPTY] * (len(_MAPPINGS) - 1))


class _NamesNearest(msgspec.StructMeta):
    """Tells the nearest option where an unknown one is given."""

    def __call__(cls, *args: Any, **keywords: Any) -> Any:  # noqa: N805 -- of a metaclass
        try:
            return super().__call__(*args, **keywords)
        except TypeError:
            check_keywords(keywords, shortcuts=False)
            raise


class GenerateOptions(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, metaclass=_NamesNearest
):
    """Options of one call. Ranges are checked before any request.

    Attributes:
        model: another model id for this call.
        temperature: 0.0 to 2.0.
        max_tokens: limit on output tokens, at least 1.
        top_p: 0.0 to 1.0.
        top_k: at least 1.
        stop: a str or several, at which the answer ends.
        seed: for repeatable sampling, where supported.
        n: how many answers, at least 1.
        frequency_penalty, presence_penalty: -2.0 to 2.0.
        logprobs, top_logprobs: log-probabilities; top 0 to 20, which implies logprobs.
        logit_bias: token to bias, -100 to 100.
        user: the end user's id.
        response_format: a ResponseFormat.
        tool_choice: "auto", "none", "required", or the name of a tool of the request.
        parallel_tool_calls: False asks for one call at a time.
        reasoning: a ReasoningConfig; `reasoning_effort=` and `reasoning_budget=` set one field.
        timeout: seconds for the whole call, or Timeouts.
        provider_options: provider name to body fields, put into that provider's request only.
        extra_headers, extra_query: added to the HTTP request.
        extra_body: merged over the generated body, deeply; None deletes a key.
        raw: True keeps the decoded wire data in `provider_metadata["raw"]`.
        metadata: for hooks, logs and spans; never sent.
        validate_history: False skips the check that tool calls and results pair up.
    """

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | Sequence[str] = ()
    seed: int | None = None
    n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Mapping[str, int] | None = None
    user: str | None = None
    response_format: ResponseFormat | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningConfig | None = None
    timeout: float | Timeouts | None = None
    provider_options: Mapping[str, Mapping[str, Any]] = EMPTY
    extra_headers: Mapping[str, str] = EMPTY
    extra_query: Mapping[str, str] = EMPTY
    extra_body: Mapping[str, Any] = EMPTY
    raw: bool = False
    metadata: Mapping[str, Any] = EMPTY
    validate_history: bool = True

    def __post_init__(self) -> None:
        stop = self.stop
        if isinstance(stop, str):
            msgspec.structs.force_setattr(self, "stop", (stop,))
        elif stop is not None and not isinstance(stop, tuple) and isinstance(stop, Sequence):
            msgspec.structs.force_setattr(self, "stop", tuple(stop))
        mappings = _mappings_of(self)
        if mappings == _NO_MAPPINGS:
            return
        for name, value in zip(_MAPPINGS, mappings, strict=True):
            if value and type(value) is not FrozenDict and isinstance(value, Mapping):
                msgspec.structs.force_setattr(self, name, freeze(value))

    def __repr__(self) -> str:
        """What is set; what may be secret is hidden."""
        shown = ", ".join(f"{name}={_shown(name, value)}" for name, value in _given(self).items())
        return f"GenerateOptions({shown})"


OptionLayer: TypeAlias = GenerateOptions | Mapping[str, Any]
"""What one layer asks: an object, or the keywords as they were given."""


NO_OPTIONS = GenerateOptions()
OPTION_NAMES = frozenset(GenerateOptions.__struct_fields__)
SHORTCUTS = frozenset(("reasoning_effort", "reasoning_budget"))
KEYWORDS = OPTION_NAMES | SHORTCUTS
_MAY_BE_SECRET = frozenset(("extra_headers", "extra_query"))
_MERGED = frozenset(("extra_headers", "extra_query", "metadata"))
_MERGED_DEEPLY = frozenset(("provider_options", "extra_body"))
_DEFAULTS = {name: getattr(NO_OPTIONS, name) for name in GenerateOptions.__struct_fields__}


def check_keywords(
    keywords: Mapping[str, Any],
    also: frozenset[str] = frozenset(),
    *,
    shortcuts: bool = True,
) -> None:
    """Raises TypeError for an unknown option, naming the nearest known one."""
    known = KEYWORDS if shortcuts else OPTION_NAMES
    for name in keywords:
        if name not in known and name not in also:
            import difflib

            near = difflib.get_close_matches(name, sorted(known | also), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"unknown option {name!r}{hint}")


def check_layer(options: OptionLayer | None) -> None:
    """Raises TypeError for what is no layer of options."""
    if isinstance(options, Mapping):
        check_keywords(options)
    elif options is not None and not isinstance(options, GenerateOptions):
        raise TypeError(f"options must be GenerateOptions, not {type(options).__name__}")


def merge_options(
    base: GenerateOptions,
    layer: OptionLayer | None,
) -> GenerateOptions:
    """`base` with a higher layer over it; neither is changed."""
    if not layer or layer is NO_OPTIONS:
        return base
    fields = layer if isinstance(layer, Mapping) else _given(layer)
    changes = {
        name: _merged(name, getattr(base, name), value)
        for name, value in fields.items()
        if value is not None and name not in SHORTCUTS
    }
    if not SHORTCUTS.isdisjoint(fields):
        below = changes.get("reasoning", base.reasoning)
        if below is None or isinstance(below, ReasoningConfig):  # else its range check tells
            changes["reasoning"] = _reasoning(below, fields)
    return msgspec.structs.replace(base, **changes) if changes else base


def changed_options(before: GenerateOptions, after: GenerateOptions) -> dict[str, Any]:
    """What was changed, as a layer; a value that went back to its default is UNSET."""
    found = {}
    for name in GenerateOptions.__struct_fields__:
        value = getattr(after, name)
        if value is not getattr(before, name) and value != getattr(before, name):
            found[name] = UNSET if value == _DEFAULTS[name] else value
    return found


def _shown(name: str, value: Any) -> str:
    if name not in _MAY_BE_SECRET:
        return repr(value)
    return str(dict.fromkeys(value, HIDDEN)) if isinstance(value, Mapping) else HIDDEN


def _given(options: GenerateOptions) -> dict[str, Any]:
    values = ((name, getattr(options, name)) for name in GenerateOptions.__struct_fields__)
    return {name: value for name, value in values if value != _DEFAULTS[name]}


def _merged(name: str, low: Any, high: Any) -> Any:
    if high is UNSET:
        return _DEFAULTS[name]
    if name in _MERGED_DEEPLY and isinstance(high, Mapping):
        return freeze(merge_deeply(low, high))
    if name in _MERGED and isinstance(high, Mapping):
        return freeze({**low, **high})
    return freeze(high)


def merge_deeply(low: Any, high: Any) -> Any:
    """Mappings merged key by key, at every depth; elsewhere the higher value wins."""
    if not (isinstance(low, Mapping) and isinstance(high, Mapping)):
        return high
    return {**low, **{key: merge_deeply(low.get(key), value) for key, value in high.items()}}


def _reasoning(base: ReasoningConfig | None, fields: Mapping[str, Any]) -> ReasoningConfig | None:
    if all(fields.get(name) is None for name in SHORTCUTS):
        return base
    config = base or ReasoningConfig()
    effort, budget = config.effort, config.budget_tokens
    if (value := fields.get("reasoning_effort")) is not None:
        effort = None if value is UNSET else value
    if (value := fields.get("reasoning_budget")) is not None:
        budget = None if value is UNSET else value
    return ReasoningConfig(effort, budget, config.include)
