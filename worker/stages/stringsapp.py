"""Builds the app of the strings lane without a model: once per version of the app and AAR."""

from __future__ import annotations

from pathlib import Path

from farm import aars, digests
from farm.artifacts import ArtifactName
from farm.errors import AarUnusable
from farm.progress import Reporter
from worker.android import strings_base, toolchain
from worker.android.pins import Role
from worker.android.toolchain import Toolchain
from worker.ops import aar_builds
from worker.ops.aar import AarReading
from worker.order import Metric, StageOrder, StageResult


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Make `app-base/`. AarUnusable, ToolMissing, StageCrashed when the sources don't compile against the AAR."""
    chain = toolchain.at(order.toolchain)
    wanted = AarReading.model_validate_json(order.input(ArtifactName.AAR).read_bytes())
    target = order.output(ArtifactName.APP_BASE)
    paths = [_find(name, digest, order, chain) for name, digest in wanted.files.items()]
    built = strings_base.build(paths, chain, target, order.scratch / "app", report)
    dex_bytes = sum(path.stat().st_size for path in built.dex_files())
    return StageResult(metrics=(Metric(name="dex_size", value=dex_bytes, unit="bytes"),))


def _find(name: str, digest: str, order: StageOrder, chain: Toolchain) -> Path:
    """The file that was checked: pinned, supplied, or built; AarUnusable when it has changed since or is gone."""
    supplied = aars.file_of(order.spec.app.aar)
    pinned = [chain.folder / one.file_name for one in chain.pins.with_role(Role.FLEX_RUNTIME)]
    places = [*([supplied] if supplied is not None else []), *pinned, order.caches / aar_builds.CACHE / name]
    for place in places:
        if place.name == name and place.is_file() and digests.of_file(place) == digest:
            return place
    raise AarUnusable(f"The AAR {name} is gone or has changed since it was checked; run the job again.")
