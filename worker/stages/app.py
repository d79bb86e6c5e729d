"""Builds the app without a model: compiled, shrunk, with the runtime's libraries. Once per version of the app.

The image of the Android worker brings the app of its version along; then it is only copied.
"""

from __future__ import annotations

import shutil

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from worker.android import building, prebuilt, toolchain
from worker.android.base import AppBase, AppSources
from worker.order import Metric, StageOrder, StageResult


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Make `app-base/`. ToolMissing when the toolchain is incomplete, StageCrashed when the sources don't compile."""
    target = order.output(ArtifactName.APP_BASE)
    tools = toolchain.at(order.toolchain)
    earlier = prebuilt.place(tools)
    if earlier.is_dir():
        report(0.0, "copying the app that came with the worker")
        built = AppBase(shutil.copytree(earlier, target))
    else:
        built = building.build(AppSources(), tools, target, order.scratch / "app", report)
    dex_bytes = sum(path.stat().st_size for path in built.dex_files())
    return StageResult(metrics=(Metric(name="dex_size", value=dex_bytes, unit="bytes"),))
