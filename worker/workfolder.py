"""A stage's work folder: made with its inputs, emptied of its outputs and of what goes into caches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from farm import caches as cache_files
from farm.artifacts import Artifact, ArtifactName
from farm.durable_writes import go_on
from farm.errors import ArtifactDamaged, StageCrashed
from farm.stages import Cache, Stage
from farm.store import ArtifactStore
from pipeline.request import REQUEST, RESULT, StageResult
from worker import stage_files
from worker.removal import remove
from worker.stage_files import StrangeFile

__all__ = ["adopt", "collect", "lay_out", "make", "read_result", "remove"]

MAX_ADOPTED = 64
MAX_ADOPTED_BYTES = 1 << 30


def make(folder: Path) -> None:
    """A work folder whose inputs and order are still to come; a sandbox can be put around it."""
    remove(folder)
    for name in ("inputs", "outputs", "scratch"):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(0o755)
    (folder / REQUEST).touch()
    (folder / REQUEST).chmod(0o644)


def lay_out(folder: Path, inputs: Mapping[ArtifactName, Artifact], store: ArtifactStore, *, protected: bool) -> None:
    """Put the inputs into a work folder; ArtifactDamaged, ArtifactMissing, DiskFull."""
    for name, artifact in inputs.items():
        target = folder / "inputs" / name.value.rstrip("/")
        store.materialise(artifact, target, protected=protected)
        # The stage may be another user, whatever this process's umask.
        for path in (target, *target.rglob("*")) if name.is_folder else ():
            if path.is_dir():
                path.chmod(0o755)


def read_result(folder: Path, stage: Stage) -> StageResult | None:
    """What the stage says came of it; None when it says nothing. StageCrashed when it says what it may not."""
    # The stage may have closed its own folder.
    folder.chmod(0o755)
    try:
        data = stage_files.read(folder / RESULT, stage_files.RESULT_BYTES)
    except StrangeFile as error:
        raise StageCrashed(f"The result of the stage {stage.name} {error}; see its log.") from error
    if data is None:
        return None
    try:
        result = StageResult.parse(data)
    except ValueError as error:
        raise StageCrashed(f"The stage {stage.name} left an unreadable result; see its log.") from error
    for skipped in result.skips:
        if skipped not in stage.may_skip:
            raise StageCrashed(f"The stage {stage.name} would have {skipped} left out, which it may not; see its log.")
    return result


def collect(
    folder: Path, stage: Stage, store: ArtifactStore, check: Callable[[], None] = go_on
) -> tuple[Artifact, ...]:
    """Move all the stage's outputs into the store.

    StageCrashed when one was not made, ArtifactDamaged when it is no ordinary file.

    check: called now and then while large files are read; what it raises ends this.
    """
    outputs = folder / "outputs"
    stage_files.require_sound(outputs, _own_user())
    paths = {name: outputs / name.value.rstrip("/") for name in stage.outputs}
    for name, path in paths.items():
        if not (path.is_dir() if name.is_folder else path.is_file()):
            raise StageCrashed(f"The stage {stage.name} ended without {name}; its log tells more.")
    check()
    return store.put(paths, check)


def adopt(folder: Path, stage: Stage, caches: Path, check: Callable[[], None] = go_on) -> Sequence[Path]:
    """Move what the stage has made for the farm's caches there; what is already there stays. Returns what was added.

    Only ordinary files with a name that the stage's row lets into that cache; with each goes its digest, which is
    checked whenever the file is used. ArtifactDamaged for anything else.
    """
    source = folder / "adopt"
    if not os.path.lexists(source):
        return []
    stage_files.require_sound(source, _own_user())
    files = sorted(path for path in source.rglob("*") if not path.is_dir())
    if len(files) > MAX_ADOPTED:
        raise ArtifactDamaged(f"The stage {stage.name} made {len(files)} files for the farm's caches; see its log.")
    allowed = {cache.name: cache for cache in stage.caches}
    added: list[Path] = []
    for path in files:
        check()
        place = path.relative_to(source)
        cache = allowed.get(place.parts[0])
        if cache is None or len(place.parts) != 2 or not cache.takes(place.name):
            raise ArtifactDamaged(
                f"The stage {stage.name} made {place} for the farm's caches, where it may not put that; see its log."
            )
        if target := _keep(path, cache, caches):
            added.append(target)
    return added


def _keep(path: Path, cache: Cache, caches: Path) -> Path | None:
    """Link a file into its cache, its digest before it; None when it is already there."""
    home = caches / cache.name
    home.mkdir(parents=True, exist_ok=True)
    target = home / path.name
    if cache_files.find(caches, cache.name, path.name) is not None:
        return None
    with stage_files.opened(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
        if os.fstat(descriptor).st_size > MAX_ADOPTED_BYTES:
            raise ArtifactDamaged(f"The file {path.name} is too large for the farm's caches; see the stage's log.")
        hasher = hashlib.file_digest(stream, "sha256")
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
    cache_files.record(target, hasher.hexdigest())
    # What is there without its own digest is damaged. A rename puts a whole file in its place.
    with suppress(IsADirectoryError):
        path.rename(target)
        return target
    return None


def _own_user() -> tuple[int, int] | None:
    """Whose the files become, where this process may say that."""
    return (os.geteuid(), os.getegid()) if os.geteuid() == 0 else None
