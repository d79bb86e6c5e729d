"""A stage's work folder: made with its inputs, emptied of its outputs, removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from farm.artifacts import Artifact, ArtifactName
from farm.errors import StageCrashed
from farm.stages import Stage
from farm.store import ArtifactStore
from pipeline.request import REQUEST


def make(folder: Path) -> None:
    """A work folder whose inputs and order are still to come; a sandbox can be put around it."""
    remove(folder)
    for name in ("inputs", "outputs", "scratch"):
        (folder / name).mkdir(parents=True)
    (folder / REQUEST).touch()


def lay_out(folder: Path, inputs: Mapping[ArtifactName, Artifact], store: ArtifactStore, *, protected: bool) -> None:
    """Put the inputs into a work folder; ArtifactDamaged, ArtifactMissing, DiskFull."""
    for name, artifact in inputs.items():
        store.materialise(artifact, folder / "inputs" / name.value.rstrip("/"), protected=protected)


def collect(folder: Path, stage: Stage, store: ArtifactStore) -> tuple[Artifact, ...]:
    """Move all the stage's outputs into the store; StageCrashed when one was not made."""
    outputs = folder / "outputs"
    paths = {name: outputs / name.value.rstrip("/") for name in stage.outputs}
    for name, path in paths.items():
        # A stage that put a link in place of the folder could have files of the machine taken for its own.
        if outputs.is_symlink() or not (path.is_dir() if name.is_folder else path.exists()):
            raise StageCrashed(f"The stage {stage.name} ended without {name}; its log tells more.")
    return store.put(paths)


def adopt(folder: Path, caches: Path) -> Sequence[Path]:
    """Move the files below adopt/ into the farm's caches; what is there already stays. Returns what was added."""
    added: list[Path] = []
    source = folder / "adopt"
    if source.is_symlink():
        return added
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        target = caches / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        # A link, unlike a rename, never replaces what is there.
        with suppress(FileExistsError):
            target.hardlink_to(path)
            added.append(target)
    return added


def remove(folder: Path) -> None:
    """Remove a work folder, whatever a stage has made of its permissions."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o700)
        shutil.rmtree(folder)
