"""Under which key a stage's result is filed: everything that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from farm import digests
from farm.artifacts import Artifact, ArtifactName
from farm.jobspec import JobSpec
from farm.stages import Stage

# Raised when request.json, result.json or the work folder change their meaning.
CONTRACT = 2


def stage_key(
    stage: Stage,
    spec: JobSpec,
    inputs: Mapping[ArtifactName, Artifact],
    code: str,
    resources: Mapping[str, Any],
) -> str:
    """SHA-256 over the contract, the stage, its fields of the spec, its inputs' content, its code and its resources.

    code: the digest of all that the stage's module may import or read. resources: what of each of the stage's resources
    decides its result, by the resource's name.
    """
    fields = spec.model_dump(mode="json")
    if spec.model_digest is not None and not spec.model_kind.on_hub:
        # Where a model lies, and what its owner calls it, is no part of a result that others share.
        fields |= {"model": None, "model_kind": None}
    return digests.of_json(
        {
            "contract": CONTRACT,
            "stage": stage.name.value,
            "fields": {field: _field(fields, field) for field in stage.spec_fields},
            "inputs": {name.value: inputs[name].digest for name in stage.inputs},
            "code": code,
            "resources": dict(resources),
        }
    )


def _field(fields: Mapping[str, Any], dotted: str) -> Any:
    """What a dotted name leads to."""
    value: Any = fields
    return reduce(lambda part, name: part[name], dotted.split("."), value)
