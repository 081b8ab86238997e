"""Settings as a program gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proa.engine.settings import Settings


def test_places_may_be_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_root="data", exec_root="/run/mine")  # type: ignore[arg-type]
    assert settings.database == tmp_path / "data/proa.db"
    assert settings.exec_root == Path("/run/mine")
