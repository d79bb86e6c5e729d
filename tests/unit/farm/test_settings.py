from __future__ import annotations

from pathlib import Path

import pytest

from farm import settings
from farm.errors import SettingsInvalid


def test_home_decides_where_everything_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FARM_HOME", str(tmp_path))
    loaded = settings.load()
    assert loaded.database == f"sqlite:///{tmp_path}/farm.db"
    for folder in (loaded.store, loaded.work, loaded.caches, loaded.logs, loaded.keys):
        assert folder.parent == tmp_path


def test_a_database_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_DATABASE_URL", "postgresql://farm@localhost/farm")
    assert settings.load().database == "postgresql://farm@localhost/farm"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FARM_HOME", "relative/folder"),
        ("FARM_SANDBOX", "maybe"),
        ("FARM_LEASE_SECONDS", "5"),
        ("FARM_THREADS", "many"),
    ],
)
def test_unsafe_values_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match="FARM_"):
        settings.load()
