"""The digests of the farm's own sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from farm import code, locations
from farm.stages import STAGES, StageName


def test_every_stage_has_sources_of_its_own() -> None:
    found = code.of_stages()
    assert list(found) == [stage.name for stage in STAGES]
    assert len(set(found.values())) == len(STAGES)


def test_a_changed_source_is_seen_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "worker" / "stages" / "check.py"
    source.parent.mkdir(parents=True)
    source.write_text("one")
    monkeypatch.setattr(locations, "ROOT", tmp_path)
    before = code.of_stages()[StageName.CHECK]
    assert code.of_stages()[StageName.CHECK] == before
    source.write_text("two")
    os.utime(source, ns=(1, 1))
    assert code.of_stages()[StageName.CHECK] != before


def test_package_versions_decide_what_is_converted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code.of_stages()
    monkeypatch.setattr(code, "versions", lambda: {"keras": "0"})
    changed = {name for name, digest in code.of_stages().items() if digest != before[name]}
    assert changed == {StageName.CONVERT, StageName.VERIFY}
