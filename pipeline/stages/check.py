"""Stage check: the model's files are judged before TensorFlow sees them."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.models import checking
from pipeline.request import Metric, StageRequest, StageResult


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Check, and write down what the model is."""
    report(0.0, "reading the model's files")
    request.scratch.mkdir(parents=True, exist_ok=True)
    checked = checking.check(request.input(ArtifactName.SOURCE), request.scratch)
    output = request.output(ArtifactName.CHECKED)
    output.parent.mkdir(parents=True, exist_ok=True)
    checked.write(output)
    return StageResult(
        metrics=(Metric(name="checked_files", value=checked.files, unit="files"),),
        attributes={"backbone": checked.backbone},
    )
