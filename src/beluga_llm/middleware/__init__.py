"""What stands around a call: one layer, one idea.

    model = model.with_middleware(with_fallback(other), with_retry(), with_limits(rpm=600))

The first layer is the outermost. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm._lazy import lazy_face

if TYPE_CHECKING:
    from beluga_llm.middleware.fallback import with_fallback as with_fallback
    from beluga_llm.middleware.guard import with_guard as with_guard
    from beluga_llm.middleware.hedge import with_hedge as with_hedge
    from beluga_llm.middleware.hooks import Hooks as Hooks
    from beluga_llm.middleware.hooks import Suppress as Suppress
    from beluga_llm.middleware.hooks import compose_hooks as compose_hooks
    from beluga_llm.middleware.hooks import with_hooks as with_hooks
    from beluga_llm.middleware.retry import RetryPolicy as RetryPolicy
    from beluga_llm.middleware.retry import with_retry as with_retry

_WHERE = {
    "middleware.guard": ("with_guard",),
    "middleware.hooks": ("Hooks", "Suppress", "compose_hooks", "with_hooks"),
    "middleware.fallback": ("with_fallback",),
    "middleware.hedge": ("with_hedge",),
    "middleware.retry": ("RetryPolicy", "with_retry"),
}

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)
