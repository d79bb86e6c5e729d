"""Weight files in HDF5: nothing in them may lead to another file, and what they claim must fit what they hold.

HDF5 can point elsewhere in four ways: external links, soft links, external raw storage and virtual datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py

from farm.errors import ModelDamaged, ModelUnsafe
from pipeline.models import numbers

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OBJECTS = 200_000
DEPTH = 40
RANK = 8
ATTRIBUTE_BYTES = 1 << 20
RATIO = 100
# Compressed data may claim this much whatever its ratio.
RATIO_FLOOR = 16 << 20
# Floats, integers, booleans, and two-byte opaque values, as which bfloat16 is kept.
NUMBER_KINDS = "fiubV"


# What Keras keeps of the optimizer, which no conversion reads.
OPTIMIZER = "/optimizer"


@dataclass(frozen=True)
class Totals:
    """How many weights a file holds, and how many numbers in all."""

    datasets: int
    elements: int


def check(path: Path, name: str) -> Totals:
    """Check a file; `name` for the sentences. ModelDamaged, ModelUnsafe."""
    with path.open("rb") as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            raise ModelDamaged(f"{name} is no HDF5 file; save or copy the model again.")
    try:
        with h5py.File(path, "r", locking=False) as file:
            check = _Check(name, path.stat().st_size)
            check.visit(file)
            return Totals(check.datasets, check.elements)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelDamaged(
            f"{name} cannot be read as HDF5, it is cut or damaged; save or copy the model again."
        ) from error


class _Check:
    """One pass over a file's groups and datasets."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._claimed = 0
        self._seen: set[int] = set()
        self.datasets = 0
        self.elements = 0

    def visit(self, root: h5py.Group) -> None:
        pending: list[tuple[h5py.Group, int]] = [(root, 0)]
        while pending:
            group, depth = pending.pop()
            if depth > DEPTH:
                raise self._refusal(f"nests groups more than {DEPTH} deep")
            self._attributes(group)
            for key in group:
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise self._refusal(f"holds a link to elsewhere at {group.name}/{key}"[:200])
                member = group[key]
                if not self._is_new(member):
                    continue
                if isinstance(member, h5py.Group):
                    pending.append((member, depth + 1))
                elif isinstance(member, h5py.Dataset):
                    self._dataset(member)
                else:
                    raise self._refusal(f"holds a {type(member).__name__} at {group.name}/{key}"[:200])

    def _is_new(self, member: h5py.Group | h5py.Dataset | h5py.Datatype) -> bool:
        """A hard link may lead back up; every object is looked at once."""
        address = h5py.h5o.get_info(member.id).addr
        known = address in self._seen
        self._seen.add(address)
        if len(self._seen) > OBJECTS:
            raise self._refusal(f"holds more than {OBJECTS} objects")
        return not known

    def _dataset(self, dataset: h5py.Dataset) -> None:
        where = f"the dataset {dataset.name}"[:160]
        if dataset.external or dataset.is_virtual:
            raise self._refusal(f"keeps {where} in another file")
        if dataset.dtype.kind not in NUMBER_KINDS or dataset.dtype.hasobject or dataset.dtype.itemsize > 16:
            raise self._refusal(f"holds no plain numbers in {where}")
        if len(dataset.shape or ()) > RANK:
            raise self._refusal(f"gives {where} {len(dataset.shape)} dimensions")
        claimed = dataset.size * dataset.dtype.itemsize if dataset.size else 0
        stored = dataset.id.get_storage_size()
        if claimed > max(RATIO_FLOOR, RATIO * stored):
            raise self._refusal(f"claims {claimed} bytes for {where} and holds {stored}")
        self._claimed += claimed
        if self._claimed > max(4 * RATIO_FLOOR, RATIO * self._size):
            raise self._refusal(f"claims {self._claimed} bytes of weights and is {self._size} large")
        self._attributes(dataset)
        self.datasets += 1
        self.elements += int(dataset.size or 0)
        if dataset.size and not str(dataset.name).startswith(OPTIMIZER):
            numbers.require_finite(dataset, f"{dataset.name} in {self._name}")

    def _attributes(self, holder: h5py.Group | h5py.Dataset) -> None:
        for key in holder.attrs:
            attribute = holder.attrs.get_id(key)
            if attribute.get_storage_size() > ATTRIBUTE_BYTES:
                raise self._refusal(f"has an attribute of {attribute.get_storage_size()} bytes at {holder.name}"[:200])

    def _refusal(self, finding: str) -> ModelUnsafe:
        return ModelUnsafe(f"{self._name} {finding}; the model is refused, get it from a source you trust.")
