"""What stands around a call: one layer, one idea.

    model = model.with_middleware(with_fallback(other), with_retry(), with_limits(rpm=600))

The first layer is the outermost. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm._lazy import lazy_face

if TYPE_CHECKING:
    from beluga_llm._breaker import BreakerPolicy as BreakerPolicy
    from beluga_llm._breaker import BreakerState as BreakerState
    from beluga_llm._breaker import BreakerStats as BreakerStats
    from beluga_llm._rate.governor import Governor as Governor
    from beluga_llm._rate.settings import ProviderLimits as ProviderLimits
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
    "middleware.budget": ("with_budget",),
    "middleware.cache": ("invalidate", "with_cache"),
    "middleware.context": ("with_context",),
    "middleware.token_check": ("with_token_check",),
    "middleware.timeout": ("with_timeout",),
    "middleware.logging": ("with_logging",),
    "middleware.metrics": ("with_metrics",),
    "middleware.tracing": ("with_tracing",),
    "middleware.limits": ("with_limits",),
    "middleware.breaker": ("CircuitBreaker", "with_circuit_breaker"),
    "_rate.settings": ("ProviderLimits",),
    "_rate.governor": ("Governor",),
    "_breaker": ("BreakerPolicy", "BreakerState", "BreakerStats"),
    "middleware.guard": ("with_guard",),
    "middleware._hook_methods": ("Hooks", "Suppress", "compose_hooks"),
    "middleware.hooks": ("with_hooks",),
    "middleware.fallback": ("with_fallback",),
    "middleware.hedge": ("with_hedge",),
    "middleware.retry": ("RetryPolicy", "with_retry"),
}

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)
