"""One asyncio interface over every LLM provider.

    import beluga_llm as llm

    model = llm.create("openai/gpt-4o-mini")
    reply = await model.generate("What is 2+2?")

    async with model.stream("Tell me a story") as stream:
        async for chunk in stream:
            print(chunk.delta, end="")

Names are loaded when they are first used: importing the package opens nothing and imports no
provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm._lazy import lazy_face
from beluga_llm._version import __version__ as __version__

if TYPE_CHECKING:
    from beluga_llm._around import pull as pull
    from beluga_llm._batch.calls import BatchResult as BatchResult
    from beluga_llm._batch.jsonl import batch_jsonl as batch_jsonl
    from beluga_llm._batch.progress import BatchProgress as BatchProgress
    from beluga_llm._breaker import BreakerPolicy as BreakerPolicy
    from beluga_llm._breaker import BreakerState as BreakerState
    from beluga_llm._breaker import BreakerStats as BreakerStats
    from beluga_llm._caching.keys import cache_key as cache_key
    from beluga_llm._caching.stores import CacheStore as CacheStore
    from beluga_llm._caching.stores import MemoryCache as MemoryCache
    from beluga_llm._caching.stores import SQLiteCache as SQLiteCache
    from beluga_llm._call import CallNext as CallNext
    from beluga_llm._call import Middleware as Middleware
    from beluga_llm._call_context import CallContext as CallContext
    from beluga_llm._capabilities import Capabilities as Capabilities
    from beluga_llm._chat_stream import ChatStream as ChatStream
    from beluga_llm._chunks import StreamChunk as StreamChunk
    from beluga_llm._chunks import ToolCallDelta as ToolCallDelta
    from beluga_llm._clock import Clock as Clock
    from beluga_llm._config import ProviderConfig as ProviderConfig
    from beluga_llm._config import Secret as Secret
    from beluga_llm._context.manager import ContextManager as ContextManager
    from beluga_llm._context.strategies import SlidingWindow as SlidingWindow
    from beluga_llm._context.strategies import Truncate as Truncate
    from beluga_llm._context.summarize import Summarize as Summarize
    from beluga_llm._conversation.conversation import Conversation as Conversation
    from beluga_llm._conversation.stores import MemoryStore as MemoryStore
    from beluga_llm._conversation.stores import SessionStore as SessionStore
    from beluga_llm._conversation.stores import SQLiteStore as SQLiteStore
    from beluga_llm._delegating import DelegatingChatModel as DelegatingChatModel
    from beluga_llm._delegating import apply_middleware as apply_middleware
    from beluga_llm._environment import load_config as load_config
    from beluga_llm._errors import AllModelsFailedError as AllModelsFailedError
    from beluga_llm._errors import AuthenticationError as AuthenticationError
    from beluga_llm._errors import BelugaError as BelugaError
    from beluga_llm._errors import BudgetExhaustedError as BudgetExhaustedError
    from beluga_llm._errors import CircuitOpenError as CircuitOpenError
    from beluga_llm._errors import ConfigError as ConfigError
    from beluga_llm._errors import ConnectionFailedError as ConnectionFailedError
    from beluga_llm._errors import ContentFilterError as ContentFilterError
    from beluga_llm._errors import ContextLengthError as ContextLengthError
    from beluga_llm._errors import DroppedContentWarning as DroppedContentWarning
    from beluga_llm._errors import DuplicateProviderError as DuplicateProviderError
    from beluga_llm._errors import EmptyResponseError as EmptyResponseError
    from beluga_llm._errors import GuardBlockedError as GuardBlockedError
    from beluga_llm._errors import InvalidRequestError as InvalidRequestError
    from beluga_llm._errors import MalformedResponseError as MalformedResponseError
    from beluga_llm._errors import ModelNotFoundError as ModelNotFoundError
    from beluga_llm._errors import OverloadedError as OverloadedError
    from beluga_llm._errors import PermissionDeniedError as PermissionDeniedError
    from beluga_llm._errors import PluginError as PluginError
    from beluga_llm._errors import PluginLoadError as PluginLoadError
    from beluga_llm._errors import ProviderError as ProviderError
    from beluga_llm._errors import ProviderNotFoundError as ProviderNotFoundError
    from beluga_llm._errors import ProviderUnavailableError as ProviderUnavailableError
    from beluga_llm._errors import QuotaExceededError as QuotaExceededError
    from beluga_llm._errors import RateLimitError as RateLimitError
    from beluga_llm._errors import RequestTimeoutError as RequestTimeoutError
    from beluga_llm._errors import StoreError as StoreError
    from beluga_llm._errors import StreamInterruptedError as StreamInterruptedError
    from beluga_llm._errors import StreamTimeoutError as StreamTimeoutError
    from beluga_llm._errors import StructuredOutputError as StructuredOutputError
    from beluga_llm._errors import TokenLimitError as TokenLimitError
    from beluga_llm._errors import ToolArgumentsError as ToolArgumentsError
    from beluga_llm._errors import ToolError as ToolError
    from beluga_llm._errors import ToolFailedError as ToolFailedError
    from beluga_llm._errors import ToolNotFoundError as ToolNotFoundError
    from beluga_llm._errors import UnsupportedContentError as UnsupportedContentError
    from beluga_llm._errors import UnsupportedOptionError as UnsupportedOptionError
    from beluga_llm._errors import UnsupportedOptionWarning as UnsupportedOptionWarning
    from beluga_llm._errors import is_retryable as is_retryable
    from beluga_llm._fold import collect as collect
    from beluga_llm._fold import fold as fold
    from beluga_llm._health import Health as Health
    from beluga_llm._health import HealthState as HealthState
    from beluga_llm._health import check_all as check_all
    from beluga_llm._log_records import ContextFilter as ContextFilter
    from beluga_llm._messages import AIMessage as AIMessage
    from beluga_llm._messages import HumanMessage as HumanMessage
    from beluga_llm._messages import Message as Message
    from beluga_llm._messages import Role as Role
    from beluga_llm._messages import SystemMessage as SystemMessage
    from beluga_llm._messages import ToolMessage as ToolMessage
    from beluga_llm._messages import replace as replace
    from beluga_llm._model import ChatModel as ChatModel
    from beluga_llm._option_types import ReasoningConfig as ReasoningConfig
    from beluga_llm._option_types import ReasoningEffort as ReasoningEffort
    from beluga_llm._option_types import ResponseFormat as ResponseFormat
    from beluga_llm._option_types import Timeouts as Timeouts
    from beluga_llm._options import UNSET as UNSET
    from beluga_llm._options import GenerateOptions as GenerateOptions
    from beluga_llm._partial_json import partial_args as partial_args
    from beluga_llm._parts import AudioPart as AudioPart
    from beluga_llm._parts import ContentPart as ContentPart
    from beluga_llm._parts import FilePart as FilePart
    from beluga_llm._parts import ImagePart as ImagePart
    from beluga_llm._parts import TextPart as TextPart
    from beluga_llm._parts import ThinkingPart as ThinkingPart
    from beluga_llm._parts import UnknownPart as UnknownPart
    from beluga_llm._parts import VideoPart as VideoPart
    from beluga_llm._pricing.budget import Budget as Budget
    from beluga_llm._pricing.cost import cost_of as cost_of
    from beluga_llm._pricing.table import Price as Price
    from beluga_llm._pricing.table import PriceTable as PriceTable
    from beluga_llm._protocols import Generates as Generates
    from beluga_llm._protocols import Streams as Streams
    from beluga_llm._rate.governor import Governor as Governor
    from beluga_llm._rate.settings import ProviderLimits as ProviderLimits
    from beluga_llm._registry import PLUGIN_API as PLUGIN_API
    from beluga_llm._registry import PluginRegistry as PluginRegistry
    from beluga_llm._registry import ProviderFactory as ProviderFactory
    from beluga_llm._registry import ProviderInfo as ProviderInfo
    from beluga_llm._registry import Registry as Registry
    from beluga_llm._registry import create as create
    from beluga_llm._registry import create_from_config as create_from_config
    from beluga_llm._registry import is_registered as is_registered
    from beluga_llm._registry import list_providers as list_providers
    from beluga_llm._registry import plugin_errors as plugin_errors
    from beluga_llm._registry import provider_info as provider_info
    from beluga_llm._registry import register as register
    from beluga_llm._registry import registry as registry
    from beluga_llm._registry import unregister as unregister
    from beluga_llm._replay import replay as replay
    from beluga_llm._request import ChatRequest as ChatRequest
    from beluga_llm._request import RequestInfo as RequestInfo
    from beluga_llm._request_context import request_context as request_context
    from beluga_llm._resilient import resilient as resilient
    from beluga_llm._routing.cost_aware import CostAware as CostAware
    from beluga_llm._routing.cost_aware import HeuristicClassifier as HeuristicClassifier
    from beluga_llm._routing.failover import Attempt as Attempt
    from beluga_llm._routing.router import FailoverRouter as FailoverRouter
    from beluga_llm._routing.router import Router as Router
    from beluga_llm._routing.strategies import First as First
    from beluga_llm._routing.strategies import LeastBusy as LeastBusy
    from beluga_llm._routing.strategies import LowestLatency as LowestLatency
    from beluga_llm._routing.strategies import RoundRobin as RoundRobin
    from beluga_llm._routing.strategies import Selector as Selector
    from beluga_llm._routing.strategies import Weighted as Weighted
    from beluga_llm._serialize import from_dict as from_dict
    from beluga_llm._serialize import to_dict as to_dict
    from beluga_llm._structured.face import structured as structured
    from beluga_llm._structured.model import StructuredModel as StructuredModel
    from beluga_llm._structured.model import StructuredResult as StructuredResult
    from beluga_llm._structured.stream import StructuredStream as StructuredStream
    from beluga_llm._token_checks import TokenCheck as TokenCheck
    from beluga_llm._token_checks import check_tokens as check_tokens
    from beluga_llm._tokenizers import get_tokenizer as get_tokenizer
    from beluga_llm._tokens import SimpleTokenizer as SimpleTokenizer
    from beluga_llm._tokens import TokenCount as TokenCount
    from beluga_llm._tokens import Tokenizer as Tokenizer
    from beluga_llm._tool_merge import ToolCallAccumulator as ToolCallAccumulator
    from beluga_llm._tool_types import Tool as Tool
    from beluga_llm._tool_types import ToolCall as ToolCall
    from beluga_llm._tool_types import ToolDefinition as ToolDefinition
    from beluga_llm._tools.calling import ToolEvent as ToolEvent
    from beluga_llm._tools.function import FunctionTool as FunctionTool
    from beluga_llm._tools.function import tool as tool
    from beluga_llm._tools.loop import ToolRun as ToolRun
    from beluga_llm._tools.loop import run_tools as run_tools
    from beluga_llm._tools.stream import ToolStream as ToolStream
    from beluga_llm._tools.stream import stream_tools as stream_tools
    from beluga_llm._tools.toolset import ToolSet as ToolSet
    from beluga_llm._usage import FinishReason as FinishReason
    from beluga_llm._usage import Usage as Usage
    from beluga_llm._validate import ensure_messages as ensure_messages
    from beluga_llm._windows import context_window as context_window
    from beluga_llm.middleware._hook_methods import Hooks as Hooks
    from beluga_llm.middleware._hook_methods import Suppress as Suppress
    from beluga_llm.middleware._hook_methods import compose_hooks as compose_hooks
    from beluga_llm.middleware.breaker import CircuitBreaker as CircuitBreaker
    from beluga_llm.middleware.breaker import with_circuit_breaker as with_circuit_breaker
    from beluga_llm.middleware.budget import with_budget as with_budget
    from beluga_llm.middleware.cache import invalidate as invalidate
    from beluga_llm.middleware.cache import with_cache as with_cache
    from beluga_llm.middleware.context import with_context as with_context
    from beluga_llm.middleware.fallback import with_fallback as with_fallback
    from beluga_llm.middleware.guard import with_guard as with_guard
    from beluga_llm.middleware.hedge import with_hedge as with_hedge
    from beluga_llm.middleware.hooks import with_hooks as with_hooks
    from beluga_llm.middleware.limits import with_limits as with_limits
    from beluga_llm.middleware.logging import with_logging as with_logging
    from beluga_llm.middleware.metrics import with_metrics as with_metrics
    from beluga_llm.middleware.retry import RetryPolicy as RetryPolicy
    from beluga_llm.middleware.retry import with_retry as with_retry
    from beluga_llm.middleware.timeout import with_timeout as with_timeout
    from beluga_llm.middleware.token_check import with_token_check as with_token_check
    from beluga_llm.middleware.tracing import with_tracing as with_tracing

_WHERE = {
    "_context.manager": ("ContextManager",),
    "_context.strategies": ("SlidingWindow", "Truncate"),
    "_context.summarize": ("Summarize",),
    "_token_checks": ("TokenCheck", "check_tokens"),
    "_tokenizers": ("get_tokenizer",),
    "_windows": ("context_window",),
    "_conversation.conversation": ("Conversation",),
    "_conversation.stores": ("MemoryStore", "SQLiteStore", "SessionStore"),
    "_pricing.budget": ("Budget",),
    "_pricing.cost": ("cost_of",),
    "_pricing.table": ("Price", "PriceTable"),
    "_request_context": ("request_context",),
    "_routing.cost_aware": ("CostAware", "HeuristicClassifier"),
    "middleware.budget": ("with_budget",),
    "middleware.context": ("with_context",),
    "middleware.token_check": ("with_token_check",),
    "middleware.timeout": ("with_timeout",),
    "middleware.logging": ("with_logging",),
    "middleware.metrics": ("with_metrics",),
    "middleware.tracing": ("with_tracing",),
    "_log_records": ("ContextFilter",),
    "middleware.limits": ("with_limits",),
    "middleware.breaker": ("CircuitBreaker", "with_circuit_breaker"),
    "_rate.settings": ("ProviderLimits",),
    "_rate.governor": ("Governor",),
    "_breaker": ("BreakerPolicy", "BreakerState", "BreakerStats"),
    "_chat_stream": ("ChatStream",),
    "_delegating": ("DelegatingChatModel", "apply_middleware"),
    "_validate": ("ensure_messages",),
    "_around": ("pull",),
    "_call": (
        "CallNext",
        "Middleware",
    ),
    "_capabilities": ("Capabilities",),
    "_chunks": (
        "StreamChunk",
        "ToolCallDelta",
    ),
    "_config": (
        "ProviderConfig",
        "Secret",
    ),
    "_environment": ("load_config",),
    "_errors": (
        "AllModelsFailedError",
        "AuthenticationError",
        "BelugaError",
        "BudgetExhaustedError",
        "CircuitOpenError",
        "ConfigError",
        "ConnectionFailedError",
        "ContentFilterError",
        "ContextLengthError",
        "DroppedContentWarning",
        "DuplicateProviderError",
        "EmptyResponseError",
        "GuardBlockedError",
        "InvalidRequestError",
        "MalformedResponseError",
        "ModelNotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PluginError",
        "PluginLoadError",
        "ProviderError",
        "ProviderNotFoundError",
        "ProviderUnavailableError",
        "QuotaExceededError",
        "RateLimitError",
        "RequestTimeoutError",
        "StoreError",
        "StreamInterruptedError",
        "StreamTimeoutError",
        "StructuredOutputError",
        "TokenLimitError",
        "ToolArgumentsError",
        "ToolError",
        "ToolFailedError",
        "ToolNotFoundError",
        "UnsupportedContentError",
        "UnsupportedOptionError",
        "UnsupportedOptionWarning",
        "is_retryable",
    ),
    "_fold": (
        "collect",
        "fold",
    ),
    "_batch.calls": ("BatchResult",),
    "_batch.jsonl": ("batch_jsonl",),
    "_batch.progress": ("BatchProgress",),
    "_health": ("Health", "HealthState", "check_all"),
    "_messages": (
        "AIMessage",
        "HumanMessage",
        "Message",
        "Role",
        "SystemMessage",
        "ToolMessage",
        "replace",
    ),
    "_model": ("ChatModel",),
    "_protocols": ("Generates", "Streams"),
    "_option_types": (
        "ReasoningConfig",
        "ReasoningEffort",
        "ResponseFormat",
        "Timeouts",
    ),
    "_options": (
        "GenerateOptions",
        "UNSET",
    ),
    "_parts": (
        "AudioPart",
        "ContentPart",
        "FilePart",
        "ImagePart",
        "TextPart",
        "ThinkingPart",
        "UnknownPart",
        "VideoPart",
    ),
    "_registry": (
        "PLUGIN_API",
        "PluginRegistry",
        "ProviderFactory",
        "ProviderInfo",
        "Registry",
        "create",
        "create_from_config",
        "is_registered",
        "list_providers",
        "plugin_errors",
        "provider_info",
        "register",
        "registry",
        "unregister",
    ),
    "_replay": ("replay",),
    "_request": (
        "ChatRequest",
        "RequestInfo",
    ),
    "_serialize": (
        "from_dict",
        "to_dict",
    ),
    "_structured.face": ("structured",),
    "_structured.model": (
        "StructuredModel",
        "StructuredResult",
    ),
    "_structured.stream": ("StructuredStream",),
    "_tokens": (
        "SimpleTokenizer",
        "TokenCount",
        "Tokenizer",
    ),
    "_tool_merge": ("ToolCallAccumulator",),
    "_tool_types": (
        "Tool",
        "ToolCall",
        "ToolDefinition",
    ),
    "_clock": ("Clock",),
    "_call_context": ("CallContext",),
    "_routing.failover": ("Attempt",),
    "_routing.router": (
        "FailoverRouter",
        "Router",
    ),
    "_routing.strategies": (
        "First",
        "LeastBusy",
        "LowestLatency",
        "RoundRobin",
        "Selector",
        "Weighted",
    ),
    "middleware.fallback": ("with_fallback",),
    "middleware.hedge": ("with_hedge",),
    "middleware.retry": (
        "RetryPolicy",
        "with_retry",
    ),
    "middleware._hook_methods": ("Hooks", "Suppress", "compose_hooks"),
    "middleware.hooks": ("with_hooks",),
    "middleware.guard": ("with_guard",),
    "_caching.keys": ("cache_key",),
    "_caching.stores": (
        "CacheStore",
        "MemoryCache",
        "SQLiteCache",
    ),
    "middleware.cache": (
        "invalidate",
        "with_cache",
    ),
    "_resilient": ("resilient",),
    "_tools.calling": ("ToolEvent",),
    "_tools.function": (
        "FunctionTool",
        "tool",
    ),
    "_tools.loop": (
        "ToolRun",
        "run_tools",
    ),
    "_tools.stream": (
        "ToolStream",
        "stream_tools",
    ),
    "_tools.toolset": ("ToolSet",),
    "_partial_json": ("partial_args",),
    "_usage": (
        "FinishReason",
        "Usage",
    ),
}

_FACES = ("blocking", "cli", "middleware", "plugin", "streams", "testing")

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE, faces=_FACES)
