from __future__ import annotations

import hashlib
from pathlib import Path

from farm import digests


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = b"weights" * 300_000
    path = tmp_path / "weights"
    path.write_bytes(data)
    assert digests.of_file(path) == digests.of_bytes(data) == hashlib.sha256(data).hexdigest()


def test_json_is_canonical() -> None:
    assert digests.canonical_json({"b": 1, "a": [True, "é"]}) == '{"a":[true,"é"],"b":1}'.encode()
    assert digests.of_json({"b": 1, "a": 2}) == digests.of_json({"a": 2, "b": 1})


def test_sources_count_by_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    first = digests.of_sources(tmp_path, ["*.py"])
    (tmp_path / "notes.txt").write_text("not code")
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    (cache / "one.py").write_text("compiled")
    assert digests.of_sources(tmp_path, ["**/*.py"]) == first
    (tmp_path / "one.py").write_text("2")
    assert digests.of_sources(tmp_path, ["*.py"]) != first
