"""Whether the farm's store is whole: every file has its hash, and what jobs refer to is there."""

from __future__ import annotations

import math

from cli import units
from cli.checkup import Check, Health
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactDamaged, ArtifactMissing, FarmError
from farm.settings import Settings

MOST_NAMED = 5


def check_store(settings: Settings) -> Check:
    """Read every stored file, also those that no job refers to."""
    # They bring the database's library, which the other checks do not need.
    from db import jobs, retention
    from db.session import open_database
    from farm.store.choice import open_store

    try:
        store = open_store(settings)
        database = open_database(settings.database, announcing=settings.announcing, migrate=settings.migrate)
        with database.read() as connection:
            referenced = retention.referenced(connection)
            owners = jobs.by_artifact(connection)
        database.close()
        blobs = store.unreferenced([], stored_before=math.inf)
        wrong: set[str] = set()
        files = [Artifact(ArtifactName.MODEL_FILE, digest, size) for digest, size in blobs.items()]
        for artifact in (*files, *referenced):
            try:
                store.check(artifact)
            except (ArtifactDamaged, ArtifactMissing):
                wrong.add(artifact.digest)
    except FarmError as error:
        return Check("store", Health.MISSING, "unusable", error.sentence)
    found = f"{units.count(len(blobs), 'file')}, {units.size(sum(blobs.values()))}"
    if not wrong:
        return Check("store", Health.OK, f"{found}, all with their hash")
    affected = sorted({job_id for digest in wrong for job_id in owners.get(digest, ())})
    words = f"{found}, {units.count(len(wrong), 'artifact')} damaged or missing"
    if not affected:
        return Check("store", Health.WARNING, words, "Nothing: the stages that use them will make them again.")
    named = ", ".join(affected[:MOST_NAMED]) + (", ..." if len(affected) > MOST_NAMED else "")
    return Check("store", Health.WARNING, f"{words}, of {named}", "Run `farm retry JOB` for each: it makes them again.")
