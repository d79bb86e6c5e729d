from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from farm import errors
from farm.stages import StageName
from farm.states import JobState


def test_an_empty_farm_says_how_to_begin(farm) -> None:
    ran = farm("status")
    assert ran.code == 0
    assert "farm submit examples/tiny_gpt2" in ran.stdout
    assert farm("status", "--json").json == {"queued": 0, "running": 0, "jobs": []}


def test_the_overview_shows_what_runs_before_what_ended(farm, memory_farm) -> None:
    done = memory_farm.add(JobState.SUCCEEDED)
    failed = memory_farm.add(JobState.FAILED)
    running = memory_farm.add(JobState.RUNNING)
    waiting = memory_farm.add(JobState.QUEUED)
    ran = farm("status")
    assert ran.code == 0
    assert "1 job running, 1 waiting" in ran.stdout
    order = re.findall("|".join(job.id for job in (done, failed, running, waiting)), ran.stdout)
    assert order == [waiting.id, running.id, failed.id, done.id]
    assert "fetching the model" in ran.stdout
    assert "app.apk 9.00 kB" in ran.stdout
    assert "use fp16" in ran.stdout
    found = farm("status", "--json").json
    assert (found["queued"], found["running"], len(found["jobs"])) == (1, 1, 4)


def test_one_job_with_everything(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.FAILED)
    ran = farm("status", job.id[:3])
    assert ran.code == 0
    for expected in (
        job.id, "failed", "int8 (dynamic_wi8_afp32_rotated)", "at most 2048 tokens", "arm64-v8a, x86_64",
        "the farm's own key",
        "verifying the model", "1.5 s", "300 MB", "use fp16", "convert ended", f"farm retry {job.id}",
    ):  # fmt: skip
        assert expected in ran.stdout + ran.stderr, expected
    found = farm("status", job.id, "--json").json
    assert found["events"][0]["kind"] == "submitted"
    states = [stage["state"] for stage in found["stages"]]
    assert states[: states.index("failed")] == ["succeeded"] * list(StageName).index(StageName.VERIFY)


def test_an_unknown_and_an_ambiguous_job(farm, memory_farm) -> None:
    memory_farm.add(JobState.QUEUED)
    memory_farm.add(JobState.QUEUED)
    assert farm("status", "zz").code == errors.JobNotFound.exit_code
    ran = farm("cancel", "k")
    assert ran.code == errors.AmbiguousJob.exit_code
    assert "more letters" in ran.error


def test_list_filters(farm, memory_farm) -> None:
    done = memory_farm.add(JobState.SUCCEEDED, model="opus")
    waiting = memory_farm.add(JobState.QUEUED, model="story")

    def ids(*words: str) -> list[str]:
        return [job["id"] for job in farm("list", *words, "--json").json]

    assert ids() == [waiting.id, done.id]
    assert ids("--state", "queued") == [waiting.id]
    assert ids("--state", "queued", "--state", "succeeded") == [waiting.id, done.id]
    assert ids("--model", "opus") == [done.id]
    assert ids("--recipe", "int8") == [waiting.id, done.id]
    assert ids("--recipe", "fp16") == []
    assert ids("--limit", "1") == [waiting.id]
    assert "No job matches" in farm("list", "--recipe", "fp16").stderr
    assert "opus" in farm("list").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--state", "done"], 2), (["--limit", "0"], 2), (["--recipe", "in8"], errors.UnknownRecipe.exit_code)],
)
def test_list_refuses_the_unknown(farm, words: list[str], code: int) -> None:
    ran = farm("list", *words)
    assert ran.code == code
    assert ran.error


def test_cancel(farm, memory_farm) -> None:
    waiting, running = memory_farm.add(JobState.QUEUED), memory_farm.add(JobState.RUNNING)
    done = memory_farm.add(JobState.SUCCEEDED)
    assert "is cancelled" in farm("cancel", waiting.id).stdout
    assert "is being stopped" in farm("cancel", running.id).stdout
    assert farm("cancel", done.id).code == errors.TransitionRefused.exit_code
    assert farm("cancel").code == 2


def test_retry(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.FAILED)
    ran = farm("retry", job.id)
    assert ran.code == 0
    assert "queued" in ran.stdout
    assert memory_farm.workers_asked == 1
    assert farm("watch").code == 0
    assert farm("retry", job.id).code == errors.TransitionRefused.exit_code


def test_retry_and_wait(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.CANCELLED)
    assert farm("retry", job.id, "--wait", "--json").json["state"] == "succeeded"


def test_watch_takes_the_newest_job(farm, memory_farm) -> None:
    assert farm("watch").code == errors.NoJobYet.exit_code
    memory_farm.add(JobState.SUCCEEDED)
    newest = memory_farm.add(JobState.RUNNING)
    ran = farm("watch", "--json")
    assert ran.code == 0
    assert ran.json["id"] == newest.id
    assert ran.json["state"] == "succeeded"


