"""Writing a job's files into a folder: everything is checked before the first byte is written.

A job's files are its artifacts, which never change, and `measurements.json`: what the farm took in from phones since.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cli.json_views import published
from client.protocol import Farm, JobView
from farm import digests
from farm.artifacts import PUBLISHED, ArtifactName
from farm.errors import ArtifactMissing, DiskFull, JobNotFinished, OutputExists, UsageError
from farm.states import JobState

MEASUREMENTS = "measurements.json"
# What a download can be limited to.
NAMES = (*(name.value for name in PUBLISHED), MEASUREMENTS)


class Written(StrEnum):
    """What became of a file."""

    NEW = "written"
    REPLACED = "replaced"
    SAME = "already there"


@dataclass(frozen=True)
class Offer:
    """A file that a job hands out. content: None when it is an artifact, which the farm is asked for."""

    name: str
    size: int
    digest: str
    content: bytes | None = None


@dataclass(frozen=True)
class Download:
    """One file to write."""

    file: Offer
    path: Path
    written: Written


def offers(job: JobView) -> list[Offer]:
    """All that the job hands out."""
    files = [Offer(artifact.name.value, artifact.size, artifact.digest) for artifact in published(job)]
    if job.measurements:
        content = measurements(job)
        files.append(Offer(MEASUREMENTS, len(content), hashlib.sha256(content).hexdigest(), content))
    return files


def measurements(job: JobView) -> bytes:
    """What phones measured with the job's model, as JSON: the form of `farm status --json`."""
    taken = [each.model_dump(mode="json") for each in job.measurements]
    return json.dumps({"format": 1, "job": job.id, "measurements": taken}, indent=2).encode() + b"\n"


def plan(job: JobView, only: Sequence[str], folder: Path, force: bool) -> list[Download]:
    """What is to be written. JobNotFinished, ArtifactMissing, UsageError, OutputExists."""
    if job.state is not JobState.SUCCEEDED:
        raise JobNotFinished(
            f"Job {job.id} is {job.state} and has nothing to hand out; `farm status {job.id}` tells more."
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one with --output.")
    downloads = [_plan_one(file, folder / file.name) for file in _choose(job, only)]
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
            if download.written is Written.SAME:
                continue
            if download.file.content is None:
                farm.download(job.id, ArtifactName(download.file.name), download.path)
            else:
                download.path.write_bytes(download.file.content)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk is full below {folder}; free some room and download again.") from error
        raise UsageError(f"{folder} can't be written ({error.strerror}); give another with --output.") from error


def _choose(job: JobView, only: Sequence[str]) -> list[Offer]:
    available = offers(job)
    if not only:
        if not available:
            raise ArtifactMissing(f"Job {job.id} has no files to hand out; `farm status {job.id}` tells more.")
        return available
    for name in only:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(NAMES)}."
            raise UsageError(f"There is no file {name!r} among a job's files; {hint}")
        if name in [file.name for file in available]:
            continue
        if name == MEASUREMENTS:
            raise ArtifactMissing(f"No phone has measured job {job.id} yet; `farm import-metrics` takes figures in.")
        raise ArtifactMissing(f"Job {job.id} has made no {name}; `farm status {job.id}` says why.")
    return [file for file in available if file.name in only]


def _plan_one(file: Offer, path: Path) -> Download:
    if not path.exists() or path.is_dir():
        return Download(file, path, Written.NEW)
    same = path.stat().st_size == file.size and digests.of_file(path) == file.digest
    return Download(file, path, Written.SAME if same else Written.REPLACED)
