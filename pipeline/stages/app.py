"""Builds the app without a model: compiled, shrunk, with the runtime's libraries. Once per version of the app.

The image of the Android worker brings the app of its version along; then it is only copied.
"""

from __future__ import annotations

import shutil

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.android import building, prebuilt
from pipeline.android.base import AppBase, AppSources
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `app-base/`. ToolMissing when the toolchain is incomplete, StageCrashed when the sources don't compile."""
    target = request.output(ArtifactName.APP_BASE)
    tools = maven.at(request.toolchain)
    earlier = prebuilt.place(tools)
    if earlier.is_dir():
        report(0.0, "copying the app that came with the worker")
        built = AppBase(shutil.copytree(earlier, target))
    else:
        built = building.build(AppSources(), tools, target, request.scratch / "app", report)
    dex_bytes = sum(path.stat().st_size for path in built.dex_files())
    return StageResult(metrics=(Metric(name="dex_size", value=dex_bytes, unit="bytes"),))
