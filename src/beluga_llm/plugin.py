"""The one face for plugin authors: what a provider is made of.

Lazy like `beluga_llm` itself, so that a plugin loads only what it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm import _lazy

if TYPE_CHECKING:
    from beluga_llm._batch.chat_lines import message_of as message_of
    from beluga_llm._capabilities import Capabilities as Capabilities
    from beluga_llm._chunks import StreamChunk as StreamChunk
    from beluga_llm._chunks import ToolCallDelta as ToolCallDelta
    from beluga_llm._config import ProviderConfig as ProviderConfig
    from beluga_llm._config import Secret as Secret
    from beluga_llm._config_checks import check_config as check_config
    from beluga_llm._dialects.openai_chat import OpenAIChatDialect as OpenAIChatDialect
    from beluga_llm._dialects.openai_responses import (
        OpenAIResponsesDialect as OpenAIResponsesDialect,
    )
    from beluga_llm._dialects.quirks import ChatQuirks as ChatQuirks
    from beluga_llm._http.dialect import PING as PING
    from beluga_llm._http.dialect import Decoder as Decoder
    from beluga_llm._http.dialect import Dialect as Dialect
    from beluga_llm._http.dialect import Frame as Frame
    from beluga_llm._http.dialect import Framing as Framing
    from beluga_llm._http.dialect import HttpRequest as HttpRequest
    from beluga_llm._http.dialect import InBandError as InBandError
    from beluga_llm._http.dialect import Note as Note
    from beluga_llm._http.encoding import Notes as Notes
    from beluga_llm._http.encoding import base64_text as base64_text
    from beluga_llm._http.encoding import blocks as blocks
    from beluga_llm._http.encoding import data_uri as data_uri
    from beluga_llm._http.encoding import provider_options as provider_options
    from beluga_llm._http.encoding import safe_id as safe_id
    from beluga_llm._http.event_stream import AwsEventStream as AwsEventStream
    from beluga_llm._http.framing import NDJSON as NDJSON
    from beluga_llm._http.framing import SSE as SSE
    from beluga_llm._http.framing import FramingError as FramingError
    from beluga_llm._http.framing import WholeBody as WholeBody
    from beluga_llm._http.problems import COMMON_RULES as COMMON_RULES
    from beluga_llm._http.problems import ErrorRules as ErrorRules
    from beluga_llm._http.problems import Problem as Problem
    from beluga_llm._http.problems import http_error as http_error
    from beluga_llm._http.problems import read_problem as read_problem
    from beluga_llm._http.template import Template as Template
    from beluga_llm._http.transport import AiohttpTransport as AiohttpTransport
    from beluga_llm._http.wire import Response as Response
    from beluga_llm._http.wire import Signer as Signer
    from beluga_llm._http.wire import Transport as Transport
    from beluga_llm._http.wire import WireRequest as WireRequest
    from beluga_llm._http_model import HttpModel as HttpModel
    from beluga_llm._json import REFUSED as REFUSED
    from beluga_llm._json import JsonError as JsonError
    from beluga_llm._json import dumps as dumps
    from beluga_llm._json import dumps_text as dumps_text
    from beluga_llm._json import loads as loads
    from beluga_llm._json import strict as strict
    from beluga_llm._json import typed as typed
    from beluga_llm._lazy import lazy_face as lazy_face
    from beluga_llm._provider import ProviderModel as ProviderModel
    from beluga_llm._provider import ProviderSpec as ProviderSpec
    from beluga_llm._rate.governor import rate_advice as rate_advice
    from beluga_llm._rate.local import LocalLimits as LocalLimits
    from beluga_llm._rate.store import LimitDemand as LimitDemand
    from beluga_llm._rate.store import LimitPlace as LimitPlace
    from beluga_llm._rate.store import LimitRefusal as LimitRefusal
    from beluga_llm._rate.store import LimitStore as LimitStore
    from beluga_llm._request import ChatRequest as ChatRequest
    from beluga_llm._request import RequestInfo as RequestInfo
    from beluga_llm._signers.aws import aws_signer as aws_signer
    from beluga_llm._signers.azure import entra_signer as entra_signer
    from beluga_llm._signers.google import google_signer as google_signer
    from beluga_llm._signers.tokens import Token as Token
    from beluga_llm._signers.tokens import TokenSigner as TokenSigner

_WHERE = {
    "_rate.store": ("LimitDemand", "LimitPlace", "LimitRefusal", "LimitStore"),
    "_rate.governor": ("rate_advice",),
    "_rate.local": ("LocalLimits",),
    "_batch.chat_lines": ("message_of",),
    "_capabilities": ("Capabilities",),
    "_chunks": ("StreamChunk", "ToolCallDelta"),
    "_config": ("ProviderConfig", "Secret"),
    "_config_checks": ("check_config",),
    "_dialects.openai_chat": ("OpenAIChatDialect",),
    "_dialects.openai_responses": ("OpenAIResponsesDialect",),
    "_dialects.quirks": ("ChatQuirks",),
    "_http.dialect": (
        "PING", "Decoder", "Dialect", "Frame", "Framing", "HttpRequest", "InBandError", "Note",
    ),
    "_http.encoding": (
        "Notes", "base64_text", "blocks", "data_uri", "provider_options", "safe_id",
    ),
    "_http.event_stream": ("AwsEventStream",),
    "_http.framing": ("NDJSON", "SSE", "FramingError", "WholeBody"),
    "_http.problems": ("COMMON_RULES", "ErrorRules", "Problem", "http_error", "read_problem"),
    "_http.template": ("Template",),
    "_http.transport": ("AiohttpTransport",),
    "_http.wire": ("Response", "Signer", "Transport", "WireRequest"),
    "_http_model": ("HttpModel",),
    "_lazy": ("lazy_face",),
    "_json": ("REFUSED", "JsonError", "dumps", "dumps_text", "loads", "strict", "typed"),
    "_provider": ("ProviderModel", "ProviderSpec"),
    "_request": ("ChatRequest", "RequestInfo"),
    "_signers.aws": ("aws_signer",),
    "_signers.azure": ("entra_signer",),
    "_signers.google": ("google_signer",),
    "_signers.tokens": ("Token", "TokenSigner"),
}  # fmt: skip

__all__, __getattr__, __dir__ = _lazy.lazy_face(__name__, _WHERE)
