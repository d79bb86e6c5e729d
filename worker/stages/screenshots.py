"""Draws the app's screen, light and dark, after it answered a golden prompt with the job's model."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged
from farm.progress import Reporter
from worker.android import assembly, golden, screenshots, toolchain
from worker.android.base import AppBase, AppSources
from worker.android.robolectric import Harness
from worker.order import Metric, StageOrder, StageResult


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Make both pictures. HostMismatch when the app can't answer, ToolMissing when the toolchain is incomplete."""
    text = screenshots.prompt(golden.read(order.input(ArtifactName.GOLDEN)))
    if text is None:
        raise ArtifactDamaged("golden.json has no prompt in words; run the job again.")
    package = order.input(ArtifactName.APK)
    # Of a question in its template the app wants the question.
    typed = assembly.read_model_info(package).prompting.question(text)
    base = AppBase(order.input(ArtifactName.APP_BASE))
    harness = Harness(base, toolchain.at(order.toolchain), order.scratch / "screens")
    report(0.0, "preparing the app's screen")
    driver = screenshots.driver(harness, AppSources(), order.caches, order.adopt(screenshots.CACHE))
    report(0.3, "drawing the app's screen")
    light, dark = order.output(ArtifactName.SCREENSHOT_LIGHT), order.output(ArtifactName.SCREENSHOT_DARK)
    seconds = screenshots.take(harness, package, driver, text if typed is None else typed, light, dark)
    return StageResult(metrics=(Metric(name="screenshots_seconds", value=seconds, unit="s"),))
