from __future__ import annotations

import errno
from pathlib import Path

import pytest

from farm import errors
from farm.artifacts import PUBLISHED, ArtifactName
from farm.states import JobState


def test_without_an_id_it_takes_the_last_that_succeeded(farm, memory_farm) -> None:
    assert farm("download").code == errors.NoJobYet.exit_code
    done = memory_farm.add(JobState.SUCCEEDED)
    memory_farm.add(JobState.FAILED)
    ran = farm("download")
    assert ran.code == 0
    assert done.id in ran.stderr
    assert {path.name for path in Path().iterdir() if path.is_file()} == {name.value for name in PUBLISHED}
    for name in PUBLISHED:
        assert Path(name.value).read_bytes() == memory_farm.contents[name]
    assert "app.apk" in ran.stdout
    assert "9.00 kB" in ran.stdout


def test_the_same_again_is_no_fault_and_writes_nothing(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    assert farm("download").code == 0
    before = Path("app.apk").stat().st_mtime_ns
    ran = farm("download", "--json")
    assert ran.code == 0
    assert {file["written"] for file in ran.json["files"]} == {"already there"}
    assert Path("app.apk").stat().st_mtime_ns == before


def test_a_different_file_is_kept_unless_forced_and_nothing_else_is_written(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    Path("report.json").write_text("mine")
    ran = farm("download")
    assert ran.code == errors.OutputExists.exit_code
    assert "report.json" in ran.error
    assert "--force" in ran.error
    assert Path("report.json").read_text() == "mine"
    assert not Path("app.apk").exists()
    forced = farm("download", "--force", "--json")
    assert forced.code == 0
    assert Path("report.json").read_bytes() == memory_farm.contents[ArtifactName.REPORT]
    assert [file["written"] for file in forced.json["files"] if file["name"] == "report.json"] == ["replaced"]


def test_a_folder_in_the_way_is_refused_even_when_forced(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    Path("app.apk").mkdir()
    assert farm("download", "--force").code == errors.OutputExists.exit_code


def test_only_and_output(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    ran = farm("download", job.id[:3], "--only", "app.apk", "--only", "golden.json", "--output", "a/b", "--json")
    assert ran.code == 0
    assert sorted(path.name for path in Path("a/b").iterdir()) == ["app.apk", "golden.json"]
    assert ran.json["files"][0]["path"] == str(Path("a/b/app.apk").absolute())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "app.apkk"], 2, "app.apk"),
        (["--only", "reference.npz"], 2, "choose from"),
        (["--output", "file"], 2, "file"),
        (["--output", "/proc/nowhere"], 2, "/proc/nowhere"),
    ],
)
def test_bad_calls(farm, memory_farm, words: list[str], code: int, said: str) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    Path("file").touch()
    ran = farm("download", *words)
    assert ran.code == code
    assert said in ran.error


def test_a_job_that_made_no_app_says_so(farm, memory_farm) -> None:
    del memory_farm.contents[ArtifactName.APK]
    memory_farm.add(JobState.SUCCEEDED)
    ran = farm("download", "--only", "app.apk")
    assert ran.code == errors.ArtifactMissing.exit_code
    assert farm("download").code == 0
    assert not Path("app.apk").exists()


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_has_not_succeeded_hands_out_nothing(farm, memory_farm, state: JobState) -> None:
    job = memory_farm.add(state)
    ran = farm("download", job.id)
    assert ran.code == errors.JobNotFinished.exit_code
    assert state in ran.error


def test_a_full_disk_is_said_to_be_full(farm, memory_farm, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_farm.add(JobState.SUCCEEDED)

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(memory_farm, "download", full)
    assert farm("download").code == errors.DiskFull.exit_code
