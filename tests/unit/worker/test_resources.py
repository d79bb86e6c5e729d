"""What a stage's resources bring it, and what of them decides its result."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from db import digests
from db.session import open_database
from farm.appspec import AppSpec
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ModelNotFound
from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import BY_NAME, STAGES, Resource, StageName
from farm.store.choice import open_store
from pipeline.litert_lm import processor_list
from pipeline.request import StageRequest
from worker import resources
from worker.resources import PROVIDERS, Surroundings

SPEC = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    settings = Settings(home=tmp_path, permitted_ops=frozenset({"ReadFile"}))
    return Surroundings(SPEC, settings, open_database(settings.database), open_store(settings), protected=True)


def test_every_resource_has_a_provider() -> None:
    assert set(PROVIDERS) == set(Resource)


def test_only_a_model_on_a_hub_brings_the_network(around: Surroundings, tmp_path: Path) -> None:
    fetch = BY_NAME[StageName.FETCH]
    assert resources.reserve(fetch, around, tmp_path).network
    local = dataclasses.replace(around, spec=JobSpec(model_kind=ModelKind.FOLDER, model="/models/one"))
    access = resources.reserve(fetch, local, tmp_path)
    assert (access.network, access.readable, access.user_files) == (False, (Path("/models/one"),), True)
    for stage in STAGES:
        if stage.name is not StageName.FETCH and Resource.SIGNING_KEY not in stage.resources:
            assert not resources.reserve(stage, around, tmp_path).network, stage.name


def test_one_stage_sees_the_list_of_processors(around: Surroundings, tmp_path: Path) -> None:
    local = dataclasses.replace(around, spec=JobSpec(model_kind=ModelKind.FOLDER, model="/models/one"))
    seeing = [stage.name for stage in STAGES if any(
        path.is_relative_to("/sys") for path in resources.reserve(stage, local, tmp_path / stage.name).readable
    )]  # fmt: skip
    assert seeing == [StageName.LITERT_LM]
    assert resources.reserve(BY_NAME[StageName.LITERT_LM], local, tmp_path).readable == (processor_list.PATH,)


def test_a_snapshot_of_a_hub_brings_the_files_that_it_links_to(around: Surroundings, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "model" / "snapshots" / "0123", tmp_path / "model" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    local = dataclasses.replace(around, spec=JobSpec(model_kind=ModelKind.FOLDER, model=str(snapshot)))
    assert resources.reserve(BY_NAME[StageName.FETCH], local, tmp_path).readable == (snapshot, blobs)
    blobs.rmdir()
    blobs.symlink_to("/etc")
    assert resources.reserve(BY_NAME[StageName.FETCH], local, tmp_path).readable == (snapshot,)


def test_a_stage_that_signs_gets_a_folder_for_the_key_and_its_store_decides(
    around: Surroundings, tmp_path: Path
) -> None:
    (tmp_path / "own.p12").write_bytes(b"one")
    signed = dataclasses.replace(around, spec=SPEC.model_copy(update={"app": AppSpec(keystore=f"{tmp_path}/own.p12")}))
    access = resources.reserve(BY_NAME[StageName.PACKAGE], signed, tmp_path / "package")
    assert access.key is not None
    assert access.secrets == (access.key,)
    assert access.key.stat().st_mode & 0o077 == 0
    before = resources.deciding(BY_NAME[StageName.PACKAGE], signed)
    (tmp_path / "own.p12").write_bytes(b"other")
    assert resources.deciding(BY_NAME[StageName.PACKAGE], signed) != before
    assert resources.deciding(BY_NAME[StageName.CHECK], signed) == {}


def test_permitted_ops_reach_the_stages_that_ask_for_them_and_decide(around: Surroundings, tmp_path: Path) -> None:
    asking = {stage.name for stage in STAGES if Resource.PERMITTED_OPS in stage.resources}
    assert asking == {StageName.CONVERT, StageName.OPS, StageName.PACKAGE, StageName.BUNDLE, StageName.SDK}
    other = dataclasses.replace(around, settings=around.settings.model_copy(update={"permitted_ops": frozenset()}))
    for name in (StageName.OPS, StageName.CONVERT, StageName.SDK):
        assert resources.reserve(BY_NAME[name], around, tmp_path).permitted_ops == {"ReadFile"}
        assert resources.deciding(BY_NAME[name], around) != resources.deciding(BY_NAME[name], other)
    assert resources.reserve(BY_NAME[StageName.VERIFY], around, tmp_path).permitted_ops == frozenset()


def test_a_supplied_aar_is_readable_and_its_content_decides(around: Surroundings, tmp_path: Path) -> None:
    file, stage = tmp_path / "own.aar", BY_NAME[StageName.AAR]
    file.write_bytes(b"one")
    spec = SPEC.model_copy(update={"io_mode": IoMode.STRINGS, "app": AppSpec(aar=f"file:{file}")})
    supplied = dataclasses.replace(around, spec=spec)
    assert resources.reserve(stage, supplied, tmp_path).readable == (file,)
    before = resources.deciding(stage, supplied)
    file.write_bytes(b"two")
    assert resources.deciding(stage, supplied) != before
    assert resources.reserve(stage, around, tmp_path).readable == ()


def test_an_uploaded_model_comes_out_of_the_store(around: Surroundings, tmp_path: Path) -> None:
    source = tmp_path / "made"
    source.mkdir()
    (source / "config.json").write_text("{}")
    (artifact,) = around.store.put({ArtifactName.SOURCE: source})
    spec = JobSpec(model_kind=ModelKind.UPLOADED, model="mine", model_digest=artifact.digest)
    request = StageRequest(
        stage=StageName.FETCH, spec=spec, workdir=tmp_path / "work", caches=tmp_path, toolchain=tmp_path, keystore=None,
        threads=1,
    )  # fmt: skip
    (request.workdir / "inputs").mkdir(parents=True)
    provider = PROVIDERS[Resource.MODEL]
    provider.provide(dataclasses.replace(around, spec=spec), request)
    assert (request.input(ArtifactName.SOURCE) / "config.json").read_text() == "{}"
    with pytest.raises(ModelNotFound):
        provider.provide(dataclasses.replace(around, spec=spec.model_copy(update={"model_digest": None})), request)


def test_what_was_fetched_is_remembered(around: Surroundings) -> None:
    artifact = Artifact(ArtifactName.SOURCE, "a" * 64, 1)
    PROVIDERS[Resource.MODEL].succeeded(around, {ArtifactName.SOURCE: artifact})
    assert digests.model(around.database, SPEC.model) == "a" * 64
