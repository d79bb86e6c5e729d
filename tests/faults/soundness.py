"""What must hold once every job has ended, whatever died on the way."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from db import retention
from db.models import ArtifactRow, Attempt, Event, Job, Outgoing, UnknownFile
from farm import digests
from farm.artifacts import ArtifactName
from farm.states import JobState
from tests.faults.yard import Yard


@dataclass(frozen=True)
class Soundness:
    """How much is wrong of what, in numbers. lost: jobs that have not succeeded (or ended); twice: jobs with more
    than one success, report or good attempt; damaged: files whose content is not their name; missing: files that a
    job refers to and the store has not; left: drafts, work folders and files that nothing refers to
    and that are not noted for removal."""

    jobs: int
    lost: int
    twice: int
    damaged: int
    missing: int
    left: int

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs, {self.lost} lost, {self.twice} twice, {self.damaged} files damaged,"
            f" {self.missing} missing, {self.left} left over"
        )

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return self.jobs > 0 and not (self.lost or self.twice or self.damaged or self.missing or self.left)


def examine(yard: Yard, jobs: int, *, all_succeed: bool = True) -> Soundness:
    """Look at all jobs, of which there must be so many; without `all_succeed` they only must have ended."""
    with yard.database().read() as connection:
        states = Counter(JobState(state) for state in connection.scalars(sa.select(Job.state)))
        good = states[JobState.SUCCEEDED] if all_succeed else sum(states[each] for each in states if each.terminal)
        twice = {
            job_id
            for query in (
                sa.select(Event.job_id).where(Event.kind == "succeeded"),
                sa.select(ArtifactRow.job_id).where(ArtifactRow.name == ArtifactName.REPORT.value),
                sa.select(Attempt.job_id).where(
                    Attempt.ended_at.is_not(None), Attempt.reason.is_(None), Attempt.error_code.is_(None)
                ),
            )
            for job_id, count in Counter(connection.scalars(query)).items()
            if count > 1
        }
        referenced = retention.referenced(connection)
        wanted = set(connection.scalars(sa.select(ArtifactRow.digest)))
        # What a dead worker stored before its job referred to it is noted, and goes a day later.
        noted = set(connection.scalars(sa.select(UnknownFile.digest)))
    stored = {path.name: path for path in (yard.settings.store / "blobs").iterdir()}
    damaged = [name for name, path in stored.items() if digests.of_file(path) != name]
    left = [*(yard.settings.store / "incoming").glob("*"), *yard.settings.work.glob("*/*")]
    unreferenced = yard.store.unreferenced(referenced, stored_before=math.inf).keys() - noted
    return Soundness(
        sum(states.values()),
        jobs - good,
        len(twice),
        len(damaged),
        len(wanted - set(stored)),
        len(left) + len(unreferenced),
    )


def count(yard: Yard, *states: JobState) -> int:
    """How many jobs are in these states."""
    with yard.database().read() as connection:
        query = sa.select(sa.func.count()).where(Job.state.in_([state.value for state in states]))
        return connection.scalar(query) or 0


def announced(yard: Yard) -> int:
    """How many wake-ups wait in the outbox."""
    with yard.database().read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(Outgoing)) or 0
