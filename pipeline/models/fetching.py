"""Getting a model's files into one folder, whatever the reference: the only work that may use the network."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from farm import adapter_files, sources
from farm.errors import ModelChanged, ModelNotFound, NotCausalLM, UnsupportedFamily
from farm.modelref import ModelKind, ModelRef
from farm.progress import Reporter
from pipeline.models import families

COPY_BYTES = 4 << 20


def fetch(
    ref: ModelRef, target: Path, *, digest: str | None, scratch: Path, report: Reporter,
    adapter_digest: str | None = None,
) -> str:  # fmt: skip
    """Bring the model's files and its adapter's to `target`, which must not exist; returns their digest.

    Every ModelError that a reference can cause; ModelChanged when the files have another digest than `digest`, or those
    of the adapter of a model on a hub another than `adapter_digest`.
    """
    if ref.kind.local:
        with sources.opened(ref) as streams:
            found = _copied(streams, target, report)
    else:
        download = scratch / "download"
        _download(ref, download, report)
        found = _moved(sources.files(ModelRef(ModelKind.FOLDER, str(download))), target)
        if ref.adapter is not None:
            with adapter_files.opened(Path(ref.adapter)) as streams:
                found |= _copied(streams, target, report)
    report(0.9, "hashing")
    actual = sources.digest_of(found)
    adapter = {name: path for name, path in found.items() if name in adapter_files.NAMES}
    adapter_changed = adapter_digest is not None and sources.digest_of(adapter) != adapter_digest
    if adapter_changed or (digest is not None and actual != digest):
        raise ModelChanged(f"The files of {ref.text} have changed since the job was submitted; submit it again.")
    return actual


def _copied(streams: Mapping[str, BinaryIO], target: Path, report: Reporter) -> dict[str, Path]:
    """The copies. They are hashed, not the originals, which may change at any time."""
    copies = {name: target / name for name in streams}
    for number, (name, source) in enumerate(streams.items()):
        report(0.9 * number / len(streams), f"copying {name}")
        copies[name].parent.mkdir(parents=True, exist_ok=True)
        with copies[name].open("xb") as copy:
            shutil.copyfileobj(source, copy, COPY_BYTES)
    return copies


def _moved(listing: dict[str, Path], target: Path) -> dict[str, Path]:
    moved = {name: target / name for name in listing}
    for name, source in listing.items():
        moved[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, moved[name])
    return moved


def _download(ref: ModelRef, target: Path, report: Reporter) -> None:
    handle = preset_handle(ref.value) if ref.kind is ModelKind.PRESET else ref.value.partition("://")[2]
    # Both client libraries are slow to import, and a local model needs neither.
    from pipeline.models import hubs

    target.mkdir(parents=True)
    download = hubs.download_hugging_face if ref.kind is ModelKind.HUGGINGFACE else hubs.download_kaggle
    hubs.patiently(lambda: download(handle, target, report), report)


def preset_handle(name: str) -> str:
    """Where a preset lies on Kaggle; refused before any download when it is unknown or cannot be converted."""
    presets = families.presets()
    if name not in presets:
        close = difflib.get_close_matches(name, presets, n=1)
        hint = f"did you mean {close[0]}?" if close else "give a preset folder, a .keras file or a preset's name."
        raise ModelNotFound(f"There is no file, no folder and no KerasHub preset {name!r}; {hint}")
    backbone = presets[name].backbone
    if backbone not in families.supported():
        if backbone in families.known_classes().causal_lms.values():
            raise UnsupportedFamily(
                f"There is no mapping for {name}, a {backbone}; supported families: {families.supported_names()}."
            )
        raise NotCausalLM(
            f"The preset {name} is a {backbone}, no CausalLM; give a language model such as gpt2_base_en."
        )
    return presets[name].handle
