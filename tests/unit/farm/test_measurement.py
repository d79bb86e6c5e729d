"""What a phone measured, from a file that anybody may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm import measurement
from farm.errors import MeasurementUnreadable
from tests.fixtures.shared_measurement import SHARED


def test_a_measurement_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(SHARED))
    found = measurement.read(path)
    assert (found.device, found.tokens_per_second) == ("Google Pixel 7", 208.5)
    assert measurement.parse(json.dumps(SHARED | {"peak_memory_bytes": None}).encode(), "x").peak_memory_bytes is None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": 2}, "format"),
        ({"kind": "other"}, "kind"),
        ({"device": "x" * 81}, "device"),
        ({"device": "\x1b[31mred"}, "device"),
        ({"device": "<script>"}, "device"),
        ({"device": ""}, "device"),
        ({"model_sha256": "../../etc"}, "model_sha256"),
        ({"tokens_per_second": float("inf")}, "tokens_per_second"),
        ({"tokens_per_second": float("nan")}, "tokens_per_second"),
        ({"tokens_per_second": "fast"}, "tokens_per_second"),
        ({"first_token_seconds": 0}, "first_token_seconds"),
        ({"threads": 10**30}, "threads"),
        ({"peak_memory_bytes": -1}, "peak_memory_bytes"),
        ({"another": 1}, "another"),
    ],
)
def test_what_the_app_would_not_write_is_refused(change: dict[str, Any], place: str) -> None:
    with pytest.raises(MeasurementUnreadable, match=f"wrong at '{place}'"):
        measurement.parse(json.dumps(SHARED | change).encode(), "shared.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 10_000, b" " * (measurement.FILE_BYTES + 1)])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(MeasurementUnreadable):
        measurement.parse(content, "shared.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasurementUnreadable, match="can't be read"):
        measurement.read(tmp_path / "none.json")
    with pytest.raises(MeasurementUnreadable, match="can't be read"):
        measurement.read(tmp_path)
