"""Draws the app's screen, light and dark, after it answered a golden prompt with the job's model."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged
from farm.progress import Reporter
from pipeline.android import assembly, golden, screenshots
from pipeline.android.base import AppBase, AppSources
from pipeline.android.robolectric import Harness
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make both pictures. HostMismatch when the app can't answer, ToolMissing when the toolchain is incomplete."""
    package = request.input(ArtifactName.APK)
    texts = screenshots.questions(
        golden.read(request.input(ArtifactName.GOLDEN)), assembly.read_model_info(package).prompting,
        request.spec.app.prompts,
    )  # fmt: skip
    if not texts:
        raise ArtifactDamaged("golden.json has no prompt in words; run the job again.")
    base = AppBase(request.input(ArtifactName.APP_BASE))
    harness = Harness(base, maven.at(request.toolchain), request.scratch / "screens")
    report(0.0, "preparing the app's screen")
    driver = screenshots.driver(harness, AppSources(), request.caches, request.adopt(screenshots.CACHE))
    report(0.3, "drawing the app's screen")
    light, dark = request.output(ArtifactName.SCREENSHOT_LIGHT), request.output(ArtifactName.SCREENSHOT_DARK)
    seconds = screenshots.take(harness, package, driver, texts, light, dark)
    return StageResult(metrics=(Metric(name="screenshots_seconds", value=seconds, unit="s"),))
