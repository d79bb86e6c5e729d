"""The tensors of a checkpoint's `.safetensors` files, mapped into memory: nothing is read before it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from farm import sources
from farm.errors import ModelDamaged, ModelUnsafe, UnsupportedArchitecture
from pipeline.conversion.viewed_weights import Array, Parameter
from pipeline.models import jsonfile, safetensors

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
FLOATS: dict[str, Any] = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
# Elements that are looked at at a time for values that are no numbers.
CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a file. path: its name; offset: of its first byte in the file."""

    path: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @cached_property
    def array(self) -> Array:
        """Its values as the file holds them, mapped."""
        count = math.prod(self.shape)
        if count == 0:
            return np.zeros(self.shape, np.float32)
        kind = np.dtype(FLOATS[self.dtype])
        mapped = np.memmap(self.file, np.uint8, "r", self.offset, (count * kind.itemsize,))
        return mapped.view(kind).reshape(self.shape)

    def parameter(self) -> Parameter:
        """The whole tensor as a part of the decoder's weights."""
        return Parameter(lambda: self.array, ((self, math.prod(self.shape)),), as_it_is=False)


class Tensors:
    """Tensors by name."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._tensors = {tensor.path: tensor for tensor in tensors}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._tensors.values())

    def __len__(self) -> int:
        return len(self._tensors)

    def get(self, name: str) -> Tensor:
        """The tensor of that name; ModelDamaged when no file holds it, UnsupportedArchitecture when it holds codes."""
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ModelDamaged(
                f"The checkpoint's files hold no tensor {name[:80]!r}, which its config.json asks for; copy all of its"
                " files, or correct the config."
            )
        if tensor.dtype not in FLOATS:
            raise UnsupportedArchitecture(
                f"The tensor {name[:80]!r} holds {tensor.dtype} values: the checkpoint is quantized or packed; give the"
                " model before quantization and let the recipe quantize it."
            )
        return tensor

    def require_finite(self) -> None:
        """ModelDamaged names the first tensor with values that are no finite numbers, and how many."""
        for tensor in self:
            if tensor.dtype not in FLOATS:
                continue
            flat = tensor.array.reshape(-1)
            parts = (flat[start : start + CHUNK].astype(np.float32) for start in range(0, len(flat), CHUNK))
            wrong = sum(int(np.count_nonzero(~np.isfinite(part))) for part in parts)
            if wrong:
                raise ModelDamaged(
                    f"The tensor {tensor.path[:80]!r} holds {wrong} of {len(flat)} values that are NaN or infinite;"
                    " train the model again from a sound checkpoint."
                )


def tensors_in(folder: Path) -> Tensors:
    """A checkpoint's tensors: of one file, or of all shards that its index names."""
    found = {tensor.path: tensor for path in _files(folder) for tensor in _tensors(path)}
    _check_index(folder, found)
    return Tensors(found.values())


def tensors_of(file: Path) -> Tensors:
    """The tensors of one file."""
    return Tensors(_tensors(file))


def _files(folder: Path) -> list[Path]:
    """The files with weights, in order."""
    shards = sorted(path for path in folder.glob("*.safetensors") if path.name != SINGLE)
    single = folder / SINGLE
    if single.is_file() and shards:
        raise ModelUnsafe(
            f"The checkpoint holds {SINGLE} and {shards[0].name}: which of them is the model cannot be told; leave one"
            " kind of weights in the folder."
        )
    found = shards or [single]
    if not found[0].is_file():
        raise ModelDamaged("The Transformers checkpoint has no .safetensors file; save it with safe serialization.")
    return found


def _tensors(path: Path) -> Iterator[Tensor]:
    for entry in safetensors.entries(path, path.name):
        yield Tensor(entry.name, path, entry.dtype, entry.shape, entry.offset)


def _check_index(folder: Path, tensors: dict[str, Tensor]) -> None:
    """ModelDamaged unless the index names just the tensors that the files hold, each in its file."""
    path = folder / INDEX
    if not path.is_file():
        return
    index = jsonfile.parse(path.read_bytes(), INDEX)
    listed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise ModelDamaged(f"{INDEX} has no weight_map from tensors to files; save the model again.")
    for tensor, name in listed.items():
        if not sources.belongs(name, transformers=True):
            raise ModelUnsafe(f"{INDEX} names {name[:80]!r}, which is no weight file of the folder; it is refused.")
        if tensor not in tensors or tensors[tensor].file.name != name:
            raise ModelDamaged(
                f"{INDEX} says that the tensor {tensor[:80]!r} lies in {name[:80]}, but it does not; copy all files of"
                " the model."
            )
    unlisted = next((tensor for tensor in tensors if tensor not in listed), None)
    if unlisted is not None:
        raise ModelDamaged(
            f"The tensor {unlisted[:80]!r} in {tensors[unlisted].file.name} is not in {INDEX}; copy all files of one"
            " model."
        )
