"""Stage fetch: the model's files, by whatever reference, into `source/`."""

from __future__ import annotations

from farm import sources
from farm.artifacts import ArtifactName
from farm.modelref import ModelKind, ModelRef
from farm.progress import Reporter
from worker.models import fetching
from worker.order import Metric, StageOrder, StageResult


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Fetch and hash."""
    target = order.output(ArtifactName.SOURCE)
    order.scratch.mkdir(parents=True, exist_ok=True)
    digest = fetching.fetch(
        _reference(order), target, digest=order.spec.model_digest, scratch=order.scratch, report=report
    )
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return StageResult(metrics=(Metric(name="model_size", value=size, unit="bytes"),), facts={"source_digest": digest})


def _reference(order: StageOrder) -> ModelRef:
    """Where the files lie: for an uploaded model among the stage's inputs, where the supervisor laid them out."""
    if order.spec.model_kind is not ModelKind.UPLOADED:
        return order.spec.model_ref
    folder = order.input(ArtifactName.SOURCE)
    keras_file = folder / sources.KERAS_FILE
    if keras_file.exists():
        return ModelRef(ModelKind.KERAS_FILE, str(keras_file))
    return ModelRef(ModelKind.FOLDER, str(folder))
