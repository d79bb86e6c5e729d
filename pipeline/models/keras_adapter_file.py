"""What is in KerasHub's `.lora.h5`: two matrices a layer, the layers by their numbers, and one rank."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import h5py

from farm import adapter_files
from farm.errors import AdapterUnusable

ROOT, VALUES = "lora", "vars"
MOST_RANK = 1 << 16
Pair = tuple[h5py.Dataset, h5py.Dataset]


@dataclass(frozen=True)
class AdaptedLayers:
    """layers: by the number of each, its matrices down [..., rank] and up [rank, out]."""

    rank: int
    layers: Mapping[int, Pair]


def read_layers(file: h5py.File) -> AdaptedLayers:
    """The layers of a checked file; AdapterUnusable when it is none, or its ranks differ."""
    root = file.get(ROOT)
    rank = _dataset(root, f"{VALUES}/rank")
    if rank is None or rank.shape != () or not 1 <= int(rank[()]) <= MOST_RANK:
        raise _unusable("has no rank")
    layers = {int(name): _pair(root, name, int(rank[()])) for name in root if re.fullmatch(r"[0-9]{1,6}", name)}
    if not layers or set(root) - {VALUES} != set(map(str, layers)):
        raise _unusable("holds no layers, or other things beside them")
    return AdaptedLayers(int(rank[()]), layers)


def _pair(root: h5py.Group, name: str, rank: int) -> Pair:
    down, up = (_dataset(root, f"{name}/{VALUES}/lora_kernel_{part}") for part in "ab")
    if down is None or up is None or len(down.shape) < 2 or len(up.shape) != 2:
        raise _unusable(f"has no two matrices for layer {name}")
    if not down.shape[-1] == up.shape[0] == rank:
        raise AdapterUnusable(
            f"The adapter's ranks differ: the file says {rank}, and layer {name} has {down.shape[-1]} and"
            f" {up.shape[0]}; save the adapter again with save_lora_weights."
        )
    return down, up


def _dataset(root: object, path: str) -> h5py.Dataset | None:
    found = root.get(path) if isinstance(root, h5py.Group) else None
    return found if isinstance(found, h5py.Dataset) else None


def _unusable(finding: str) -> AdapterUnusable:
    return AdapterUnusable(
        f"{adapter_files.KERAS_FILE} {finding}; give a file that KerasHub's save_lora_weights wrote."
    )
