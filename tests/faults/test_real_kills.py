"""kill -9 of workers and stages while real models are converted, packaged and signed: nothing is lost or made twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from farm import locations
from farm.appspec import AppSpec
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.states import StageState
from tests.faults import kill_points
from tests.faults.soundness import examine
from tests.faults.yard import Yard
from tests.trial import Trial
from worker import sandbox
from worker.stage_process import ProcessRunner

RECIPES = ("none", "int8", "fp16")
# In seconds. A kill comes within the pause that a stage is allowed; a stage that was killed is allowed twice as long
# the next time, so that every moment of it is met and it gets through on any machine.
SHORTEST_PAUSE, FIRST_PAUSE = 0.1, 2.0
PATIENCE = 1800.0
THROUGH = {StageState.SUCCEEDED, StageState.REUSED, StageState.SKIPPED}


class RealYard(Yard):
    """A farm with the real stages, in the sandbox, and a model."""

    def __init__(self, home: Path, model: Path) -> None:
        super().__init__(
            home, sandbox="required", toolchain=locations.ROOT / ".toolchain", max_attempts=1000, arm_seconds=0,
            # Beats are commits too: more of them would end a long stage before it is through.
            lease_seconds=20.0, heartbeat_seconds=5.0,
        )  # fmt: skip
        self._model = model
        self.submitted = 0

    def _make_signing_key(self) -> None:
        """The farm makes a real one itself."""

    def submit_next(self) -> str:
        """Another recipe each time, and another app."""
        recipe, label = RECIPES[self.submitted % len(RECIPES)], f"App {self.submitted}"
        self.submitted += 1
        spec = JobSpec(model_kind=ModelKind.FOLDER, model=str(self._model), recipe=recipe, app=AppSpec(label=label))
        return self.farm.submit(spec).job.id

    def real_runner(self) -> ProcessRunner:
        """What runs the stages, as in every worker."""
        return ProcessRunner(sandbox.choose(self.settings.sandbox), self.settings.grace_seconds)


@pytest.fixture
def real_yard(tmp_path: Path, trial: Trial):
    if not trial.full:
        pytest.skip("real conversions under kills take many minutes; scripts/faults --only R1,R4 runs them")
    yard = RealYard(tmp_path / "home", locations.EXAMPLES / "tiny_gpt2")
    yield yard
    yard.close()


def stages_of(worker: int) -> list[psutil.Process]:
    """The processes below a worker."""
    try:
        return psutil.Process(worker).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.mark.goal(id="R1")
def test_random_kills_of_real_conversions(real_yard: RealYard, trial: Trial) -> None:
    """Of the worker, or of one process below it: Python, Java, apksigner, bubblewrap."""
    chance, wanted, killed = trial.chance, trial.size(2, 100), Counter[str]()
    waiting, ended, longest, moved = real_yard.submit_next(), 0, FIRST_PAUSE, time.monotonic()
    worker = real_yard.start_worker(runner=real_yard.real_runner())
    while killed.total() < wanted or not real_yard.farm.job(waiting).state.terminal:
        assert time.monotonic() - moved < PATIENCE, f"nothing moves any more: {killed}"
        if worker.poll() is not None:
            worker = real_yard.start_worker(runner=real_yard.real_runner())
        job = real_yard.farm.job(waiting)
        if (now := sum(stage.state in THROUGH for stage in job.stages)) != ended:
            ended, longest, moved = now, FIRST_PAUSE, time.monotonic()
        if job.state.terminal:
            waiting = real_yard.submit_next()
        if killed.total() < wanted:
            time.sleep(chance.uniform(SHORTEST_PAUSE, longest))
            longest *= 2
            killed[kill_one(worker.pid, chance)] += 1
        else:
            time.sleep(0.5)
    worker.kill()
    worker.wait()
    real_yard.serve(runner=real_yard.real_runner())
    found = examine(real_yard, real_yard.submitted)
    what = ", ".join(f"{count} of {name}" for name, count in killed.most_common())
    trial.measured(f"real conversions: {found}; {killed.total()} kills ({what})")
    assert found.sound


def kill_one(worker: int, chance: random.Random) -> str:
    """End the worker or one process below it, in that moment; what it was."""
    below = stages_of(worker)
    if not below or chance.random() < 0.5:
        os.kill(worker, signal.SIGKILL)
        return "the worker"
    chosen = chance.choice(below)
    try:
        name = chosen.name()
        chosen.kill()
    except psutil.NoSuchProcess:
        return "a process that had ended"
    return name


@pytest.mark.goal(id="R4")
def test_a_real_conversion_dies_at_every_point(real_yard: RealYard, trial: Trial) -> None:
    """At the first commit or rename of the first worker, the second of the second, and so on to the job's end."""
    job_id, deaths, kinds = real_yard.submit_next(), 0, Counter[str]()
    journal = real_yard.settings.home / "points"
    step = max(1, round(1 / min(trial.scale, 1.0)))
    while not real_yard.farm.job(job_id).state.terminal:
        journal.unlink(missing_ok=True)
        number = deaths * step
        worker = real_yard.fork(lambda number=number: die_at(real_yard, journal, number))
        if worker.wait(PATIENCE) == -signal.SIGKILL:
            deaths += 1
            kinds[kill_points.points(journal)[-1]] += 1
    found = examine(real_yard, 1)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    trial.measured(f"a real conversion: {deaths} deaths of a worker ({told}); {found}")
    assert found.sound
    assert deaths >= 20 * min(trial.scale, 1.0)


def die_at(yard: RealYard, journal: Path, number: int) -> None:
    """Work until that commit or rename."""
    kill_points.install(journal, number)
    yard.serve(runner=yard.real_runner())
