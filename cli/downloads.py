"""Writing a job's files into a folder: everything is checked before the first byte is written."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cli.json_views import published
from client.protocol import Farm, JobView
from farm import digests
from farm.artifacts import PUBLISHED, Artifact
from farm.errors import ArtifactMissing, DiskFull, JobNotFinished, OutputExists, UsageError
from farm.states import JobState


class Written(StrEnum):
    """What became of a file."""

    NEW = "written"
    REPLACED = "replaced"
    SAME = "already there"


@dataclass(frozen=True)
class Download:
    """One file to write."""

    artifact: Artifact
    path: Path
    written: Written


def plan(job: JobView, only: Sequence[str], folder: Path, force: bool) -> list[Download]:
    """What is to be written. JobNotFinished, ArtifactMissing, UsageError, OutputExists."""
    if job.state is not JobState.SUCCEEDED:
        raise JobNotFinished(
            f"Job {job.id} is {job.state} and has nothing to hand out; `farm status {job.id}` tells more."
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one with --output.")
    downloads = [_plan_one(artifact, folder / artifact.name.value) for artifact in _choose(job, only)]
    taken = [download.path for download in downloads if download.path.is_dir()]
    if taken:
        raise OutputExists(f"{taken[0]} is a folder; move it away or give another place with --output.")
    different = [str(download.path) for download in downloads if download.written is Written.REPLACED]
    if different and not force:
        verb = "exists with another content" if len(different) == 1 else "exist with other contents"
        raise OutputExists(f"{', '.join(different)} {verb}; add --force to overwrite, or --output with another folder.")
    return downloads


def write(farm: Farm, job: JobView, downloads: Sequence[Download], folder: Path) -> None:
    """Write what is not there yet. DiskFull; UsageError when the folder can't be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for download in downloads:
            if download.written is not Written.SAME:
                farm.download(job.id, download.artifact.name, download.path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk is full below {folder}; free some room and download again.") from error
        raise UsageError(f"{folder} can't be written ({error.strerror}); give another with --output.") from error


def _choose(job: JobView, only: Sequence[str]) -> list[Artifact]:
    available = published(job)
    if not only:
        if not available:
            raise ArtifactMissing(f"Job {job.id} has no files to hand out; `farm status {job.id}` tells more.")
        return available
    known = [name.value for name in PUBLISHED]
    for name in only:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}."
            raise UsageError(f"There is no file {name!r} among a job's files; {hint}")
        if name not in [artifact.name for artifact in available]:
            raise ArtifactMissing(f"Job {job.id} has made no {name}; `farm status {job.id}` says why.")
    return [artifact for artifact in available if artifact.name.value in only]


def _plan_one(artifact: Artifact, path: Path) -> Download:
    if not path.exists() or path.is_dir():
        return Download(artifact, path, Written.NEW)
    same = path.stat().st_size == artifact.size and digests.of_file(path) == artifact.digest
    return Download(artifact, path, Written.SAME if same else Written.REPLACED)
