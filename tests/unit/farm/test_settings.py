from __future__ import annotations

from pathlib import Path

import pytest

from farm import locations, settings
from farm.errors import SettingsInvalid


def test_home_decides_where_everything_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FARM_HOME", str(tmp_path))
    loaded = settings.load()
    assert loaded.database == f"sqlite:///{tmp_path}/farm.db"
    for folder in (loaded.store, loaded.work, loaded.caches, loaded.logs, loaded.keys):
        assert folder.parent == tmp_path


def test_permitted_ops_are_a_list_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_PERMITTED_OPS", "ReadFile, PrintV2")
    assert settings.load().permitted_ops == {"ReadFile", "PrintV2"}


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
        ("FARM_PERMITTED_OPS", "ReadFile,Read*"),
    ],
)
def test_unsafe_values_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match="FARM_"):
        settings.load()


def test_a_secret_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FARM_SECRETS", str(tmp_path))
    (tmp_path / "farm_broker_url").write_text("redis://:hidden@redis:6379/0\n")
    assert settings.load().broker_url == "redis://:hidden@redis:6379/0"
    # What stands in the environment goes before; what stands there empty does not count.
    monkeypatch.setenv("FARM_BROKER_URL", "")
    assert settings.load().broker_url == "redis://:hidden@redis:6379/0"
    monkeypatch.setenv("FARM_BROKER_URL", "redis://127.0.0.1:1/0")
    assert settings.load().broker_url == "redis://127.0.0.1:1/0"


def test_no_secrets_where_there_is_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FARM_SECRETS", str(tmp_path / "missing"))
    assert settings.load().broker_url is None


def test_the_toolchain_lies_with_the_data_of_an_installed_farm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FARM_HOME", str(tmp_path))
    assert settings.load().toolchain == locations.ROOT / ".toolchain"
    monkeypatch.setattr(locations, "CHECKOUT", False)
    assert settings.load().toolchain == tmp_path / "toolchain"
