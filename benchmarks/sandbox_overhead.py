"""What the sandbox costs a stage: its start and its end, with it and without.

    python -m benchmarks.sandbox_overhead [--pairs 40]

Each pair runs the same process as the farm runs stages, in the sandbox and then as an ordinary process, so that other
work on the machine slows both. The process is an interpreter that writes an empty result. The baseline is the ordinary
process; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import SandboxMode, Settings
from farm.stages import StageName
from pipeline.request import StageRequest
from worker import sandbox, workfolder
from worker.limits import Limits
from worker.sandbox import Sandbox, Unconfined, View
from worker.stage_process import ProcessRunner, StageJob
from worker.termination import Termination

EMPTY = "import pathlib, sys; pathlib.Path(sys.argv[1], 'result.json').write_text('{}')"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40, help="how often each is run")
    pairs = parser.parse_args().pairs
    confined = sandbox.choose(SandboxMode.REQUIRED)
    found: dict[str, list[float]] = {"sandbox": [], "ordinary process": []}
    with tempfile.TemporaryDirectory(prefix="farm-sandbox-") as folder:
        settings = Settings(home=Path(folder))
        settings.caches.mkdir()
        for number in range(pairs):
            for kind, chosen in (("sandbox", confined), ("ordinary process", Unconfined("a benchmark"))):
                found[kind].append(
                    seconds_of(chosen, settings, settings.work / f"{number}-{len(found[kind])}-{kind[0]}")
                )
    medians = {kind: statistics.median(each) for kind, each in found.items()}
    for kind, median in medians.items():
        sys.stdout.write(f"{kind}: median {1000 * median:.1f} ms of {pairs}\n")
    inside, outside = medians["sandbox"], medians["ordinary process"]
    sys.stdout.write(f"ratio {inside / outside:.2f}, {1000 * (inside - outside):.1f} ms more a stage\n")


def seconds_of(chosen: Sandbox, settings: Settings, workdir: Path) -> float:
    """Wall time of one stage's process from the order to start it until nothing of it is left."""
    workfolder.make(workdir)
    request = StageRequest(
        stage=StageName.CHECK, spec=JobSpec(model_kind=ModelKind.PRESET, model="x"), workdir=workdir,
        caches=settings.caches, toolchain=settings.toolchain, keystore=None, threads=settings.threads,
    )  # fmt: skip
    request.write()
    limits = Limits(60.0, settings.memory_limit, settings.disk_reserve)
    job = StageJob(request, View(workdir, (), network=False), limits, "benchmark", workdir.with_suffix(".log"))
    runner = ProcessRunner(chosen, settings.grace_seconds, (sys.executable, "-I", "-S", "-c", EMPTY))
    with Termination() as termination:
        started = time.perf_counter()
        outcome = runner.run(job, termination, lambda _progress: None, lambda: None)
        seconds = time.perf_counter() - started
    if outcome.error is not None:
        raise outcome.error
    return seconds


if __name__ == "__main__":
    main()
