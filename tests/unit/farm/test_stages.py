from __future__ import annotations

from functools import reduce

import pytest

from farm import locations
from farm.artifacts import PUBLISHED, ArtifactName
from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind
from farm.stages import BY_NAME, STAGES, Resource, Stage, StageName, stages_of

by_io_mode = pytest.mark.parametrize("io_mode", list(IoMode))
by_name = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)


def stages_in(io_mode: IoMode) -> tuple[Stage, ...]:
    return stages_of(JobSpec(model_kind=ModelKind.PRESET, model="x", io_mode=io_mode))


def test_every_stage_stands_once_and_in_order() -> None:
    assert [stage.name for stage in STAGES] == list(StageName)
    assert set(BY_NAME) == set(StageName)


@by_name
def test_inputs_come_from_earlier_stages(stage: Stage) -> None:
    earlier = STAGES[: STAGES.index(stage)]
    assert set(stage.inputs) <= {output for other in earlier for output in other.outputs}


@by_io_mode
def test_every_artifact_has_one_maker_in_a_job(io_mode: IoMode) -> None:
    made = [output for stage in stages_in(io_mode) for output in stage.outputs]
    assert len(made) == len(set(made))


def test_every_artifact_has_a_maker() -> None:
    made = [output for stage in STAGES for output in stage.outputs]
    # The report is written by the supervisor, from what is recorded; a model file comes by upload.
    assert set(made) | {ArtifactName.REPORT, ArtifactName.MODEL_FILE} == set(ArtifactName)
    assert set(PUBLISHED) <= set(ArtifactName)


@by_name
def test_every_stage_has_a_module(stage: Stage) -> None:
    assert (locations.ROOT / f"{stage.module.replace('.', '/')}.py").is_file()


@by_name
def test_spec_fields_exist(stage: Stage) -> None:
    spec = JobSpec(model_kind=ModelKind.PRESET, model="x").model_dump()
    for field in stage.spec_fields:
        reduce(lambda part, name: part[name], field.split("."), spec)


def test_only_fetching_is_given_the_models_place() -> None:
    assert [stage.name for stage in STAGES if Resource.MODEL in stage.resources] == [StageName.FETCH]


@by_io_mode
def test_shares_add_up(io_mode: IoMode) -> None:
    """They are weights; a I/O mode without some stages has a little less."""
    assert 0.8 <= sum(stage.weight for stage in stages_in(io_mode)) <= 1.0 + 1e-9