def test_logs(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.RUNNING)
    assert farm("logs", job.id).stdout == ""
    ran = farm("logs", "--follow")
    assert ran.stdout.splitlines()[0] == "fetch: ran"
    assert ran.stdout.splitlines()[-1] == "sdk: ran"
    assert farm("logs", job.id, "--json").json == {"id": job.id, "lines": ran.stdout.splitlines()}


def test_what_a_model_wrote_cannot_steer_the_terminal(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    memory_farm.lines[job.id] = ["\x1b]0;owned\x07 \x1b[31mred\x1b[0m \x1b[2J [bold]not markup[/bold] \udcff"]
    line = farm("logs", job.id).stdout
    assert "\x1b" not in line
    assert "\x07" not in line
    assert " red " in line
    assert "[bold]not markup[/bold]" in line


def test_logs_of_one_stage_and_without_noise(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    noise = "E0000 00:00:17.2       2 cuda_dnn.cc:8579] Unable to register cuDNN factory"
    memory_farm.lines[job.id] = [
        "== 00-fetch.1 ==", "fetched", "== 02-convert.1 ==", noise, "converted", "== 11-jvm-check.1 ==", "built",
    ]  # fmt: skip
    assert farm("logs", job.id, "--stage", "convert").stdout.splitlines() == ["== 02-convert.1 ==", "converted"]
    assert farm("logs", job.id, "--stage", "jvm-check").stdout.splitlines()[-1] == "built"
    assert "cuda" not in farm("logs", job.id).stdout
    assert "fetched" in farm("logs", job.id).stdout
    assert farm("logs", job.id, "--stage", "convrt").code == 2


def test_the_list_shows_what_tells_jobs_apart(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED, version_name="2.5")
    shown = farm("list").stdout
    assert "App 0" in shown
    assert "int8" in shown
    assert "tokens" in shown
    chosen = farm("list", "--columns", "app,version").stdout.splitlines()
    assert chosen[0].split() == ["app", "version"]
    assert chosen[2].split() == ["App", "0", "2.5", "(1)"]
    assert "did you mean version" in farm("list", "--columns", "job,vesion").error


def test_jobs_are_deleted_by_name_or_by_age_and_state(farm, memory_farm) -> None:
    done, failed, running = (
        memory_farm.add(state) for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.RUNNING)
    )
    for words in ([], [done.id, "--state", "failed"]):
        assert farm("rm", *words).code == errors.UsageError.exit_code
    assert f"farm cancel {running.id}" in farm("rm", done.id, running.id).error
    assert farm("rm", "--state", "running").code == errors.TransitionRefused.exit_code
    assert farm("rm", "--state", "failed", "--dry-run").stdout == f"Would delete 1 job: {failed.id}\n"
    assert set(memory_farm.views) == {done.id, failed.id, running.id}, "nothing was deleted so far"
    assert farm("rm", "--older-than", "36500").stdout == "No job matches.\n"
    assert farm("rm", "--state", "failed").stdout == "Deleted 1 job and 9.00 kB of files.\n"
    assert farm("delete", done.id, "--json").json == {"jobs": [done.id], "files": 1, "bytes": 9000, "dry_run": False}
    assert set(memory_farm.views) == {running.id}


def test_pictures_need_an_app_that_this_machine_can_draw(farm, memory_farm) -> None:
    queued = memory_farm.add(JobState.QUEUED)
    assert f"farm watch {queued.id}" in farm("pictures", queued.id).error
    done = memory_farm.add(JobState.SUCCEEDED)
    Path("pictures").mkdir()
    Path("pictures/phone-light.png").write_bytes(b"")
    ran = farm("pictures", done.id)
    assert ran.code == errors.OutputExists.exit_code
    assert "--force" in ran.error
    assert farm("pictures", done.id, "--size", "poster").code == 2


def test_an_icon_is_a_digest_in_json(farm) -> None:
    Image.new("RGB", (64, 64), (1, 2, 3)).save("icon.png")
    ran = farm(
        "submit", "model", "--icon", "icon.png", "--color", "#112233", "--prompt", "One", "--prompt", "Two", "--json"
    )
    assert ran.code == 0
    app = ran.json["app"]
    assert (app["color"], app["prompts"]) == ("#112233", ["One", "Two"])
    assert len(app["icon"]) == 64
    page = farm("status", ran.json["id"]).stdout
    assert "own icon, colour #112233" in page
    assert "'One'; 'Two'" in page
    assert "PNG or SVG" in farm("submit", "model", "--icon", "none.png").error
