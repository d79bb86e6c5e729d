"""R12: single flipped bytes in the store; a disk that rots does not change a file's time either."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import stored_files
from cli.checkup import Health
from farm.appspec import AppSpec
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactDamaged, TransitionRefused
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.states import JobState
from farm.store import LocalStore
from tests.faults.in_process import InProcess


def flip(path: Path, place: int, bit: int) -> None:
    """Change one bit and leave all that `stat` tells but the time of the inode's change as it was."""
    before = path.stat()
    path.chmod(0o600)
    with path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ (1 << bit)]))
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.goal(id="R12")
def test_every_flipped_byte_is_detected(yard, trial, place: Path) -> None:
    """By a download, by the API, and by a worker that wants to use the file again."""
    yard.submit({"seed": 1})
    yard.serve(runner=InProcess())
    artifacts = list(yard.farm.latest().artifacts)
    chance = trial.chance
    flips = trial.size(60, 1000)
    detected = dict.fromkeys(("export", "open", "materialise"), 0)
    for _ in range(flips):
        artifact = chance.choice(artifacts)
        blob = chance.choice([each.digest for each in yard.store.files(artifact).values()])
        path = yard.store.path(chance.choice([artifact.digest, blob]))
        where, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        flip(path, where, bit)
        # A store object as every command, every worker and every request's process has its own.
        for way, found in (
            ("export", found_by_export(LocalStore(yard.settings.store), artifact, place / "out")),
            ("open", found_by_open(LocalStore(yard.settings.store), artifact)),
            ("materialise", found_by_materialise(LocalStore(yard.settings.store), artifact, place / "out")),
        ):
            detected[way] += found
        flip(path, where, bit)
    told = ", ".join(f"{count} by {way}" for way, count in detected.items())
    trial.measured(f"{flips} flipped: {told}")
    assert set(detected.values()) == {flips}
    for artifact in artifacts:
        LocalStore(yard.settings.store).check(artifact)


@pytest.mark.goal(id="R12")
def test_what_is_damaged_is_found_and_made_anew(yard, trial) -> None:
    """Of a job that has succeeded: `farm doctor --store` names it, submitting and retrying make it again."""
    spec = JobSpec(model_kind=ModelKind.PRESET, model="{}", app=AppSpec())
    first = yard.farm.submit(spec).job.id
    yard.serve(runner=InProcess())
    assert stored_files.check_store(yard.settings).health is Health.OK
    made = {artifact.name: artifact for artifact in yard.farm.job(first).artifacts}
    damaged = (made[ArtifactName.APK], made[ArtifactName.SOURCE])
    ways = (lambda: yard.farm.submit(spec).job.id, lambda: yard.farm.retry(yard.farm.latest().id).id)
    rounds = trial.size(1, 25)
    for again in ways * rounds:
        for artifact in damaged:
            flip(yard.store.path(artifact.digest), 3, 1)
        found = stored_files.check_store(yard.settings)
        assert found.health is Health.WARNING
        assert "2 artifacts damaged or missing" in found.found
        assert yard.farm.latest().id in found.found
        job_id = again()
        assert yard.farm.job(job_id).state is JobState.QUEUED
        yard.serve(runner=InProcess())
        assert {each.digest for each in yard.farm.job(job_id).artifacts} >= {each.digest for each in damaged}
        assert stored_files.check_store(yard.settings).health is Health.OK
    trial.measured(f"{2 * rounds} times two damaged files: found, and made again by submitting and by retrying")
    assert yard.farm.submit(spec).reused
    with pytest.raises(TransitionRefused):
        yard.farm.retry(yard.farm.latest().id)


def found_by_export(store: LocalStore, artifact: Artifact, target: Path) -> bool:
    try:
        store.export(artifact, target)
    except ArtifactDamaged:
        return not target.exists()
    return False


def found_by_open(store: LocalStore, artifact: Artifact) -> bool:
    try:
        if artifact.name.is_folder:
            store.check(artifact)
        else:
            store.open(artifact).close()
    except ArtifactDamaged:
        return True
    return False


def found_by_materialise(store: LocalStore, artifact: Artifact, target: Path) -> bool:
    try:
        store.materialise(artifact, target, protected=True)
    except ArtifactDamaged:
        return not target.exists()
    return False


def test_a_long_lived_process_sees_what_was_written_over(yard) -> None:
    """It reads a file again when its time has changed."""
    stored = yard.store.put_bytes(ArtifactName.REPORT, b"report")
    yard.store.check(stored)
    path = yard.store.path(stored.digest)
    path.chmod(0o600)
    path.write_bytes(b"tropes")
    with pytest.raises(ArtifactDamaged):
        yard.store.open(stored)
