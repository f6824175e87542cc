"""The echo model keeps the contract of a provider that is no HTTP service."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance


@pytest.mark.row("PROV-23", "TEST-06")
class TestEcho(ChatModelConformance):
    entry = "echo"
