"""A folder with a tiny model, for tests of local models."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `./tiny` is a model."""
    from tests.backends.tiny_models import make_tiny  # it needs torch, which is an extra

    path = tmp_path_factory.mktemp("models")
    make_tiny(path / "tiny")
    return path


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in that folder."""
    monkeypatch.chdir(home)
