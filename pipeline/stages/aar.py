"""Stage aar: whether the library of the I/O mode `strings` has the ABIs, ops and version that the job's model needs."""

from __future__ import annotations

from farm import aars
from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.ops import aar_builds, aar_fitness, known_aars, reading
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `aar.json`. AarUnusable, AarUnfit, ToolMissing when the toolchain lacks the stock AAR."""
    report(0.0, "reading what the AAR registers")
    chain, app = maven.at(request.toolchain), request.spec.app
    uses = list(reading.read_operators(request.input(ArtifactName.MODEL)))
    supplied = aars.file_of(app.aar)
    if supplied is not None:
        found = aar_fitness.with_interpreter(supplied, chain)
    elif app.aar == aars.BAZEL:
        found = aar_fitness.with_interpreter(aar_builds.find(request.caches, uses, app.abis).path, chain)
    else:
        found = known_aars.load(known_aars.STOCK)
    notes = aar_fitness.require_fit(found, uses, app.abis, chain.pins.target.page_size)
    output = request.output(ArtifactName.AAR)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(found.model_dump_json() + "\n", encoding="utf-8")
    sizes = [sum(one.size for one in found.abis[abi.value].libraries) for abi in app.abis]
    return StageResult(metrics=(Metric(name="aar_libraries", value=sum(sizes), unit="bytes"),), notes=notes)
