"""Builds the app without a model: compiled, shrunk, with the runtime's libraries. Once per version of the app."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from worker.android import base, toolchain
from worker.order import Metric, StageOrder, StageResult


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Make `app-base/`. ToolMissing when the toolchain is incomplete, StageCrashed when the sources don't compile."""
    target = order.output(ArtifactName.APP_BASE)
    built = base.build(base.AppSources(), toolchain.at(order.toolchain), target, order.scratch / "app", report)
    dex_bytes = sum(path.stat().st_size for path in built.dex_files())
    return StageResult(metrics=(Metric(name="dex_size", value=dex_bytes, unit="bytes"),))
