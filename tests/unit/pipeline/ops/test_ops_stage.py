"""The stage that writes the ledger, and refuses what the job or the farm does not allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.artifacts import ArtifactName
from farm.errors import OpForbidden, OpNotAllowed
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.oplist import OpSet
from farm.stages import StageName
from pipeline.ops import ledger
from pipeline.request import StageRequest
from pipeline.stages import ops
from tests.fixtures.op_models import Op, flex, write_model


def request_for(
    tmp_path: Path, made_of: list[Op], permitted: frozenset[str] = frozenset(), **spec: object
) -> StageRequest:
    request = StageRequest(
        stage=StageName.OPS, workdir=tmp_path, caches=tmp_path, toolchain=tmp_path, keystore=None, threads=1,
        spec=JobSpec.model_validate({"model_kind": ModelKind.PRESET, "model": "x"} | spec), permitted_ops=permitted,
    )  # fmt: skip
    request.input(ArtifactName.MODEL).parent.mkdir()
    write_model(request.input(ArtifactName.MODEL), made_of)
    return request


def say_nothing(_share: float, _activity: str) -> None:
    return


def test_the_ledger_is_written(tmp_path: Path) -> None:
    request = request_for(tmp_path, [Op("ADD", 5), flex("StringLength")], ops=OpSet.FLEX)
    result = ops.run(request, say_nothing)
    made = ledger.read(request.output(ArtifactName.OPS))
    assert [entry.name for entry in made.ops] == ["ADD", "FlexStringLength"]
    assert {metric.name: metric.value for metric in result.metrics} == {
        "operators": 2, "flex_ops": 1, "tftext_ops": 0, "custom_ops": 0,
    }  # fmt: skip
    assert result.attributes == {"summary": made.summary, "runtime": "2.13", "allowed": "flex"}


def test_what_is_not_allowed_leaves_no_ledger(tmp_path: Path) -> None:
    request = request_for(tmp_path, [flex("StringLength")])
    with pytest.raises(OpNotAllowed, match="FlexStringLength"):
        ops.run(request, say_nothing)
    assert not request.output(ArtifactName.OPS).exists()


def test_only_the_farms_operator_permits_a_dangerous_op(tmp_path: Path) -> None:
    request = request_for(tmp_path, [flex("ReadFile")], allow_ops=("ReadFile",))
    with pytest.raises(OpForbidden):
        ops.run(request, say_nothing)
    ops.run(request.model_copy(update={"permitted_ops": frozenset({"ReadFile"})}), say_nothing)
    assert ledger.read(request.output(ArtifactName.OPS)).ops[0].danger == "it reads or writes files"
