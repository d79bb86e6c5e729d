"""Takes jobs one at a time and runs their stages in order, each as a process of its own.

Imports neither TensorFlow nor Keras: it must stay small, start quickly and survive whatever a model does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db import claims, jobs, stages
from db.claims import Claim, LeaseLost
from db.records import MetricRecord, ResultRecord
from db.session import Database
from farm import logs
from farm.artifacts import Artifact, ArtifactName
from farm.durable_writes import disk_full_as_sentence
from farm.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    DatabaseUnusable,
    FarmError,
    StageCrashed,
)  # fmt: skip
from farm.jobspec import JobSpec
from farm.progress import Progress
from farm.settings import Settings
from farm.stages import Queue, Stage, StageName, stages_of
from farm.states import StageState
from farm.store import ArtifactStore
from pipeline.provenance import stage_code
from pipeline.request import StageRequest, StageResult
from worker import report, resources, workfolder
from worker.lease import LeaseKeeper
from worker.limits import Limits
from worker.resources import Surroundings
from worker.sandbox import View
from worker.stage_key import stage_key
from worker.stage_process import StageJob, StageOutcome, StageRunner
from worker.termination import Reason, Terminated, Termination

_log = logging.getLogger("farm.worker")


@dataclass
class _Running:
    """What is known of a job while its stages run. code: the digest of all that each stage's module imports and reads.
    ahead: a later stage whose process is started already. done: work folders that nobody needs any more. skips: stages
    that it cannot have, and why."""

    held: Claim
    termination: Termination
    code: Mapping[str, str]
    ahead: StageJob | None = None
    done: list[Path] = field(default_factory=list)
    artifacts: dict[ArtifactName, Artifact] = field(default_factory=dict)
    skips: dict[StageName, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def spec(self) -> JobSpec:
        """What was asked for."""
        return self.held.spec

    def take_ahead(self, name: StageName) -> StageJob | None:
        """The stage that is started already, if it is this one."""
        if self.ahead is None or self.ahead.request.stage is not name:
            return None
        job, self.ahead = self.ahead, None
        return job


class Supervisor:
    """One worker's hands."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ArtifactStore,
        runner: StageRunner,
        worker_id: str,
        queues: Collection[Queue] = tuple(Queue),
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._runner = runner
        self._worker_id = worker_id
        self._queues = queues
        self._current: Termination | None = None
        self._stopping = False

    def stop(self) -> None:
        """Stop the running job, give it back, and claim no other; may be called from a signal handler."""
        self._stopping = True
        if self._current is not None:
            self._current.request(Reason.STOP)

    def run_next(self, only: str | None = None) -> str | None:
        """Claim the job that waits longest, or, with `only`, the one of that id, and run it until it ends, one way or
        another, or needs a worker of another queue; its id. None when there is none to claim."""
        # Before the claim, for once per version it takes a second, and a broken checkout must claim nothing.
        code = stage_code.of_stages(self._settings.home)
        confines = self._runner.sandbox.confines
        held = claims.claim(
            self._database, self._worker_id, self._settings.lease_seconds, self._queues, only, confines=confines
        )
        if held is None:
            return None
        _log.info("job %s: attempt %d", held.job_id, held.counted_attempts)
        with Termination() as termination:
            self._current = termination
            if self._stopping:
                termination.request(Reason.STOP)
            try:
                self._run_and_record(_Running(held, termination, code))
            except LeaseLost:
                _log.warning("job %s: %s", held.job_id, Reason.LEASE_LOST.value)
            finally:
                self._current = None
        return held.job_id

    def _run_and_record(self, running: _Running) -> None:
        """Run the job; whatever comes of it is in the database afterwards. LeaseLost when it is another's."""
        held = running.held
        try:
            with LeaseKeeper(self._database, held, self._settings.heartbeat_seconds, running.termination):
                for position, stage in enumerate(stages_of(running.spec)):
                    running.termination.check()
                    if not self._pass_stage(running, position, stage):
                        claims.requeue_for(self._database, held, stage.queue)
                        _log.info("job %s: goes on in the queue %s", held.job_id, stage.queue)
                        return
                self._finish(running)
            _log.info("job %s: succeeded", held.job_id)
        except Terminated as terminated:
            _log.info("job %s: %s", held.job_id, terminated.reason.value)
            if terminated.reason is Reason.CANCEL:
                claims.cancelled(self._database, held)
            elif terminated.reason is Reason.STOP:
                claims.release(self._database, held, Reason.STOP.value)
        except DatabaseUnusable as error:
            # No fault of the job's. Nothing is lost if the database stays away: the lease will run out.
            _log.warning("job %s: %s", held.job_id, error.sentence)
            self._release_once_possible(held)
        except LeaseLost:
            raise
        except Exception as caught:  # noqa: BLE001 # whatever happens in one job, the worker goes on with the next
            failure = _as_sentence(caught, f"The job {held.job_id}")
            state = claims.fail(self._database, held, failure, self._settings.max_attempts)
            _log.info("job %s: %s: %s", held.job_id, state.value, failure.sentence)
        finally:
            self._clear(running)

    def _release_once_possible(self, held: Claim) -> None:
        until = time.monotonic() + self._settings.lease_seconds
        while time.monotonic() < until and not self._stopping:
            with suppress(DatabaseUnusable):
                claims.release(self._database, held, "the database was away")
                return
            time.sleep(self._settings.poll_seconds)

    def _pass_stage(self, running: _Running, position: int, stage: Stage) -> bool:
        """Skip the stage, use an earlier result, or run it; then its outputs are among the job's artifacts.

        False when it needs a worker of another queue.
        """
        if stage.queue not in self._queues:
            return self._pass_what_others_did(running, stage)
        reason = self._skip_reason(running, stage)
        if reason is not None:
            running.skips[stage.name] = reason
            stages.skip(self._database, running.held, stage.name, reason)
            return True
        inputs = {name: running.artifacts[name] for name in stage.inputs}
        code = running.code[stage.name.value]
        key = stage_key(stage, running.spec, inputs, code, resources.deciding(stage, self._around(running)))
        record = self._earlier_result(key)
        if record is None or not self._file_reused(running, record):
            record = self._run_stage(running, position, stage, key, inputs)
            stages.succeed(self._database, running.held, record, _metrics(record), reused=False)
        elif running.take_ahead(stage.name) is not None:
            self._clear(running)
        self._take_over(running, stage, record, StageResult.model_validate(record.result))
        return True

    def _file_reused(self, running: _Running, record: ResultRecord) -> bool:
        """Whether the job has the earlier result now; it may have been collected a moment ago."""
        try:
            stages.succeed(self._database, running.held, record, _metrics(record), reused=True)
        except stages.ResultForgotten:
            return False
        return True

    def _pass_what_others_did(self, running: _Running, stage: Stage) -> bool:
        """Take over what a worker of another queue has done for this job; False when that is still to be done."""
        with self._database.read() as connection:
            done = stages.of_job(connection, running.held.job_id, stage.name)
        if done.state is StageState.SKIPPED:
            running.skips[stage.name] = done.note or ""
            return True
        if done.key is None or done.state not in (StageState.SUCCEEDED, StageState.REUSED):
            return False
        record = self._earlier_result(done.key)
        if record is None:
            return False
        self._take_over(running, stage, record, StageResult.model_validate(record.result))
        return True

    def _skip_reason(self, running: _Running, stage: Stage) -> str | None:
        if stage.name in running.skips:
            return running.skips[stage.name]
        lacking = [name for name in stage.inputs if name not in running.artifacts]
        return f"This job has no {lacking[0]}, which the stage needs." if lacking else None

    def _around(self, running: _Running) -> Surroundings:
        return Surroundings(running.spec, self._settings, self._database, self._store, self._runner.sandbox.confines)

    def _earlier_result(self, key: str) -> ResultRecord | None:
        """What is filed under the key, if it is still whole in the store; else it is forgotten."""
        record = stages.result(self._database, key)
        if record is None:
            return None
        try:
            for artifact in record.outputs:
                self._store.check(artifact)
        except (ArtifactDamaged, ArtifactMissing) as error:
            _log.warning("%s", error.sentence)
            for artifact in record.outputs:
                self._store.discard(artifact)
            stages.forget_result(self._database, key)
            return None
        return record

    def _run_stage(
        self, running: _Running, position: int, stage: Stage, key: str, inputs: Mapping[ArtifactName, Artifact]
    ) -> ResultRecord:
        """Run the stage in its process; its outputs are in the store and its caches adopted when this returns."""
        held = running.held

        def report_progress(progress: Progress) -> None:
            stages.progress(self._database, held, stage.name, progress.fraction, progress.activity)

        def meanwhile() -> None:
            stages.start(self._database, held, stage.name, key, stage.title)
            self._start_ahead(running, stage)
            while running.done:
                workfolder.remove(running.done.pop())

        started = time.monotonic()
        outcome = StageOutcome(None, None, 0.0, 0)
        try:
            with disk_full_as_sentence():
                job = self._prepare(running, position, stage, inputs)
                outcome = self._runner.run(job, running.termination, report_progress, meanwhile)
                if outcome.error is not None:
                    raise outcome.error

                def check() -> None:
                    running.termination.check()
                    outcome.require_time()

                workfolder.adopt(job.request.workdir, stage, self._settings.caches, check)
                outputs = workfolder.collect(job.request.workdir, stage, self._store, check)
                running.done += [each for each in (job.request.workdir, job.request.keystore) if each is not None]
        except (Terminated, LeaseLost):
            raise
        except Exception as caught:
            error = _as_sentence(caught, f"The stage {stage.name}")
            # Room first: the disk may be full, and the database lies on it too.
            self._clear(running)
            seconds = time.monotonic() - started
            stages.fail(self._database, held, stage.name, error, seconds, outcome.peak_bytes or None)
            if error is caught:
                raise
            raise error from caught
        assert outcome.result is not None  # noqa: S101 # an outcome without error has a result
        return ResultRecord(
            key, stage.name, outcome.seconds, outcome.peak_bytes, outputs, outcome.result.model_dump(mode="json")
        )

    def _prepare(
        self, running: _Running, position: int, stage: Stage, inputs: Mapping[ArtifactName, Artifact]
    ) -> StageJob:
        """The stage's work folder with all that it takes, and what it may see, use and cost."""
        job = running.take_ahead(stage.name) or self._make_room(running, position, stage)
        workdir = job.request.workdir
        workfolder.lay_out(workdir, inputs, self._store, protected=self._runner.sandbox.confines)
        for provider in resources.providers(stage):
            provider.provide(self._around(running), job.request)
        if job.request.keystore is not None:
            self._runner.sandbox.hand_over(job.view)
        job.request.write()
        return job

    def _start_ahead(self, running: _Running, stage: Stage) -> None:
        """While the stage runs, let the process of a later one get ready, if the job will have it on this worker."""
        if running.ahead is not None or stage.ahead in running.skips:
            return
        for position, later in enumerate(stages_of(running.spec)):
            if later.name is stage.ahead and later.queue in self._queues:
                running.ahead = self._make_room(running, position, later)
                self._runner.get_ready(running.ahead)

    def _make_room(self, running: _Running, position: int, stage: Stage) -> StageJob:
        """An empty work folder, and what the stage may see, use and cost."""
        held, spec, settings = running.held, running.spec, self._settings
        workdir = self._folder(held) / stage.name.value
        workfolder.make(workdir)
        settings.caches.mkdir(parents=True, exist_ok=True)
        caches = (*(cache.name for cache in stage.caches), *stage.reads_caches)
        readable = (*(settings.caches / name for name in caches), settings.toolchain)
        access = resources.reserve(stage, self._around(running), workdir)
        request = StageRequest(
            stage=stage.name, spec=spec, workdir=workdir, caches=settings.caches, toolchain=settings.toolchain,
            keystore=access.key, threads=settings.threads, permitted_ops=access.permitted_ops,
            arm_seconds=settings.arm_seconds,
        )  # fmt: skip
        return StageJob(
            request=request,
            view=View(
                workdir,
                (*readable, *access.readable),
                network=access.network,
                secrets=access.secrets,
                user_files=access.user_files,
            ),
            limits=Limits(stage.time_limit, settings.memory_limit, settings.disk_reserve),
            mark=self._worker_id,
            log=logs.stage_log(settings.logs, held.job_id, position, stage.name, held.attempt),
        )

    def _take_over(self, running: _Running, stage: Stage, record: ResultRecord, result: StageResult) -> None:
        """What later stages and the report need to know."""
        running.artifacts |= {artifact.name: artifact for artifact in record.outputs}
        running.skips |= result.skips
        running.notes = list(dict.fromkeys((*running.notes, *result.notes, *result.skips.values())))
        if result.attributes:
            running.attributes[stage.name.value] = result.attributes
        for provider in resources.providers(stage):
            provider.succeeded(self._around(running), running.artifacts)

    def _finish(self, running: _Running) -> None:
        """The report, and in one transaction with it the job's success."""
        held, sandbox = running.held, self._runner.sandbox
        if not sandbox.confines:
            running.notes.append(f"The stages ran without a sandbox: {sandbox.reason}.")
        with self._database.read() as connection:
            job = jobs.get(connection, held.job_id)
            attempts = jobs.attempts(connection, held.job_id)
        content = report.assemble(job, attempts, running.notes, running.attributes, sandbox.description)
        stored = self._store.put_bytes(ArtifactName.REPORT, content)
        with self._database.write(durable=True) as connection:
            claims.hold(connection, held, notes=running.notes)
            stages.file_artifacts(connection, held, [stored])
            claims.finish(connection, held)

    def _clear(self, running: _Running) -> None:
        """Remove all of the job's work folders, with any key in them, and end what got ready."""
        running.ahead = None
        running.done.clear()
        folder = self._folder(running.held)
        self._runner.dismiss(folder)
        workfolder.remove(folder)

    def _folder(self, held: Claim) -> Path:
        return self._settings.work / self._worker_id / f"{held.job_id}.{held.attempt}"


def _as_sentence(error: Exception, subject: str) -> FarmError:
    """The error itself, or one for what nobody foresaw, whose traceback goes to the worker's log."""
    if isinstance(error, FarmError):
        return error
    _log.error("%s failed in the worker", subject, exc_info=error)
    return StageCrashed(
        f"{subject} failed in the worker ({type(error).__name__}); the worker's log tells more, please report it."
    )


def _metrics(record: ResultRecord) -> list[MetricRecord]:
    result = StageResult.model_validate(record.result)
    return [MetricRecord(record.stage, each.name, each.value, each.unit) for each in result.metrics]
