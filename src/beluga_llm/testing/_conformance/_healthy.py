"""Health: nothing is sent unasked, and a probe says what is wrong, without raising."""

from __future__ import annotations

import pytest

from beluga_llm._model import ChatModel
from beluga_llm.testing._assertions import assert_health
from beluga_llm.testing._conformance._base import Conformance, check, no_tasks_left
from beluga_llm.testing._conformance._samples import WEATHER
from beluga_llm.testing._server import FakeServer


class HealthChecks(Conformance):
    """`check_health`, with a probe and without."""

    @check
    async def test_health_sends_nothing_unasked(self, model: ChatModel, server: FakeServer) -> None:
        """Without a probe it tells what is known here: provider, model, key, tools."""
        bound = model.bind_tools([WEATHER]) if model.capabilities.tools is not False else model
        health = await bound.check_health()
        assert_health(health, provider=model.provider, model=model.model_id, latency=None)
        assert health.tools_count == (0 if bound is model else 1)
        assert health.api_key_set or not self.speaks_http
        assert server.requests == []

    @check
    async def test_a_probe_finds_a_provider_healthy(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """It sends one cheap request, and tells how long that took."""
        self.always(server)
        health = await model.check_health(probe=True)
        assert_health(health, provider=model.provider, model=model.model_id)
        assert health.latency is not None
        assert not self.speaks_http or len(server.requests) == 1

    @pytest.mark.parametrize(
        ("status", "state"), [(401, "unhealthy"), (503, "unhealthy"), (429, "degraded")]
    )
    @check
    async def test_a_probe_tells_what_is_wrong(
        self, model: ChatModel, server: FakeServer, status: int, state: str
    ) -> None:
        """A failure is a state with the error's code, never an exception; the key is not shown."""
        self.http()
        self.always(server)
        await model.check_health(probe=True)
        server.reply(
            status=status, error=f"the key is {self.api_key}", path=server.requests[0].path
        )
        health = await model.check_health(probe=True)
        await no_tasks_left()
        assert_health(health, state)
        assert len(server.requests) == 2, "it was tried again by itself"
        assert self.api_key not in str(health.as_dict())
