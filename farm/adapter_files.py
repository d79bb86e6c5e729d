"""Which files make up a LoRA adapter, by what they are called in a model's files: they lie in a folder of their own."""

from __future__ import annotations

from pathlib import Path

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


def _ordinary(path: Path) -> Path:
    """An ordinary file, reached by a symbolic link or not."""
    if not path.is_file():
        raise AdapterUnusable(f"The adapter's file {path} is no ordinary file; give the file itself.")
    return path.resolve()
