"""The page of providers is what the code says."""

from __future__ import annotations

import os

import pytest
from support.catalogue import PAGE, page, unlisted

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("BELUGA_NO_PLUGINS")), reason="the page shows all plugins"
)


@pytest.mark.row("PROV-26", "DOCS-15")
def test_the_page_of_providers_is_not_stale(monkeypatch: pytest.MonkeyPatch):
    for name in list(os.environ):
        if name.endswith(("_BASE_URL", "_HOST", "_ENDPOINT")):
            monkeypatch.delenv(name)
    assert PAGE.read_text("utf-8") == page(), "python tests/support/catalogue.py --write"


@pytest.mark.row("PROV-26")
def test_every_known_provider_is_on_it():
    assert [*unlisted()] == []
