"""A stage's key changes with what decides its result, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from farm.appspec import AppSpec
from farm.artifacts import Artifact, ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import BY_NAME, StageName
from worker.stage_key import stage_key

SPEC = JobSpec(model_kind=ModelKind.FOLDER, model="/models/one", model_digest="d" * 64)
HUB = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")


def key(name: StageName, spec: JobSpec, content: str = "a", code: str = "c", **resources: Any) -> str:
    stage = BY_NAME[name]
    inputs = {each: Artifact(each, content * 64, 1) for each in stage.inputs}
    return stage_key(stage, spec, inputs, code, resources)


@pytest.mark.parametrize("name", list(StageName))
def test_the_code_decides(name: StageName) -> None:
    assert key(name, SPEC) == key(name, SPEC)
    assert key(name, SPEC) != key(name, SPEC, code="other")


@pytest.mark.parametrize("name", [name for name in StageName if BY_NAME[name].inputs])
def test_the_inputs_content_decides_and_not_their_size(name: StageName) -> None:
    assert key(name, SPEC) != key(name, SPEC, content="b")


@pytest.mark.parametrize(
    ("change", "deciding"),
    [
        ({"recipe": "int8"}, {StageName.CONVERT, StageName.VERIFY}),
        ({"context": 64}, {StageName.CONVERT, StageName.VERIFY}),
        ({"app": AppSpec(label="Other")}, {StageName.PACKAGE, StageName.BUNDLE, StageName.SDK}),
        ({"model_digest": "e" * 64}, {StageName.FETCH, StageName.CONVERT}),
        ({"allow_ops": ("StringLength",)}, {StageName.OPS}),
        ({"model": "/models/moved"}, set()),
    ],
)
def test_the_stages_fields_of_the_spec_decide(change: dict[str, Any], deciding: set[StageName]) -> None:
    changed = JobSpec.model_validate(SPEC.model_dump() | change)
    assert {name for name in StageName if key(name, SPEC) != key(name, changed)} == deciding


def test_a_hub_reference_stands_for_itself() -> None:
    other = HUB.model_copy(update={"model": "gpt2_large_en"})
    assert key(StageName.FETCH, HUB) != key(StageName.FETCH, other)


def test_a_hub_reference_stands_for_itself_when_its_digest_is_known() -> None:
    """Artifacts name it."""
    one, other = (HUB.model_copy(update={"model": name, "model_digest": "d" * 64}) for name in ("a", "b"))
    assert key(StageName.CONVERT, one) != key(StageName.CONVERT, other)


def test_what_the_resources_say_decides() -> None:
    assert key(StageName.PACKAGE, SPEC, signing="x") != key(StageName.PACKAGE, SPEC, signing="y")


def test_the_name_of_the_input_counts() -> None:
    stage = BY_NAME[StageName.CHECK]
    source = Artifact(ArtifactName.SOURCE, "a" * 64, 1)
    with pytest.raises(KeyError):
        stage_key(stage, SPEC, {ArtifactName.MODEL: source}, "c", {})
