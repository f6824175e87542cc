"""Limits, cached answers and conversations of beluga-llm in Redis.

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_redis._limiter import RedisLimiter as RedisLimiter
    from beluga_llm_redis._stores import RedisCache as RedisCache
    from beluga_llm_redis._stores import RedisSessionStore as RedisSessionStore

_WHERE = {
    "_limiter": ("RedisLimiter",),
    "_stores": ("RedisCache", "RedisSessionStore"),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)
