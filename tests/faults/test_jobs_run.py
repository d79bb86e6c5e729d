"""Jobs without faults, and the faults of a stage itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from farm.artifacts import PUBLISHED, ArtifactName
from farm.errors import ArtifactDamaged, QualityMissed, StageCrashed
from farm.stages import BY_NAME, STAGES, StageName, stages_of
from farm.states import JobState, StageState
from worker import process_tree
from worker.sandbox import Bubblewrap


def test_a_job_passes_all_stages_and_hands_out_its_artifacts(yard, tmp_path: Path) -> None:
    job_id = yard.submit({"convert": ["metric", ["size", 12.5, "bytes"]]})
    assert yard.serve() == 1
    job = yard.farm.job(job_id)
    assert job.state is JobState.SUCCEEDED
    assert [stage.state for stage in job.stages] == [StageState.SUCCEEDED] * len(stages_of(job.spec))
    assert all(stage.seconds > 0 for stage in job.stages)
    assert job.progress == 1.0
    made = {artifact.name for artifact in job.artifacts}
    assert made == {output for stage in stages_of(job.spec) for output in stage.outputs} | {ArtifactName.REPORT}
    yard.farm.download(job_id, ArtifactName.REPORT, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["metrics"] == [{"stage": "convert", "name": "size", "value": 12.5, "unit": "bytes"}]
    published = {artifact.name: artifact.digest for artifact in job.artifacts if artifact.name in PUBLISHED}
    del published[ArtifactName.REPORT]
    assert {each["name"]: each["sha256"] for each in report["artifacts"]} == published
    assert report["sandbox"] == "none (a test)"
    assert report["model_digest"] == next(a.digest for a in job.artifacts if a.name is ArtifactName.SOURCE)
    assert list(yard.settings.work.glob("*/*")) == []


def test_stages_are_shared_between_jobs(yard) -> None:
    yard.submit({"seed": 1}, label="One")
    second = yard.submit({"seed": 1}, label="Two")
    yard.serve()
    states = {stage.name.value: stage.state for stage in yard.farm.job(second).stages}
    made = {name for name, state in states.items() if state is StageState.SUCCEEDED}
    assert made == {"package", "bundle", "sdk"}
    assert states["jvm-check"] is StageState.REUSED, (
        "the stub's APK does not depend on the label, so its run is reused too"
    )


def test_an_equal_job_is_shared_and_not_when_its_artifacts_are_gone(yard) -> None:
    first = yard.submit({"seed": 2})
    assert yard.submit({"seed": 2}) == first
    yard.serve()
    assert yard.submit({"seed": 2}) == first
    apk = next(a for a in yard.farm.job(first).artifacts if a.name is ArtifactName.APK)
    (yard.settings.store / "blobs" / apk.digest).unlink()
    second = yard.submit({"seed": 2})
    assert second != first
    yard.serve()
    assert yard.farm.job(second).state is JobState.SUCCEEDED


def test_a_damaged_result_is_made_again(yard, tmp_path: Path) -> None:
    first = yard.submit({"seed": 3})
    yard.serve()
    model = next(a for a in yard.farm.job(first).artifacts if a.name is ArtifactName.MODEL)
    blob = yard.settings.store / "blobs" / model.digest
    content = bytearray(blob.read_bytes())
    content[5] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(content)
    with pytest.raises(ArtifactDamaged):
        yard.farm.download(first, ArtifactName.MODEL, tmp_path / "model.tflite")
    assert not (tmp_path / "model.tflite").exists()
    second = yard.submit({"seed": 3}, label="Another")
    yard.serve()
    states = {stage.name.value: stage.state for stage in yard.farm.job(second).stages}
    assert states["convert"] is StageState.SUCCEEDED
    assert states["fetch"] is StageState.REUSED
    yard.farm.download(first, ArtifactName.MODEL, tmp_path / "model.tflite")


def test_a_deterministic_failure_is_not_tried_again(yard) -> None:
    job_id = yard.submit({"verify": ["fail", [QualityMissed.code(), "Perplexity 9 is over 1.05."]]})
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert (job.error.code, job.error.exit_code) == ("quality-missed", 52)
    assert job.error.sentence == "Perplexity 9 is over 1.05."
    assert {stage.name.value: stage.state for stage in job.stages}["verify"] is StageState.FAILED


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (["exit", 3], "ended with exit code 3"),
        (["signal", 11], "was killed by SIGSEGV"),
        (["no-outputs", None], "ended without model.tflite"),
    ],
)
def test_a_crash_is_tried_three_times_with_its_reasons_kept(yard, action, sentence: str) -> None:
    job_id = yard.submit({"convert": action})
    assert yard.serve() == 3
    job = yard.farm.job(job_id)
    assert (job.state, job.attempt, job.error.code) == (JobState.FAILED, 3, StageCrashed.code())
    assert sentence in job.error.sentence
    reasons = [event.message for event in yard.farm.events(job_id) if event.kind in ("requeued", "failed")]
    assert len(reasons) == 3
    assert all(sentence in reason for reason in reasons)


def test_a_crash_that_passes_is_survived_and_finished_stages_are_not_run_again(yard, tmp_path: Path) -> None:
    job_id = yard.submit({"verify": ["once", [str(tmp_path / "mark"), ["signal", 9]]]})
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    states = {stage.name.value: stage.state for stage in job.stages}
    assert states["convert"] is StageState.REUSED
    assert states["verify"] is StageState.SUCCEEDED


def test_retry_after_failure(yard, tmp_path: Path) -> None:
    job_id = yard.submit(
        {"jvm-check": ["once", [str(tmp_path / "mark"), ["fail", ["host-mismatch", "Other tokens."]]]]}
    )
    yard.serve()
    assert yard.farm.job(job_id).state is JobState.FAILED
    yard.farm.retry(job_id)
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.error, job.attempt) == (JobState.SUCCEEDED, None, 1)


def test_skipped_stages_end_the_job_well_and_say_why(yard, tmp_path: Path) -> None:
    reason = "The app has no tokenizer for this family yet."
    skipped = [stage.name for stage in STAGES[STAGES.index(BY_NAME[StageName.PACKAGE]) :]]
    job_id = yard.submit({"convert": ["skip", [[name, reason] for name in skipped]]})
    yard.serve()
    job = yard.farm.job(job_id)
    assert job.state is JobState.SUCCEEDED
    assert [stage.name for stage in job.stages if stage.state is StageState.SKIPPED] == skipped
    assert {stage.note for stage in job.stages if stage.name in skipped} == {reason}
    assert job.notes == ("a note", reason, "The stages ran without a sandbox: a test.")
    yard.farm.download(job_id, ArtifactName.REPORT, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["attributes"] == {"convert": {"answer": 42}}


def test_a_link_as_an_output_is_refused(make_yard) -> None:
    yard = make_yard(max_attempts=1)
    job_id = yard.submit({"check": ["link", "/etc/passwd"]})
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.error.code) == (JobState.FAILED, ArtifactDamaged.code())


def test_adopted_files_go_into_the_caches_and_never_over_others(yard) -> None:
    yard.submit({"convert": ["adopt", "first"]})
    yard.serve()
    yard.submit({"convert": ["adopt", "second"], "seed": 1})
    yard.serve()
    assert (yard.settings.caches / "graphs" / f"{'0' * 64}.tflite").read_text() == "first"


def test_garbage_on_the_progress_pipe_harms_nobody(yard) -> None:
    job_id = yard.submit({"check": ["garbage", None]})
    yard.serve()
    assert yard.farm.job(job_id).state is JobState.SUCCEEDED


def test_in_the_sandbox_a_stage_sees_only_what_it_was_given(yard, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    hidden = [
        str(secret),
        str(yard.settings.home / "farm.db"),
        str(yard.settings.keys),
        "/root",
        "/etc/shadow",
        "/work",
    ]
    shown = ["/usr/bin", "/etc/ssl", str(yard.settings.toolchain)]
    job_id = yard.submit({"check": ["probe", hidden + shown], "verify": ["signal", 9]})
    yard.serve(Bubblewrap())
    job = yard.farm.job(job_id)
    line = next(line for line in yard.farm.logs(job_id) if line.startswith("{"))
    seen = json.loads(line)
    assert [path for path in hidden if seen[path]] in ([], ["/root"], ["/work"], ["/root", "/work"])
    assert [path for path in shown if not seen[path]] == []
    assert "was killed by SIGKILL" in job.error.sentence
    # What is left of /root and /work are the mount points' own parents, empty but for the interpreter and the checkout.


def test_the_whole_job_in_the_sandbox(yard) -> None:
    job_id = yard.submit({"seed": 9})
    yard.serve(Bubblewrap())
    assert yard.farm.job(job_id).state is JobState.SUCCEEDED


def test_a_mark_finds_processes_by_their_environment() -> None:
    assert os.getpid() not in process_tree.members("no-such-mark")
