"""Write a model folder in the layout of Transformers, whole or not at all."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from examples.gguf_reader import Float32

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def make_once(folder: Path, write: Callable[[Path], None]) -> bool:
    """Let `write` fill a draft folder and move its files into `folder`; whether that was still to be done.

    A folder with a config.json is complete, because that file is moved last. Processes that ask at the same time wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if (folder / CONFIG).is_file():
            return False
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder) as name:
            draft = Path(name)
            write(draft)
            for path in sorted(draft.iterdir(), key=lambda path: path.name == CONFIG):
                path.rename(folder / path.name)
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_over in folder.glob(".draft-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        yield


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people to read."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_weights(path: Path, tensors: Mapping[str, Float32]) -> None:
    """Write tensors as bfloat16, the type of the published checkpoints."""
    halves: dict[str, NDArray[Any]] = {
        name: np.ascontiguousarray(values).astype(ml_dtypes.bfloat16) for name, values in tensors.items()
    }
    save_file(halves, path, metadata={"format": "pt"})
    path.chmod(0o644)
