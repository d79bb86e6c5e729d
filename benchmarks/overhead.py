"""The farm's own part of a job: everything but the stages' work and the start of their interpreters.

    python -m benchmarks.overhead [--jobs 20]

Runs jobs through the real queue, database, store and supervisor; only the stage processes are replaced by a runner that
writes small outputs at once. What the runner takes is not counted: in a real job it is the process's start and work,
and what the supervisor does meanwhile.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from client.local import LocalFarm
from farm.appspec import AppSpec
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.progress import Progress
from farm.settings import SandboxMode, Settings
from farm.stages import BY_NAME
from pipeline.request import StageResult
from worker import sandbox, service
from worker.sandbox import Sandbox
from worker.stage_process import StageJob, StageOutcome
from worker.termination import Termination


class InstantRunner:
    """Writes a stage's outputs in this process, and adds up the time that this takes."""

    def __init__(self) -> None:
        # Decides whether inputs are linked or copied.
        self.sandbox: Sandbox = sandbox.choose(SandboxMode.AUTO)
        self.seconds = 0.0

    def get_ready(self, job: StageJob) -> None:
        """Nothing takes long to start here."""

    def dismiss(self, folder: Path) -> None:
        """Nothing was started."""

    def run(
        self,
        job: StageJob,
        _termination: Termination,
        on_progress: Callable[[Progress], None],
        meanwhile: Callable[[], None],
    ) -> StageOutcome:
        """See StageRunner."""
        started = time.perf_counter()
        meanwhile()
        for name in BY_NAME[job.request.stage].outputs:
            target = job.request.output(name)
            content = json.dumps([job.request.spec.app.label, job.request.stage, name])
            if name.is_folder:
                target.mkdir(parents=True)
                target = target / "config.json"
            target.write_text(content)
        on_progress(Progress(1.0, "written"))
        seconds = time.perf_counter() - started
        self.seconds += seconds
        return StageOutcome(StageResult(), None, seconds, 0)


def measure(jobs: int = 20) -> float:
    """The farm's own seconds a job, from submit to the final state, over `jobs` jobs of one warm worker."""
    with tempfile.TemporaryDirectory(prefix="farm-overhead-") as folder:
        settings = Settings(home=Path(folder), toolchain=Path(folder))
        farm = LocalFarm(settings)
        # The first makes the database, the signing key and the digests of the sources.
        _run(farm, settings, range(1))
        return _run(farm, settings, range(1, 1 + jobs)) / jobs


def _run(farm: LocalFarm, settings: Settings, numbers: range) -> float:
    runner = InstantRunner()
    started = time.perf_counter()
    for number in numbers:
        # Another label makes another job; another model name makes every stage new.
        farm.submit(JobSpec(model_kind=ModelKind.PRESET, model=f"model_{number}", app=AppSpec(label=f"Job {number}")))
    service.serve(settings, once=True, runner=runner)
    return time.perf_counter() - started - runner.seconds


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20)
    print(f"{1000 * measure(parser.parse_args().jobs):.1f} ms a job")


if __name__ == "__main__":
    main()
