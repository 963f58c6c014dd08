"""A registry of backbones that is restored after each test."""

import pytest

from lord.backbone.sources import REGISTERED


@pytest.fixture(autouse=True)
def _restored_backbones(monkeypatch):
    monkeypatch.setattr("lord.backbone.sources.REGISTERED", dict(REGISTERED))
