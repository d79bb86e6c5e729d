"""kill -9 before and after every commit, rename and publish: of workers, clients, the API's uploads and the relay."""

from __future__ import annotations

import hashlib
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from db import jobs, outbox, tokens, uploads
from db.models import StageResultRow, UploadedModel
from farm.access import Quotas, Scope
from farm.artifacts import Artifact, ArtifactName
from farm.errors import QualityMissed, StageCrashed
from farm.settings import Settings
from farm.stages import Queue, StageName
from farm.states import JobState
from server.files import UploadFolder
from tests.faults import kill_points
from tests.faults.fleet import Fleet
from tests.faults.in_process import Act, InProcess
from tests.faults.soundness import examine
from tests.faults.yard import Yard
from tests.trial import SQLITE, Trial
from worker import broker, lease
from worker.relay import Relay
from worker.stage_process import StageJob, StageOutcome
from worker.termination import Termination


@dataclass
class Work:
    """What dies: `do` in a child, after `prepare`. points: all that it passes, from a first run."""

    yard: Yard
    do: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    points: list[str] = field(default_factory=list)
    deaths: int = 0

    def die_at(self, number: int | None) -> None:
        """Once, at that point; None: come to the end, and learn the points."""
        self.prepare()
        journal = self.yard.settings.home / "points"
        journal.unlink(missing_ok=True)
        child = self.yard.fork(lambda: (kill_points.install(journal, number), self.do()))
        code = child.wait(60)
        if number is None:
            self.points = kill_points.points(journal)
            assert code == 0, (self.yard.settings.home / "workers.log").read_text()[-2000:]
        else:
            self.deaths += code == -signal.SIGKILL

    def die_everywhere(self, trial: Trial, short: int, check: Callable[[], None]) -> None:
        """At every point, or in the short form at some of them."""
        self.die_at(None)
        check()
        numbers = range(len(self.points))
        chosen = numbers if trial.scale >= 1 else trial.chance.sample(numbers, min(short, len(numbers)))
        for number in sorted(chosen):
            self.die_at(number)
            check()


def forget_results(yard: Yard) -> None:
    """So that the next job runs all its stages itself."""
    with yard.database().write() as connection:
        connection.execute(sa.delete(StageResultRow))


def crash(_job: StageJob, _termination: Termination) -> StageOutcome:
    return StageOutcome(None, StageCrashed("It crashed."), 0.0, 1)


def refuse(_job: StageJob, _termination: Termination) -> StageOutcome:
    return StageOutcome(None, QualityMissed("It is bad."), 0.0, 1)


def stop_the_worker(_job: StageJob, termination: Termination) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    termination.wait(10)


def cancel_for(yard: Yard) -> Act:
    def cancel(_job: StageJob, termination: Termination) -> None:
        database = yard.database()
        with database.read() as connection:
            job = jobs.latest(connection, JobState.RUNNING)
        jobs.cancel(database, job.id)
        termination.wait(10)

    return cancel


WAYS = ("to the end", "crash", "refusal", "SIGTERM", "cancel", "a dead worker's job")


@pytest.fixture
def quick_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "CANCEL_CHECK_SECONDS", 0.05)


@pytest.mark.goal(id="R4")
def test_a_worker_dies_at_every_point(make_farm, trial, quick_cancel) -> None:
    """On each way that a job can go."""
    yard = make_farm(max_attempts=3, heartbeat_seconds=20.0, lease_seconds=60.0)
    submitted: list[str] = []
    kinds: Counter[str] = Counter()
    deaths = 0

    def submit() -> None:
        forget_results(yard)
        submitted.append(yard.submit({"seed": len(submitted)}, label=f"App {len(submitted)}"))

    def submit_and_lose() -> None:
        submit()
        lost = yard.start_embedded(InProcess({StageName.CONVERT: lambda *_: os.kill(os.getpid(), signal.SIGKILL)}))
        assert lost.wait() == -signal.SIGKILL

    def check() -> None:
        """A worker without faults ends whatever is left, and what it finds is in order."""
        yard.serve(runner=InProcess())
        found = examine(yard, len(submitted), all_succeed=False)
        assert found.sound, f"{found} after {submitted[-1]}"

    acts: dict[str, Act] = {"crash": crash, "refusal": refuse, "SIGTERM": stop_the_worker, "cancel": cancel_for(yard)}
    # In the short form each engine has half of the ways beside the usual one.
    ways = WAYS if trial.full else (WAYS[0], *WAYS[1 + (trial.engine == SQLITE) :: 2])
    for way in ways:
        act = {StageName.CHECK: acts[way]} if way in acts else {}
        work = Work(
            yard,
            lambda act=act: yard.serve(runner=InProcess(act)),
            submit_and_lose if way == "a dead worker's job" else submit,
        )
        work.die_everywhere(trial, 4 if way == WAYS[0] else 1, check)
        kinds.update(work.points)
        deaths += work.deaths
    trial.measured(f"{deaths} deaths of a worker ({named(kinds)}); {examine(yard, len(submitted), all_succeed=False)}")


def named(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} points {kind}" for kind, count in sorted(kinds.items()))


