"""Which files make up a LoRA adapter, by what they are called in a model's files: they lie in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path

from farm.confined_files import NotConfined, confined_model
from farm.errors import AdapterUnusable

FOLDER = "adapter"
PEFT_CONFIG, PEFT_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KERAS_SUFFIX = ".lora.h5"
KERAS_FILE = f"adapter{KERAS_SUFFIX}"
# Their names beside a model's own files.
NAMES = tuple(f"{FOLDER}/{name}" for name in (PEFT_CONFIG, PEFT_WEIGHTS, KERAS_FILE))
WHAT = f"a PEFT adapter's folder ({PEFT_CONFIG} and {PEFT_WEIGHTS}) or KerasHub's file *{KERAS_SUFFIX}"


def find(path: Path) -> dict[str, Path]:
    """The files of the adapter at that path, by their names beside a model's; AdapterUnusable when there is none."""
    if not path.exists():
        raise AdapterUnusable(f"There is no adapter {path}; give {WHAT}.")
    if path.is_file() and path.name.endswith(KERAS_SUFFIX):
        return {f"{FOLDER}/{KERAS_FILE}": _ordinary(path)}
    folder = path.parent if path.name in (PEFT_CONFIG, PEFT_WEIGHTS) else path
    if not folder.is_dir():
        raise AdapterUnusable(f"{path} is no adapter; give {WHAT}.")
    if (folder / PEFT_CONFIG).exists():
        if not (folder / PEFT_WEIGHTS).exists():
            raise AdapterUnusable(
                f"The adapter {folder} has no {PEFT_WEIGHTS}; save it again with safe serialization (a .bin file is a"
                " pickle, which runs code when it is read)."
            )
        return {f"{FOLDER}/{name}": _ordinary(folder / name) for name in (PEFT_CONFIG, PEFT_WEIGHTS)}
    found = sorted(folder.glob(f"*{KERAS_SUFFIX}"))
    if len(found) != 1:
        raise AdapterUnusable(f"The folder {folder} holds {len(found)} adapters; give {WHAT}.")
    return {f"{FOLDER}/{KERAS_FILE}": _ordinary(found[0])}


@contextmanager
def opened(path: Path) -> Iterator[dict[str, BufferedReader]]:
    """The adapter's files, open for reading: their names may lead elsewhere at any time. AdapterUnusable."""
    # A file of weights its user may name by a link; in a folder, links stay in it or in its place in a hub's cache.
    named = path.resolve() if path.name.endswith(KERAS_SUFFIX) and path.is_file() else None
    start = named.parent if named is not None else (path if path.is_dir() else path.parent).resolve()
    with ExitStack() as stack:
        folder = stack.enter_context(confined_model(start))
        listing = find(path)
        if folder is None:
            raise AdapterUnusable(f"There is no adapter {path}; give {WHAT}.")
        streams = {}
        for name, file in listing.items():
            place = named if named is not None else start / file.name
            try:
                streams[name] = stack.enter_context(folder.open_path(place))
            except NotConfined as error:
                raise _leads_out(file) if error.why == "outside" else _not_ordinary(file) from error
        yield streams


def _ordinary(path: Path) -> Path:
    """An ordinary file, reached by a symbolic link or not."""
    if not path.is_file():
        raise _not_ordinary(path)
    return path


def _not_ordinary(path: Path) -> AdapterUnusable:
    return AdapterUnusable(f"The adapter's file {path} is no ordinary file; give the file itself.")


def _leads_out(path: Path) -> AdapterUnusable:
    return AdapterUnusable(f"The adapter's file {path} is a symbolic link out of its folder; copy the file itself.")
