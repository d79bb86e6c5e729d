"""What a hostile stage leaves and says: the worker lives, the job ends rightly, nothing is poisoned or left."""

from __future__ import annotations

import stat

import pytest

from client.protocol import JobView
from farm.plain_text import clean
from tests.security.hostile_farm import HostileFarm
from tests.security.hostile_messages import MESSAGES, SUCCEEDS, Message
from worker import removal
from worker.stage_log import CUT, LIMIT_BYTES


@pytest.mark.goal(id="A2")
def test_hostile_messages_harm_nobody(hostile: HostileFarm, trial) -> None:
    jobs = {hostile.attack(each.code, stage=each.stage, seed=each.name): each for each in MESSAGES}
    after = hostile.attack("", stage="none")
    worker = hostile.work()
    assert worker.wait(1800) == 0, (hostile.settings.home / "workers.log").read_text()[-5000:]
    wrong = [fault for job_id, each in jobs.items() if (fault := wrong_end(hostile.farm.job(job_id), each))]
    trial.measured(f"{len(jobs)} messages, {len(wrong)} ended wrongly")
    assert len(jobs) >= 100
    assert wrong == []
    assert hostile.farm.job(after).state.value == SUCCEEDS
    assert left_behind(hostile) == []


def wrong_end(job: JobView, message: Message) -> str | None:
    """What is wrong with the job's end."""
    ended = job.state.value if job.error is None else job.error.code
    if ended != message.ends:
        return f"{message.name}: {ended} instead of {message.ends} ({job.error and job.error.sentence})"
    said = [*job.notes, *([job.error.sentence] if job.error else [])]
    if any(clean(sentence) != sentence for sentence in said):
        return f"{message.name}: {said}"
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