@pytest.mark.goal(id="R4")
def test_a_client_dies_at_every_point(make_farm, trial) -> None:
    """Submitting, cancelling and retrying: done whole or not at all, and what is done runs."""
    yard = make_farm()
    numbers = iter(range(10_000))
    deaths = 0

    def check() -> None:
        yard.serve(runner=InProcess())
        count = len(yard.farm.jobs(limit=10_000))
        assert examine(yard, count, all_succeed=False).sound

    def cancelled() -> None:
        yard.farm.cancel(yard.submit({"seed": 1}, label=f"App {next(numbers)}"))

    cancelled()
    works = [
        Work(yard, lambda: yard.submit({"seed": 1}, label=f"App {os.getpid()}")),
        Work(yard, lambda: yard.farm.cancel(yard.farm.latest().id), lambda: yard.submit(label=f"App {next(numbers)}")),
        Work(yard, lambda: yard.farm.retry(yard.farm.latest(JobState.CANCELLED).id), cancelled),
    ]
    for work in works:
        # The child must not share the connections of its parent.
        do = work.do
        work.do = lambda do=do: (yard.reopen(), do())
        work.die_everywhere(trial, 1, check)
        deaths += work.deaths
    trial.measured(f"{deaths} deaths of a client: each job whole or not there")


@pytest.mark.goal(id="R4")
def test_the_api_dies_at_every_point_of_an_upload(yard, trial) -> None:
    """Between the last byte and the model that a job can name: sent again it is there, and never half."""
    content = b"weights" * 1000
    digest = hashlib.sha256(content).hexdigest()
    database = yard.database()
    token = tokens.create(database, "x", [Scope.SUBMIT], Quotas()).token
    files = {"model.keras": Artifact(ArtifactName.MODEL_FILE, digest, len(content))}

    def upload() -> None:
        """What the API does for a client that tries until it has an answer."""
        own = yard.database()
        folder = UploadFolder(yard.settings, own, yard.store)
        uploads.announce(own, token, list(files.values()))
        record = uploads.find(own, token, digest)
        if not folder.stored(record):
            offset = folder.offset(record)
            if offset < record.size:
                with folder.writing(record, offset) as writer:
                    writer.write(content[offset:])
            folder.finish(record)
        folder.assemble(token, files)
        own.close()

    def check() -> None:
        upload()
        assert yard.store.has(files["model.keras"])
        assert examine_store(yard) == []
        with database.write() as connection:
            connection.execute(sa.delete(UploadedModel))
        uploads.lost(database, digest)
        (yard.settings.store / "blobs" / digest).unlink()

    work = Work(yard, upload)
    work.die_everywhere(trial, 3, check)
    trial.measured(f"{work.deaths} deaths in an upload: whole after it was sent again")
    database.close()


def examine_store(yard: Yard) -> list[str]:
    """Names of stored files whose content is another."""
    blobs = (yard.settings.store / "blobs").iterdir()
    return [path.name for path in blobs if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]


def relay_until_empty(settings: Settings, fleet: Fleet) -> None:
    app = broker.connect(settings)
    database = fleet.database()
    with app.connection_for_write() as connection:
        relay = Relay(settings, database, app, connection)
        while relay.turn():
            pass


def waiting_wake_ups(fleet: Fleet) -> int:
    """In the outbox and at the broker."""
    app = broker.connect(fleet.settings)
    with app.connection_for_write() as connection:
        return len(outbox.pending(fleet.database(), 100)) + broker.messages(app, connection, Queue.CONVERT)


@pytest.mark.goal(id="R4")
def test_the_relay_dies_at_every_point(make_fleet, trial) -> None:
    """A wake-up is in the outbox, at the broker, or both, and never nowhere; without the outbox it can be nowhere."""
    fleet = make_fleet(forgotten_seconds=3600.0)
    numbers = iter(range(10_000))

    def check() -> None:
        assert waiting_wake_ups(fleet) >= 1
        fleet.redis.client().flushall()
        with fleet.database().write() as connection:
            connection.execute(sa.text("DELETE FROM outbox"))

    work = Work(
        fleet,
        lambda: (fleet.reopen(), relay_until_empty(fleet.settings, fleet)),
        lambda: fleet.submit({"seed": 1}, label=f"App {next(numbers)}"),
    )
    work.die_everywhere(trial, 4, check)

    def submit_and_publish() -> None:
        """The control: the job is committed, then its wake-up is published, with no outbox between."""
        fleet.reopen(announcing=False)
        job_id = fleet.submit({"seed": 1}, label="the control")
        app = broker.connect(fleet.settings)
        with app.connection_for_write() as connection:
            broker.publish(app, connection, job_id, Queue.CONVERT, begun=False)

    control = Work(fleet, submit_and_publish)
    control.die_at(1)
    stranded = len(fleet.farm.jobs([JobState.QUEUED], limit=1)) - waiting_wake_ups(fleet)
    trial.measured(f"{work.deaths} deaths of the relay: 0 wake-ups lost; without outbox {stranded} of 1 lost")
    assert stranded == 1
