"""An uploaded model reaches its first stage out of the store, whatever its reference says."""

from __future__ import annotations

import json
from pathlib import Path

from db import tokens, uploads
from farm import sources
from farm.access import Quotas, Scope
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactMissing
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.states import JobState


def stored_model(yard, place: Path, weights: bytes) -> str:
    folder = place / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.weights.h5").write_bytes(b"weights")
    (folder / "model.weights.h5").write_bytes(weights)
    (source,) = yard.store.put({ArtifactName.SOURCE: folder})
    database = yard.database()
    # What nobody has announced is cleared away when a worker starts.
    uploads.complete_model(
        database, tokens.create(database, "x", [Scope.SUBMIT], Quotas()).token, source.digest, source.size
    )
    database.close()
    return source.digest


def submit(yard, digest: str) -> str:
    spec = JobSpec(model_kind=ModelKind.UPLOADED, model=json.dumps({}), model_digest=digest)
    return yard.farm.submit(spec).job.id


def test_the_stage_sees_the_files(yard, place: Path) -> None:
    """The stub's output depends on its inputs: another model makes another one."""
    made = []
    for weights in (b"one", b"two"):
        (place / weights.decode()).mkdir()
        job_id = submit(yard, stored_model(yard, place / weights.decode(), weights))
        yard.serve()
        job = yard.farm.job(job_id)
        assert job.state is JobState.SUCCEEDED
        made.append(next(each.digest for each in job.artifacts if each.name is ArtifactName.SOURCE))
    assert made[0] != made[1]


def test_a_model_that_the_store_lost(yard) -> None:
    job_id = submit(yard, "0" * 64)
    yard.serve()
    job = yard.farm.job(job_id)
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, ArtifactMissing.code())


def test_the_store_and_the_client_agree_on_a_models_digest(yard, place: Path) -> None:
    digest = stored_model(yard, place, b"weights")
    yard.store.materialise(Artifact(ArtifactName.SOURCE, digest, 0), place / "out", protected=False)
    listing = {path.relative_to(place / "out").as_posix(): path for path in (place / "out").rglob("*")}
    assert sources.digest_of(listing) == digest
