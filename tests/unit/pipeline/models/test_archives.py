"""`.keras` files as zip archives, before anything in them is believed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from farm.errors import ModelUnsafe
from pipeline.models import archives


def test_a_list_of_members_larger_than_any_models_is_not_read(tmp_path: Path) -> None:
    """The list is parsed as a whole, so that its size is judged before it."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(80):
            archive.writestr(f"{number}", b"")
            archive.filelist[-1].comment = b"x" * 65_000
    with pytest.raises(ModelUnsafe, match="lists its members in 5"), archives.open_archive(path, "model.keras"):
        pass


def test_members_are_read_in_any_size(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    config = b" " * (archives.LIST_BYTES + 1) + b"{}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
    with archives.open_archive(path, "model.keras") as opened:
        assert opened.members == {"config.json": len(config)}
        assert opened.read("config.json", len(config)) == config
