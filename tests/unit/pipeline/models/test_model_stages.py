from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm import sources
from farm.artifacts import ArtifactName
from farm.errors import ModelChanged, ModelUnsafe
from farm.jobspec import JobSpec
from farm.modelref import ModelKind, ModelRef
from farm.stages import StageName
from pipeline.request import StageRequest
from pipeline.stages import check as check_stage
from pipeline.stages import fetch as fetch_stage
from tests.security.model_files import write_preset


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    write_preset(tmp_path / "mine")
    return tmp_path / "mine"


def order(stage: StageName, tmp_path: Path, preset: Path, digest: str | None = None) -> StageRequest:
    spec = JobSpec(model_kind=ModelKind.FOLDER, model=str(preset), model_digest=digest)
    return StageRequest(
        stage=stage, spec=spec, workdir=tmp_path / "work", caches=tmp_path, toolchain=tmp_path, keystore=None, threads=1
    )


def test_fetch_and_check_hand_on_what_the_next_stage_reads(tmp_path: Path, preset: Path) -> None:
    digest = sources.digest(ModelRef(ModelKind.FOLDER, str(preset)))
    said: list[str] = []
    fetching = order(StageName.FETCH, tmp_path, preset, digest)
    result = fetch_stage.run(fetching, lambda _share, activity: said.append(activity))
    assert result.attributes == {"source_digest": digest}
    assert result.metrics[0].value == sum(path.stat().st_size for path in preset.rglob("*") if path.is_file())
    assert "copying config.json" in said

    checking = order(StageName.CHECK, tmp_path, preset)
    checking.input(ArtifactName.SOURCE).parent.mkdir()
    fetching.output(ArtifactName.SOURCE).rename(checking.input(ArtifactName.SOURCE))
    result = check_stage.run(checking, lambda _share, _activity: None)
    assert result.attributes == {"backbone": "GPT2Backbone"}
    checked = json.loads(checking.output(ArtifactName.CHECKED).read_text())
    assert (checked["form"], checked["backbone"], checked["files"]) == ("preset", "GPT2Backbone", 8)


def test_fetch_refuses_a_model_that_changed_since_submit(tmp_path: Path, preset: Path) -> None:
    with pytest.raises(ModelChanged):
        fetch_stage.run(order(StageName.FETCH, tmp_path, preset, "0" * 64), lambda _share, _activity: None)


def test_check_leaves_no_result_for_an_unsafe_model(tmp_path: Path, preset: Path) -> None:
    checking = order(StageName.CHECK, tmp_path, preset)
    checking.input(ArtifactName.SOURCE).parent.mkdir(parents=True)
    preset.rename(checking.input(ArtifactName.SOURCE))
    (checking.input(ArtifactName.SOURCE) / "model.pkl").write_bytes(b"")
    with pytest.raises(ModelUnsafe):
        check_stage.run(checking, lambda _share, _activity: None)
    assert not checking.output(ArtifactName.CHECKED).exists()
