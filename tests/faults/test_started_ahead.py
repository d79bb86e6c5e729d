"""A stage that takes long to start is started while another one runs, and is gone when it is not needed."""

from __future__ import annotations

import json
import signal

import psutil
import pytest

from farm import logs
from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName, stages_of
from farm.states import JobState, StageState
from pipeline.request import StageRequest
from tests.faults.yard import Yard, stub_runner
from worker import workfolder
from worker.limits import Limits
from worker.sandbox import Bubblewrap, Sandbox, View
from worker.stage_process import AHEAD, ProcessRunner, StageJob
from worker.termination import Termination

BOTH = pytest.mark.parametrize("sandbox", [None, Bubblewrap()], ids=["unconfined", "bubblewrap"])
SLOW_FETCH = {"fetch": ["sleep", 0.6]}


def waiting(yard: Yard) -> list[int]:
    """The processes that wait for their request."""
    place = str(yard.settings.work)
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if AHEAD in words and any(word.startswith(place) for word in words) and words[0] != "bwrap":
            found.append(process.pid)
    return found


@BOTH
def test_converting_gets_ready_while_the_model_is_fetched(yard, sandbox: Sandbox | None) -> None:
    job_id = yard.submit({**SLOW_FETCH, "convert": ["environment", None]})
    worker = yard.start_worker(sandbox)
    yard.until(lambda: waiting(yard))
    job = yard.farm.job(job_id)
    assert next(stage for stage in job.stages if stage.state is StageState.RUNNING).name is StageName.FETCH
    assert [path.name for path in logs.job_logs(yard.settings.logs, job_id)] == ["00-fetch.1.log"]
    assert yard.wait(job_id).state is JobState.SUCCEEDED
    assert waiting(yard) == []
    log = next(yard.settings.logs.glob(f"{job_id}/*convert.1.log")).read_text()
    assert json.loads(log)["HOME"].endswith("convert/scratch")
    worker.kill()


@BOTH
def test_each_stage_goes_on_in_the_process_that_got_ready_for_it(yard, sandbox: Sandbox | None) -> None:
    ahead = [stage.ahead for stage in stages_of(JobSpec(model_kind=ModelKind.PRESET, model="any")) if stage.ahead]
    assert {StageName.CONVERT, StageName.VERIFY, StageName.PACKAGE, StageName.JVM_CHECK} <= set(ahead)
    job_id = yard.submit({stage.value: ["arguments", None] for stage in ahead})
    yard.serve(sandbox)
    assert yard.farm.job(job_id).state is JobState.SUCCEEDED
    for stage in ahead:
        log = next(yard.settings.logs.glob(f"{job_id}/*-{stage.value}.1.log")).read_text()
        assert json.loads(log)[1:] == [AHEAD, stage.value]


def test_one_that_died_while_it_waited_is_started_again(yard) -> None:
    job_id = yard.submit(SLOW_FETCH)
    worker = yard.start_worker()
    yard.until(lambda: waiting(yard))
    psutil.Process(waiting(yard)[0]).kill()
    job = yard.wait(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    worker.kill()


def test_nothing_waits_when_an_earlier_result_is_used(yard) -> None:
    first = yard.submit({**SLOW_FETCH, "seed": 1})
    yard.serve()
    source = next(each for each in yard.farm.job(first).artifacts if each.name is ArtifactName.SOURCE)
    (yard.settings.store / "blobs" / source.digest).unlink()
    second = yard.submit({**SLOW_FETCH, "seed": 1}, label="Again")
    worker = yard.start_worker()
    yard.until(lambda: waiting(yard))
    assert yard.wait(second).state is JobState.SUCCEEDED
    states = {stage.name: stage.state for stage in yard.farm.job(second).stages}
    assert (states[StageName.FETCH], states[StageName.CONVERT]) == (StageState.SUCCEEDED, StageState.REUSED)
    assert waiting(yard) == []
    worker.kill()


def test_nothing_gets_ready_for_a_stage_that_the_job_cannot_have(yard) -> None:
    job_id = yard.submit({"convert": ["skip", [["package", "It has no tokenizer."]]], "verify": ["sleep", 0.6]})
    worker = yard.start_worker()
    yard.until(
        lambda: next(each for each in yard.farm.job(job_id).stages if each.name is StageName.VERIFY).progress > 0
    )
    assert list(yard.settings.logs.glob(f"{job_id}/*-package.*")) == []
    assert yard.wait(job_id).state is JobState.SUCCEEDED
    worker.kill()


def test_one_jobs_end_leaves_what_waits_for_another(yard) -> None:
    """Threads of one worker run several jobs with one runner."""
    runner = stub_runner(yard.settings)
    jobs = {name: got_ready(yard, runner, name) for name in ("ended", "other")}
    yard.until(lambda: len(waiting(yard)) == 2)
    runner.dismiss(jobs["ended"].request.workdir.parent)
    assert len(waiting(yard)) == 1
    with Termination() as termination:
        outcome = runner.run(jobs["other"], termination, lambda _progress: None, lambda: None)
    assert outcome.error is None
    assert json.loads(jobs["other"].log.read_text())[1] == AHEAD
    assert not jobs["ended"].log.exists()


def got_ready(yard: Yard, runner: ProcessRunner, name: str) -> StageJob:
    """The stage check of a job of that name, which waits with all that it needs."""
    workdir = yard.settings.work / name / "check"
    workfolder.make(workdir)
    spec = JobSpec(model_kind=ModelKind.PRESET, model=json.dumps({"check": ["arguments", None]}))
    request = StageRequest(
        stage=StageName.CHECK, spec=spec, workdir=workdir, caches=workdir, toolchain=workdir, keystore=None, threads=1
    )
    limits = Limits(60, 1 << 30, 0)
    job = StageJob(request, View(workdir, (), network=False), limits, "mark", yard.settings.home / f"{name}.log")
    request.write()
    runner.get_ready(job)
    return job


@BOTH
@pytest.mark.parametrize("way", ["failure", "cancel", "stop", "killed worker"])
def test_nothing_stays_behind(yard, sandbox: Sandbox | None, way: str) -> None:
    plan = {"check": ["fail", ["model-damaged", "It is damaged."]]} if way == "failure" else {"check": ["sleep", 60]}
    job_id = yard.submit({**SLOW_FETCH, **plan})
    worker = yard.start_worker(sandbox)
    yard.until(lambda: waiting(yard))
    if way == "cancel":
        yard.farm.cancel(job_id)
    elif way == "stop":
        worker.send_signal(signal.SIGTERM)
    elif way == "killed worker":
        worker.kill()
    else:
        assert yard.wait(job_id).state is JobState.FAILED
    yard.until(lambda: not waiting(yard), 15)
    worker.kill()
