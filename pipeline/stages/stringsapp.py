"""Builds the app of the I/O mode `strings` without a model: once per version of the app and AAR."""

from __future__ import annotations

from pathlib import Path

from farm import aars, digests
from farm.artifacts import ArtifactName
from farm.errors import AarUnusable
from farm.progress import Reporter
from pipeline.android import strings_base
from pipeline.ops import aar_builds
from pipeline.ops.aar import AarReading
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `app-base/`. AarUnusable, ToolMissing, StageCrashed when the sources don't compile against the AAR."""
    chain = maven.at(request.toolchain)
    wanted = AarReading.model_validate_json(request.input(ArtifactName.AAR).read_bytes())
    target = request.output(ArtifactName.APP_BASE)
    paths = [_find(name, digest, request, chain) for name, digest in wanted.files.items()]
    built = strings_base.build(paths, chain, target, request.scratch / "app", report)
    dex_bytes = sum(path.stat().st_size for path in built.dex_files())
    return StageResult(metrics=(Metric(name="dex_size", value=dex_bytes, unit="bytes"),))


def _find(name: str, digest: str, request: StageRequest, chain: Toolchain) -> Path:
    """The file that was checked: pinned, supplied, or built; AarUnusable when it has changed since or is gone."""
    supplied = aars.file_of(request.spec.app.aar)
    pinned = [chain.folder / one.file_name for one in chain.pins.with_role(Role.FLEX_RUNTIME)]
    places = [*([supplied] if supplied is not None else []), *pinned, request.caches / aar_builds.CACHE / name]
    for place in places:
        if place.name == name and place.is_file() and digests.of_file(place) == digest:
            return place
    raise AarUnusable(f"The AAR {name} is gone or has changed since it was checked; run the job again.")
