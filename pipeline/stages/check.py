"""Stage check: the model's files are judged before TensorFlow sees them."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.conversion.checkpoints import reading
from pipeline.models import checking
from pipeline.request import Metric, StageRequest, StageResult


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Check, and write down what the model is."""
    report(0.0, "reading the model's files")
    request.scratch.mkdir(parents=True, exist_ok=True)
    source = request.input(ArtifactName.SOURCE)
    checked = checking.check(source, request.scratch)
    if reading.is_checkpoint(source):
        report(0.5, "reading the checkpoint's settings and tensors")
        reading.read_checkpoint(source).tensors.require_finite()
    output = request.output(ArtifactName.CHECKED)
    output.parent.mkdir(parents=True, exist_ok=True)
    checked.write(output)
    return StageResult(
        metrics=(Metric(name="checked_files", value=checked.files, unit="files"),),
        attributes={"backbone": checked.backbone},
    )
