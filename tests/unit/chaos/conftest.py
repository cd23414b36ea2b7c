"""A private temporary directory for every cluster of a test."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def temporary_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where supervisors of this test put their temporary folders."""
    base = tmp_path / "temporary files"
    base.mkdir()
    monkeypatch.setenv("TMPDIR", str(base))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return base
