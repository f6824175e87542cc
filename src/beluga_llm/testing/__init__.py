"""What tests of LLM applications and plugins need: fake servers, scripted models, a clock by hand.

    async def test_retry(fake_llm_server):
        fake_llm_server.reply(status=429, headers={"retry-after": "1"})
        fake_llm_server.reply("Hello")
        url = fake_llm_server.base_url("chat")
        model = llm.create("openai-compatible", model="m", base_url=url)
        ...

The fixtures `fake_llm_server`, `mock_model`, `beluga_registry`, `forbid_requests`, `otel_spans`,
`otel_metrics` and `aioresponses_compat` come with the installed package, and the marker `live`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm._lazy import lazy_face

if TYPE_CHECKING:
    from beluga_llm._http.forbidden import RequestForbiddenError as RequestForbiddenError
    from beluga_llm._http.forbidden import forbid_requests as forbid_requests
    from beluga_llm.testing._assertions import assert_chunks_valid as assert_chunks_valid
    from beluga_llm.testing._assertions import assert_error as assert_error
    from beluga_llm.testing._assertions import assert_health as assert_health
    from beluga_llm.testing._assertions import assert_registered as assert_registered
    from beluga_llm.testing._assertions import assert_stream_ok as assert_stream_ok
    from beluga_llm.testing._clock import VirtualClock as VirtualClock
    from beluga_llm.testing._conformance import ChatModelConformance as ChatModelConformance
    from beluga_llm.testing._conformance import DialectConformance as DialectConformance
    from beluga_llm.testing._conforms import assert_conforms as assert_conforms
    from beluga_llm.testing._fixtures import MockExhaustedError as MockExhaustedError
    from beluga_llm.testing._rate_limited import rate_limited as rate_limited
    from beluga_llm.testing._recorded_bytes import RecordingTransport as RecordingTransport
    from beluga_llm.testing._recorded_bytes import ReplayTransport as ReplayTransport
    from beluga_llm.testing._recorded_bytes import record_bytes as record_bytes
    from beluga_llm.testing._recorded_bytes import replay as replay
    from beluga_llm.testing._recorded_calls import ReplayModel as ReplayModel
    from beluga_llm.testing._recorded_calls import with_recording as with_recording
    from beluga_llm.testing._reply import Reply as Reply
    from beluga_llm.testing._reply import Seen as Seen
    from beluga_llm.testing._sample import sample as sample
    from beluga_llm.testing._schema_check import is_valid as is_valid
    from beluga_llm.testing._server import FakeServer as FakeServer
    from beluga_llm.testing._server import demo_server as demo_server
    from beluga_llm.testing._tape import ReplayError as ReplayError
    from beluga_llm.testing.demo import DemoChatModel as DemoChatModel
    from beluga_llm.testing.mock import MockChatModel as MockChatModel

_WHERE = {
    "_http.forbidden": ("RequestForbiddenError", "forbid_requests"),
    "testing._assertions": (
        "assert_chunks_valid", "assert_error", "assert_health", "assert_registered",
        "assert_stream_ok",
    ),
    "testing._clock": ("VirtualClock",),
    "testing._conformance": ("ChatModelConformance", "DialectConformance"),
    "testing._conforms": ("assert_conforms",),
    "testing._fixtures": ("MockExhaustedError",),
    "testing._rate_limited": ("rate_limited",),
    "testing._recorded_bytes": (
        "RecordingTransport", "ReplayTransport", "record_bytes", "replay",
    ),
    "testing._recorded_calls": ("ReplayModel", "with_recording"),
    "testing._reply": ("Reply", "Seen"),
    "testing._sample": ("sample",),
    "testing._schema_check": ("is_valid",),
    "testing._server": ("FakeServer", "demo_server"),
    "testing._tape": ("ReplayError",),
    "testing.demo": ("DemoChatModel",),
    "testing.mock": ("MockChatModel",),
}  # fmt: skip

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)
