"""The digests of the farm's own sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from farm import code, locations
from farm.stages import STAGES, StageName


@pytest.fixture(autouse=True)
def look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(code, "_latest", {})  # what is found here is no other test's


def test_what_was_just_found_is_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = code.of_stages()
    monkeypatch.setattr(code, "FRESH_SECONDS", 60.0)
    monkeypatch.setattr(code, "_of_stages", dict)
    assert code.of_stages() == found
    monkeypatch.setattr(code, "FRESH_SECONDS", 0.0)
    assert code.of_stages() == {}


def test_every_stage_has_sources_of_its_own() -> None:
    found = code.of_stages()
    assert list(found) == [stage.name for stage in STAGES]
    assert len(set(found.values())) == len(STAGES)


def test_a_changed_source_is_seen_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "pipeline" / "stages" / "check.py"
    source.parent.mkdir(parents=True)
    source.write_text("one")
    monkeypatch.setattr(locations, "ROOT", tmp_path)
    before = code.of_stages()[StageName.CHECK]
    assert code.of_stages()[StageName.CHECK] == before
    source.write_text("two")
    os.utime(source, ns=(1, 1))
    assert code.of_stages()[StageName.CHECK] != before


def test_new_and_removed_sources_are_seen_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "ROOT", tmp_path)
    nothing = code.of_stages()[StageName.APP]
    folder = tmp_path / "android-builder" / "app" / "src" / "main"
    folder.mkdir(parents=True)
    (folder / "One.kt").write_text("one")
    one = code.of_stages()[StageName.APP]
    (folder / "deeper").mkdir()
    (folder / "deeper" / "Two.kt").write_text("two")
    both = code.of_stages()[StageName.APP]
    assert len({nothing, one, both}) == 3
    (folder / "deeper" / "Two.kt").unlink()
    assert code.of_stages()[StageName.APP] == one


def test_package_versions_decide_what_is_converted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code.of_stages()
    monkeypatch.setattr(code, "versions", lambda: {"keras": "0"})
    changed = {name for name, digest in code.of_stages().items() if digest != before[name]}
    assert changed == {StageName.CONVERT, StageName.VERIFY}
