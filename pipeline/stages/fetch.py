"""Stage fetch: the model's files, by whatever reference, into `source/`."""

from __future__ import annotations

from farm import adapter_files, sources
from farm.artifacts import ArtifactName
from farm.modelref import ModelKind, ModelRef
from farm.progress import Reporter
from pipeline.models import fetching
from pipeline.request import Metric, StageRequest, StageResult


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Fetch and hash."""
    target = request.output(ArtifactName.SOURCE)
    request.scratch.mkdir(parents=True, exist_ok=True)
    digest = fetching.fetch(
        _reference(request), target, digest=request.spec.model_digest, scratch=request.scratch, report=report,
        adapter_digest=request.spec.lora_digest,
    )  # fmt: skip
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return StageResult(
        metrics=(Metric(name="model_size", value=size, unit="bytes"),), attributes={"source_digest": digest}
    )


def _reference(request: StageRequest) -> ModelRef:
    """Where the files lie: for an uploaded model among the stage's inputs, where the supervisor laid them out."""
    if request.spec.model_kind is not ModelKind.UPLOADED:
        return request.spec.model_ref
    folder = request.input(ArtifactName.SOURCE)
    adapter = folder / adapter_files.FOLDER
    own = str(adapter) if adapter.is_dir() else None
    keras_file = folder / sources.KERAS_FILE
    if keras_file.exists():
        return ModelRef(ModelKind.KERAS_FILE, str(keras_file), own)
    return ModelRef(ModelKind.FOLDER, str(folder), own)
