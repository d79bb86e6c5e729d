from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm.errors import FileUnreadable
from pipeline.inference.model_info import ModelInfo
from tests.fixtures.bound_models import write_model_folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    info = write_model_folder(tmp_path)
    assert ModelInfo.read(tmp_path / "model-info.json") == info


@pytest.mark.parametrize(
    ("change", "field"), [({"format": 2}, "format"), ({"context": "many"}, "context"), ({"surprise": 1}, "surprise")]
)
def test_another_form_is_refused_by_its_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    write_model_folder(tmp_path)
    path = tmp_path / "model-info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileUnreadable, match=f"{field} is wrong"):
        ModelInfo.read(path)


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(FileUnreadable, match=r"x\.json is no model description"):
        ModelInfo.parse(b"{", "x.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="can't be read"):
        ModelInfo.read(tmp_path / "none.json")
