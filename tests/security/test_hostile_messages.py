"""What a hostile stage leaves and says: the worker lives, the job ends rightly, nothing is poisoned or left."""

from __future__ import annotations

import stat
from collections.abc import Sequence

import pytest

from client.protocol import JobView
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.plain_text import clean
from farm.stages import StageName, stages_of
from farm.states import StageState
from tests.security.hostile_farm import HostileFarm
from tests.security.hostile_messages import MESSAGES, SUCCEEDS, Message
from worker import removal
from worker.stage_log import CUT, LIMIT_BYTES

# The stages of a job that depend on its model, so that no other job's result is used, and that run here.
TALKERS = [
    stage.name.value
    for stage in stages_of(JobSpec(model_kind=ModelKind.PRESET, model="x"))
    if stage.name not in (StageName.FETCH, StageName.APP, StageName.ARM_CHECK)
]


@pytest.mark.goal(id="A2")
def test_hostile_messages_harm_nobody(hostile: HostileFarm, trial) -> None:
    jobs = {submit(hostile, said): said for said in said_by_one_job()}
    after = hostile.attack("", stage="none")
    worker = hostile.work()
    assert worker.wait(1800) == 0, (hostile.settings.home / "workers.log").read_text()[-5000:]
    wrong = [fault for job_id, each in jobs.items() if (fault := wrong_end(hostile.farm.job(job_id), each))]
    count = sum(map(len, jobs.values()))
    trial.measured(f"{count} messages, {len(wrong)} ended wrongly")
    assert count == len(MESSAGES) >= 100
    assert wrong == []
    for job_id, said in jobs.items():
        # The stages that were to say something ran.
        states = {each.name.value: each.state for each in hostile.farm.job(job_id).stages}
        assert {states[stage] for stage in by_stage(said)} <= {StageState.SUCCEEDED, StageState.FAILED}
    assert hostile.farm.job(after).state.value == SUCCEEDS
    assert left_behind(hostile) == []


def said_by_one_job() -> list[tuple[Message, ...]]:
    """The messages, each alone but for those that any stage can say: one for each stage of a job."""
    alone = [(each,) for each in MESSAGES if not each.anywhere]
    others = tuple(each for each in MESSAGES if each.anywhere)
    return [*alone, *(others[at : at + len(TALKERS)] for at in range(0, len(others), len(TALKERS)))]


def by_stage(said: Sequence[Message]) -> dict[str, Message]:
    """Which stage says which of a job's messages."""
    return dict(zip([said[0].stage] if len(said) == 1 else TALKERS, said, strict=False))


def submit(farm: HostileFarm, said: Sequence[Message]) -> str:
    """A job whose stages say so; its id."""
    (first, message), *others = by_stage(said).items()
    also = {stage: each.code for stage, each in others}
    return farm.attack(message.code, stage=first, seed=message.name, also=also)


def wrong_end(job: JobView, messages: Sequence[Message]) -> str | None:
    """What is wrong with the job's end."""
    ended = job.state.value if job.error is None else job.error.code
    (wanted,), names = {each.ends for each in messages}, ", ".join(each.name for each in messages)
    if ended != wanted:
        return f"{names}: {ended} instead of {wanted} ({job.error and job.error.sentence})"
    said = [*job.notes, *([job.error.sentence] if job.error else [])]
    if any(clean(sentence) != sentence for sentence in said):
        return f"{names}: {said}"
    return None


def left_behind(farm: HostileFarm) -> list[str]:
    """What should not be there: work, strange files in caches and store, logs that are too long."""
    settings = farm.settings
    found = [f"work: {path}" for path in settings.work.glob("*") if path.name != removal.ASIDE]
    found += [f"aside: {path}" for path in settings.work.glob(f"{removal.ASIDE}/*")]
    names = {path.name.removesuffix(".sha256") for path in settings.caches.rglob("*") if not path.is_dir()}
    found += [f"cache: {name}" for name in names - {"f" * 64 + ".tflite"}]
    kept = [path for folder in (settings.caches, settings.store / "blobs") for path in folder.rglob("*")]
    found += [
        f"mode: {path} {path.lstat().st_mode:o}"
        for path in kept
        if not path.is_dir() and stat.S_IMODE(path.lstat().st_mode) != 0o444
    ]
    found += [f"owner: {path}" for path in kept if path.lstat().st_uid != settings.home.stat().st_uid]
    logs = [path for path in settings.logs.rglob("*") if path.is_file()]
    found += [f"log: {path}" for path in logs if path.stat().st_size > LIMIT_BYTES + len(CUT) + 1000]
    return found + [f"waiting: {path}" for path in logs if path.suffix == ".waiting"]
