"""Packs what app developers take from a job: the library and the Android Studio project."""

from __future__ import annotations

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.android import assembly, library, library_checks, project
from pipeline.android.base import AppBase, AppSources
from pipeline.request import Metric, StageRequest, StageResult


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `generation.aar` and `android-project.zip`. PackageInvalid when one fails a check or is too large."""
    base, app = AppBase(request.input(ArtifactName.APP_BASE)), request.spec.app
    request.scratch.mkdir(parents=True, exist_ok=True)
    assets = assembly.job_assets(request)
    archive, zipped = request.output(ArtifactName.LIBRARY), request.output(ArtifactName.PROJECT)
    archive.parent.mkdir(parents=True, exist_ok=True)

    report(0.0, "packing the library")
    model = {name: path for name, path in assets.items() if name != assembly.APP_SETTINGS_ASSET}
    library.with_model(base.library_archive, model if app.library_model else {}, archive)
    report(0.4, "checking the library")
    library_checks.require(archive, request.permitted_ops)
    report(0.5, "packing the project for Android Studio")
    project.write(zipped, AppSources(), app, assets, request.input(ArtifactName.GOLDEN))
    return StageResult(
        metrics=(
            Metric(name="library_size", value=archive.stat().st_size, unit="bytes"),
            Metric(name="project_size", value=zipped.stat().st_size, unit="bytes"),
        )
    )
