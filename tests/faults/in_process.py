"""The stub without a process of its own: for faults that are not about stages, thousands of jobs of a minute."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from farm.progress import Progress
from farm.stages import StageName
from pipeline.request import StageResult
from tests.faults import stub_stage
from worker.sandbox import Sandbox, Unconfined
from worker.stage_process import StageJob, StageOutcome
from worker.termination import Termination

# What a stage does before it writes its outputs; an outcome that it returns takes their place.
Act = Callable[[StageJob, Termination], StageOutcome | None]


class InProcess:
    """Runs stages in the supervisor's process. acts: what some stages do, beside the plan's word `sleep`."""

    def __init__(self, acts: Mapping[StageName, Act] | None = None) -> None:
        self.sandbox: Sandbox = Unconfined("a test")
        self._acts = acts or {}

    def get_ready(self, job: StageJob) -> None:
        """Nothing takes long to start here."""

    def dismiss(self, folder: Path) -> None:
        """Nothing was started."""

    def run(
        self,
        job: StageJob,
        termination: Termination,
        on_progress: Callable[[Progress], None],
        meanwhile: Callable[[], None],
    ) -> StageOutcome:
        """See StageRunner."""
        meanwhile()
        stage = job.request.stage
        plan = json.loads(job.request.spec.model)
        if stage in plan:
            word, seconds = plan[stage]
            assert word == "sleep", "other misbehaviour takes a process"
            on_progress(Progress(0.5, "sleeping"))
            termination.wait(seconds)
        outcome = self._acts[stage](job, termination) if stage in self._acts else None
        termination.check()
        if outcome is not None:
            return outcome
        seed = json.dumps(plan.get("seed", 0)) if stage is StageName.FETCH else ""
        stub_stage.write_outputs(job.request.workdir, stage.value, seed)
        on_progress(Progress(1.0, "written"))
        return StageOutcome(StageResult(), None, 0.001, 1)
