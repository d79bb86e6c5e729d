"""Stage ops: writes the model's ledger, and lets nothing pass that the job or the farm does not allow."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.ops import allowlist, known_aars, ledger, reading
from pipeline.ops.allowlist import Allowlist
from pipeline.ops.reading import OpKind
from pipeline.request import Metric, StageRequest, StageResult


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `ops.json`. OpForbidden or OpNotAllowed for the first ops that may not be in the model."""
    report(0.0, "reading the model's ops")
    uses = list(reading.read_operators(request.input(ArtifactName.MODEL)))
    allowlist.require_uses(uses, Allowlist.of(request))
    made = ledger.of_uses(uses, known_aars.all_known())
    output = request.output(ArtifactName.OPS)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    counts = {"flex_ops": OpKind.FLEX, "tftext_ops": OpKind.TFTEXT, "custom_ops": OpKind.CUSTOM}
    return StageResult(
        metrics=(
            Metric(name="operators", value=made.operators, unit="operators"),
            *(Metric(name=name, value=len(made.of_kind(kind)), unit="ops") for name, kind in counts.items()),
        ),
        attributes={"summary": made.summary, "runtime": made.runtime, "allowed": request.spec.allowed_ops.value},
    )
