"""Stage fetch: the model's files, by whatever reference, into `source/`."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from worker.models import fetching
from worker.order import Metric, StageOrder, StageResult


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Fetch and hash."""
    target = order.output(ArtifactName.SOURCE)
    order.scratch.mkdir(parents=True, exist_ok=True)
    digest = fetching.fetch(
        order.spec.model_ref, target, digest=order.spec.model_digest, scratch=order.scratch, report=report
    )
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return StageResult(metrics=(Metric(name="model_size", value=size, unit="bytes"),), facts={"source_digest": digest})
