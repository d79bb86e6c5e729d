"""Garbage collection keeps what a kept job needs, whatever runs beside it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import claims, jobs, retention, stages
from db.claims import Claim
from db.garbage_collection import collect, remove_jobs
from db.models import Job, StageResultRow, UnknownFile
from db.records import ResultRecord
from db.session import Database, now, open_database
from db.store_ownership import adopt, owns
from db.workers import leave
from farm.artifacts import Artifact, ArtifactName
from farm.collected import Collected
from farm.errors import FarmError, StoreForeign, TransitionRefused
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import STAGES, StageName
from farm.store import LocalStore
from worker.reconciliation import register_and_reconcile

MONTH = timedelta(days=30)
DAY = 24 * 3600.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> LocalStore:
    return LocalStore(settings.store)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings.database)
    yield opened
    opened.close()


def start(database: Database, model: str) -> Claim:
    spec = JobSpec(model_kind=ModelKind.PRESET, model=model)
    jobs.submit(database, spec, spec.key(model), [stage.name for stage in STAGES], lambda _artifacts: True)
    held = claims.claim(database, "w" * 10, 60)
    assert held is not None
    return held


def make(
    database: Database, store: LocalStore, held: Claim, content: bytes, name: ArtifactName = ArtifactName.CHECKED
) -> tuple[str, Artifact]:
    """The job has a result of the stage check; its key and its output."""
    artifact = store.put_bytes(name, content)
    record = result(content, artifact)
    stages.succeed(database, held, record, [], reused=False)
    return record.key, artifact


def result(content: bytes, artifact: Artifact) -> ResultRecord:
    return ResultRecord(content.decode(), StageName.CHECK, 1.0, None, (artifact,), {})


def finish(database: Database, held: Claim) -> None:
    with database.write() as connection:
        claims.hold(connection, held)
        claims.finish(connection, held)


def long_ago(database: Database, store: LocalStore, settings: Settings) -> None:
    """All that has happened so far happened 40 days ago."""
    then = now() - timedelta(days=40)
    with database.write() as connection:
        connection.execute(sa.update(Job).where(Job.finished_at.is_not(None)).values(finished_at=then))
        connection.execute(sa.update(StageResultRow).values(created_at=then))
    for path in (settings.store / "blobs").iterdir():
        os.utime(path, (then.timestamp(), then.timestamp()))


def test_old_jobs_go_and_what_others_need_stays(database: Database, store: LocalStore, settings: Settings) -> None:
    first = start(database, "first")
    shared_key, shared = make(database, store, first, b"shared")
    own_key, own = make(database, store, first, b"own", ArtifactName.GOLDEN)
    finish(database, first)
    (settings.logs / first.job_id).mkdir(parents=True)
    (settings.logs / first.job_id / "00-fetch.1.log").write_text("fetched\n")
    running = start(database, "running")
    _, unended = make(database, store, running, b"unended")
    long_ago(database, store, settings)
    second = start(database, "second")
    stages.succeed(database, second, result(b"shared", shared), [], reused=True)
    finish(database, second)

    would = collect(settings, database, store, MONTH, dry_run=True)
    assert would == Collected(jobs=1, results=1, files=1, bytes=3)
    assert store.has(own)
    assert (settings.logs / first.job_id).exists()

    assert collect(settings, database, store, MONTH) == would
    assert not store.has(own)
    assert store.has(shared)
    assert store.has(unended)
    assert stages.result(database, own_key) is None
    assert stages.result(database, shared_key) is not None
    assert not (settings.logs / first.job_id).exists()
    with database.read() as connection:
        assert set(connection.scalars(sa.select(Job.id))) == {running.job_id, second.job_id}
    assert collect(settings, database, store, MONTH) == Collected(0, 0, 0, 0)


def test_a_young_file_stays_though_nothing_refers_to_it_yet(
    database: Database, store: LocalStore, settings: Settings
) -> None:
    owns(database, store)
    artifact = store.put_bytes(ArtifactName.REPORT, b"{}")
    path = settings.store / "blobs" / artifact.digest
    os.utime(path, (time.time() - DAY - 60,) * 2)
    store.put_bytes(ArtifactName.REPORT, b"{}")
    assert collect(settings, database, store, MONTH).files == 0
    os.utime(path, (time.time() - DAY - 60,) * 2)
    assert collect(settings, database, store, MONTH).files == 0
    unknown_for_a_day(database)
    assert collect(settings, database, store, MONTH, dry_run=True).files == 1
    assert collect(settings, database, store, MONTH).files == 1


@pytest.mark.goal(id="A6")
@pytest.mark.parametrize("content", [b"", b"no database" * 500, b"SQLite format 3\0" + bytes(4080)])
def test_a_damaged_database_removes_nothing(store: LocalStore, settings: Settings, content: bytes, trial) -> None:
    """Whether it can be opened or not; nothing of the store has been touched for long."""
    for number in range(20):
        store.put_bytes(ArtifactName.REPORT, str(number).encode())
    store.set_owner("0" * 32)
    long_ago_files(settings)
    path = settings.home / "farm.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with suppress(FarmError):
        opened = open_database(settings.database)
        register_and_reconcile(settings, opened, store, "w" * 10, confines=True)
        collect(settings, opened, store, timedelta(0))
    blobs = len(list((settings.store / "blobs").iterdir()))
    trial.measured(f"a database of {len(content)} bytes: {20 - blobs} of 20 removed")
    assert blobs == 20


def long_ago_files(settings: Settings) -> None:
    for path in (settings.store / "blobs").iterdir():
        os.utime(path, (time.time() - 40 * DAY,) * 2)


def unknown_for_a_day(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.update(UnknownFile).values(seen_at=now() - timedelta(days=1, seconds=1)))


@pytest.mark.goal(id="A6")
@pytest.mark.parametrize("kept", ["an empty database", "another farm's database"])
def test_a_foreign_database_removes_nothing(
    database: Database, store: LocalStore, settings: Settings, kept: str, tmp_path: Path, trial
) -> None:
    """A6: whatever reconciliation and collection find unknown, and however old it is."""
    register_and_reconcile(settings, database, store, "w" * 10, confines=True)
    for number in range(50):
        held = start(database, f"job {number}")
        make(database, store, held, f"result {number}".encode())
        finish(database, held)
    long_ago(database, store, settings)
    before = sorted((settings.store / "blobs").iterdir())
    foreign = open_database(f"sqlite:///{tmp_path / 'foreign.db'}")
    if kept == "another farm's database":
        finish(foreign, start(foreign, "other"))
    for _ in range(2):
        found = register_and_reconcile(settings, foreign, store, "v" * 10, confines=True)
        assert (found.unreferenced_files, found.forgotten_results) == (0, 0)
        with pytest.raises(StoreForeign, match="gc --adopt-store"):
            collect(settings, foreign, store, timedelta(days=1))
        leave(foreign, "v" * 10)
    trial.measured(f"{kept}: {len(before) - len(list((settings.store / 'blobs').iterdir()))} of {len(before)} removed")
    assert sorted((settings.store / "blobs").iterdir()) == before

    adopt(foreign, store)
    assert collect(settings, foreign, store, MONTH).files == 0
    assert sorted((settings.store / "blobs").iterdir()) == before
    unknown_for_a_day(foreign)
    assert collect(settings, foreign, store, MONTH).files == len(before)
    foreign.close()


def test_a_store_of_an_earlier_version_is_taken_by_the_database_that_knows_it(
    database: Database, store: LocalStore, settings: Settings, tmp_path: Path
) -> None:
    held = start(database, "first")
    make(database, store, held, b"result")
    finish(database, held)
    foreign = open_database(f"sqlite:///{tmp_path / 'foreign.db'}")
    assert not owns(foreign, store)
    assert store.owner() is None
    assert owns(database, store)
    assert not owns(foreign, store)
    foreign.close()


def test_a_restored_database_first_sees_what_was_made_since(
    database: Database, store: LocalStore, settings: Settings
) -> None:
    """Files that are old and unknown, since the database is an older copy, stay for a day."""
    register_and_reconcile(settings, database, store, "w" * 10, confines=True)
    leave(database, "w" * 10)
    artifact = store.put_bytes(ArtifactName.REPORT, b"made since")
    os.utime(settings.store / "blobs" / artifact.digest, (0, 0))
    assert register_and_reconcile(settings, database, store, "v" * 10, confines=True).unreferenced_files == 0
    leave(database, "v" * 10)
    unknown_for_a_day(database)
    assert register_and_reconcile(settings, database, store, "u" * 10, confines=True).unreferenced_files == 1


def test_an_earlier_result_that_was_just_collected_is_not_used(
    database: Database, store: LocalStore, settings: Settings
) -> None:
    first = start(database, "first")
    key, artifact = make(database, store, first, b"result")
    finish(database, first)
    long_ago(database, store, settings)
    second = start(database, "second")
    found = stages.result(database, key)
    assert found is not None
    collect(settings, database, store, MONTH)
    with pytest.raises(stages.ResultForgotten):
        stages.succeed(database, second, found, [], reused=True)
    with database.read() as connection:
        assert jobs.get(connection, second.job_id).artifacts == ()
    assert not store.has(artifact)


def test_jobs_that_run_while_somebody_collects_keep_their_files(
    database: Database, store: LocalStore, settings: Settings
) -> None:
    """Collections without end and with no grace for results; 150 jobs use or make the same few results beside them."""
    ended = threading.Event()
    errors: list[Exception] = []
    rounds = forgotten = 0

    def collect_on() -> None:
        nonlocal rounds, forgotten
        while not ended.is_set():
            forgotten += len(retention.forget(database, now()).results)
            # Two seconds stand for the day of grace.
            stored_before = time.time() - 2
            with database.read() as connection:
                referenced = retention.referenced(connection)
            unused = store.unreferenced(referenced, stored_before=stored_before)
            store.remove(unused, stored_before=stored_before)
            rounds += 1

    def run_jobs(name: str) -> None:
        try:
            for turn in range(50):
                content = f"result {turn % 3}".encode()
                held = start(database, f"{name}-{turn}")
                earlier = stages.result(database, content.decode())
                try:
                    if earlier is None:
                        make(database, store, held, content)
                    else:
                        stages.succeed(database, held, earlier, [], reused=True)
                except stages.ResultForgotten:
                    make(database, store, held, content)
                with database.read() as connection:
                    artifacts = jobs.get(connection, held.job_id).artifacts
                assert len(artifacts) == 1
                assert all(store.has(artifact) for artifact in artifacts), (name, turn)
                finish(database, held)
        except Exception as error:  # noqa: BLE001 # shown in the test's own thread
            errors.append(error)

    collector = threading.Thread(target=collect_on)
    runners = [threading.Thread(target=run_jobs, args=(f"runner{number}",)) for number in range(3)]
    for thread in (collector, *runners):
        thread.start()
    for thread in runners:
        thread.join()
    ended.set()
    collector.join()
    assert errors == []
    assert rounds > 3
    assert forgotten


def test_a_deleted_job_takes_what_only_it_has(database: Database, store: LocalStore, settings: Settings) -> None:
    first, second, running = (start(database, name) for name in ("first", "second", "running"))
    shared_key, shared = make(database, store, first, b"shared")
    finish(database, first)
    stages.succeed(database, second, result(b"shared", shared), [], reused=True)
    own_key, own = make(database, store, second, b"own", ArtifactName.GOLDEN)
    finish(database, second)
    (settings.logs / second.job_id).mkdir(parents=True)
    with pytest.raises(TransitionRefused, match="farm cancel"):
        remove_jobs(settings, database, store, [second.job_id, running.job_id])
    assert store.has(own)
    hour_ago = time.time() - 3700
    for path in (settings.store / "blobs").iterdir():
        os.utime(path, (hour_ago, hour_ago))
    assert remove_jobs(settings, database, store, [second.job_id]) == Collected(1, 1, 1, 3)
    assert (store.has(own), store.has(shared)) == (False, True)
    assert stages.result(database, own_key) is None
    assert stages.result(database, shared_key) is not None
    assert not (settings.logs / second.job_id).exists()
    with database.read() as connection:
        assert set(connection.scalars(sa.select(Job.id))) == {first.job_id, running.job_id}


def test_a_file_that_a_running_job_may_have_just_stored_stays(
    database: Database, store: LocalStore, settings: Settings
) -> None:
    ended = start(database, "ended")
    _, own = make(database, store, ended, b"own")
    finish(database, ended)
    start(database, "running")
    assert remove_jobs(settings, database, store, [ended.job_id]).files == 0
    assert store.has(own)


def test_without_a_running_job_the_space_is_free_at_once(
    database: Database, store: LocalStore, settings: Settings
) -> None:
    ended = start(database, "ended")
    _, own = make(database, store, ended, b"own")
    finish(database, ended)
    assert remove_jobs(settings, database, store, [ended.job_id]).files == 1
    assert not store.has(own)
